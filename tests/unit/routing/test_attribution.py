"""Who took the joules of a short while."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.units import ModelId
from edgeroute.routing.attribution import Unclaimed, Window, share
from edgeroute.routing.idleness import Idleness

amounts = st.floats(0, 1e6)
windows = st.builds(
    Window,
    seconds=st.floats(0, 100),
    joules=amounts,
    own=st.booleans(),
    idle_w=amounts,
    everybody_s=st.none() | st.floats(0, 1e4),
    workers=st.dictionaries(st.integers(1, 4), st.floats(0, 1e4), max_size=4) | st.none(),
)
claims = st.lists(st.floats(0, 1e3), max_size=6)


@given(window=windows, asked=st.frozensets(st.integers(1, 4)))
def test_the_parts_sum_to_the_whole_and_none_is_negative(
    window: Window, asked: frozenset[int]
) -> None:
    parts = share(window, asked)
    assert parts.whole == pytest.approx(window.joules, rel=1e-9, abs=1e-6)
    every = (parts.idle, parts.others, *parts.processes.values())
    assert min(every) >= 0
    assert all(map(math.isfinite, every))


@given(st.lists(st.tuples(amounts, st.floats(0, 1e3), claims), max_size=20))
def test_what_is_claimed_and_what_is_left_sum_to_the_whole(
    windows: list[tuple[float, float, list[float]]],
) -> None:
    unclaimed, given_j, paid_j = Unclaimed(), 0.0, 0.0
    for joules, seconds, claimed_s in windows:
        unclaimed, paid = unclaimed.grown(joules, seconds).claimed(claimed_s)
        given_j, paid_j = given_j + joules, paid_j + sum(paid)
        assert len(paid) == len(claimed_s)
        assert min((unclaimed.joules, unclaimed.seconds, *paid)) >= 0
    assert unclaimed.joules + paid_j == pytest.approx(given_j, rel=1e-9, abs=1e-6)


def test_idleness_comes_first_and_others_take_their_share() -> None:
    window = Window(2.0, 40.0, idle_w=5.0, everybody_s=4.0, workers={1: 3.0})
    parts = share(window, {1})
    assert (parts.idle, parts.others, parts.processes) == (10.0, 7.5, {1: 22.5})


def test_a_meter_of_our_own_has_neither_in_it() -> None:
    window = Window(2.0, 40.0, own=True, idle_w=5.0, everybody_s=4.0, workers={1: 3.0})
    assert share(window, {1}).processes == {1: 40.0}


def test_models_are_told_apart_by_cpu_time() -> None:
    window = Window(1.0, 30.0, workers={1: 1.0, 2: 0.5})
    assert share(window, {1, 2}).processes == {1: 20.0, 2: 10.0}


def test_in_a_window_too_short_for_a_clock_who_was_asked_computed() -> None:
    window = Window(0.001, 3.0, workers={1: 0.0, 2: 0.0, 7: 0.0})
    assert share(window, {1, 2}).processes == {1: 1.5, 2: 1.5}


def test_queries_of_a_model_pay_by_the_seconds_that_it_computed_for_each() -> None:
    left, paid = Unclaimed(30.0, 0.1).claimed([0.08, 0.02])
    assert paid == pytest.approx((24.0, 6.0))
    assert left == Unclaimed()


def test_seconds_that_nobody_claims_belong_to_a_batch_under_way() -> None:
    """A tenth of a second of steps, then a prompt that takes until the end of the third window."""
    left, paid = Unclaimed(10.0, 0.5).claimed([0.0, 0.1])
    assert paid == pytest.approx((0.0, 2.0))
    left, paid = left.grown(10.0, 0.5).claimed([0.0, 0.0])
    assert paid == (0.0, 0.0)
    left, paid = left.grown(10.0, 0.5).claimed([1.4, 0.0])
    assert paid == pytest.approx((28.0, 0.0))
    assert left == Unclaimed()


def test_what_a_worker_says_late_pays_for_no_more_than_there_is() -> None:
    left, paid = Unclaimed(1.0, 0.1).claimed([5.0, 15.0])
    assert left == Unclaimed()
    assert paid == pytest.approx((0.25, 0.75))


# ---- idleness ---------------------------------------------------------------------------------

A, B = ModelId("a"), ModelId("b")


def test_a_warm_model_pays_for_what_it_adds() -> None:
    idleness = Idleness()
    for _ in range(30):
        idleness.observe(6.0, [])
    for _ in range(300):
        idleness.observe(14.0, [A])
    assert idleness.watts([]) == pytest.approx(6.0)
    assert idleness.watts([A]) - idleness.watts([]) == pytest.approx(8.0, rel=0.02)
    assert idleness.watts([A]) == pytest.approx(14.0, rel=0.02)
    assert idleness.watts([B]) == pytest.approx(6.0)


@given(st.lists(st.tuples(st.floats(0, 500), st.sets(st.sampled_from([A, B]))), max_size=50))
def test_no_model_is_paid_for_being_warm(seen: list[tuple[float, set[ModelId]]]) -> None:
    idleness = Idleness()
    for watts, warm in seen:
        idleness.observe(watts, warm)
    assert idleness.watts([A, B]) >= idleness.watts([A]) >= idleness.watts([]) >= 0
    assert idleness.watts([A, B]) >= idleness.watts([B]) >= idleness.watts([])


def test_bursts_of_others_do_not_pass_for_idleness() -> None:
    idleness = Idleness()
    for number in range(200):
        idleness.observe(40.0 if number % 5 == 0 else 6.0, [])
    assert 0 < idleness.watts([]) < 10.0
