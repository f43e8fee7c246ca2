"""Who took the joules of a short while."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.units import ModelId
from edgeroute.routing.attribution import Window, Work, share
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
works = st.lists(
    st.builds(
        Work,
        worker=st.integers(1, 4),
        drawn=st.integers(0, 1000),
        reading=st.booleans(),
        step_s=st.floats(1e-6, 10),
    ),
    max_size=6,
)


@given(window=windows, works=works)
def test_the_parts_sum_to_the_whole_and_none_is_negative(window: Window, works: list[Work]) -> None:
    parts = share(window, works)
    assert parts.whole == pytest.approx(window.joules, rel=1e-9, abs=1e-6)
    every = (parts.idle, parts.others, *parts.processes.values(), *parts.prefill, *parts.decode)
    assert min(every) >= 0
    assert all(map(math.isfinite, every))


def drawing(worker: int = 1, drawn: int = 10) -> Work:
    return Work(worker, drawn, reading=False, step_s=0.01)


def reading(worker: int = 1) -> Work:
    return Work(worker, 0, reading=True, step_s=0.01)


def test_idleness_comes_first_and_others_take_their_share() -> None:
    window = Window(2.0, 40.0, idle_w=5.0, everybody_s=4.0, workers={1: 3.0})
    parts = share(window, [drawing()])
    assert (parts.idle, parts.others, parts.decode) == (10.0, 7.5, (22.5,))


def test_a_meter_of_our_own_has_neither_in_it() -> None:
    window = Window(2.0, 40.0, own=True, idle_w=5.0, everybody_s=4.0, workers={1: 3.0})
    assert share(window, [drawing()]).decode == (40.0,)


def test_models_are_told_apart_by_cpu_time() -> None:
    window = Window(1.0, 30.0, workers={1: 1.0, 2: 0.5})
    assert share(window, [drawing(1), drawing(2)]).decode == (20.0, 10.0)


def test_queries_of_a_model_are_told_apart_by_tokens() -> None:
    parts = share(Window(1.0, 30.0, workers={1: 1.0}), [drawing(drawn=20), drawing(drawn=10)])
    assert parts.decode == (20.0, 10.0)


def test_a_prompt_that_is_read_gets_the_time_that_steps_leave() -> None:
    """Ten steps of 10 ms in a fifth of a second: the other half was prefill."""
    window = Window(0.2, 8.0, workers={1: 0.4})
    parts = share(window, [drawing(drawn=10), reading()])
    assert parts.prefill == pytest.approx((0.0, 4.0))
    assert parts.decode == pytest.approx((4.0, 0.0))


def test_a_load_is_nobodys_query() -> None:
    parts = share(Window(1.0, 30.0, workers={1: 1.0, 7: 2.0}), [drawing(1)])
    assert parts.processes == {1: 0.0, 7: 20.0}
    assert parts.decode == (10.0,)


def test_less_than_a_token_in_a_window_is_still_work() -> None:
    works = [drawing(drawn=0), drawing(drawn=0)]
    assert share(Window(0.1, 2.0, workers={1: 0.2}), works).decode == (1.0, 1.0)


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
