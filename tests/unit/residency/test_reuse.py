"""What is learned of when models are asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.units import ModelId
from edgeroute.residency.daytime import DAY_S, Daytime
from edgeroute.residency.demand import Demand
from edgeroute.residency.habit import Habit
from edgeroute.residency.reuse import Reuse
from edgeroute.residency.sequence import WINDOW_S, Sequence

A, B, C = map(ModelId, "abc")


def asked(*asks: tuple[float, ModelId]) -> Reuse:
    reuse = Reuse()
    for now, model in sorted(asks):
        reuse.note_ask(model, "", now)
    return reuse


def every(period_s: float, model: ModelId, times: int = 20, first: float = 0.0) -> list:  # type: ignore[type-arg]
    return [(first + i * period_s, model) for i in range(times)]


# ---- pauses -------------------------------------------------------------------------------------


def test_of_a_circle_the_one_is_back_first_that_was_not_used_for_longest() -> None:
    reuse = asked(*every(9, A, 30), *every(9, B, 30, 3.0), *every(9, C, 30, 6.0))
    now = 29 * 9 + 6.0
    assert reuse.rate(A, now) > reuse.rate(B, now) > reuse.rate(C, now)


def test_a_frequent_model_is_back_before_a_rare_one() -> None:
    reuse = asked(*every(10, A, 100), *every(100, B, 10))
    assert reuse.rate(A, 1000.0) > 3 * reuse.rate(B, 1000.0)


def test_a_model_is_forgotten_the_longer_it_is_not_asked_for() -> None:
    reuse = asked(*every(10, A), *every(10, B, 400))
    rates = [reuse.rate(A, now) for now in (200.0, 400.0, 1000.0, 4000.0)]
    assert rates == sorted(rates, reverse=True)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([0.5, 40.0, 400.0, 20_000.0])),
        max_size=40,
    )
)
def test_a_rate_that_is_remembered_is_the_one_that_would_be_worked_out(
    asks: list[tuple[str, float]],
) -> None:
    remembered, forgetful = Reuse(), Reuse()
    now = 0.0
    for name, pause_s in asks:
        now += pause_s
        forgetful.midnight = 0.0  # nothing of before it is remembered
        for reuse in (remembered, forgetful):
            reuse.note_ask(ModelId(name), "", now)
        for model in map(ModelId, "abcd"):
            assert remembered.rate(model, now) == forgetful.rate(model, now)


def test_new_habits_replace_old_ones() -> None:
    slow_then_fast = [*every(500, A, 40), *every(5, A, 40, 20_000.0)]
    reuse = asked(*slow_then_fast)
    assert reuse.chance(A, 20_200.0, 10.0) > 0.7


def test_a_model_that_was_never_asked_for_is_not_expected() -> None:
    reuse = asked(*every(10, A))
    assert reuse.chance(B, 200.0, 1800.0) == 0.0
    assert reuse.rate(B, 200.0) < 1e-6


@given(
    asks=st.lists(st.tuples(st.floats(0, 1e7), st.sampled_from([A, B, C])), max_size=30),
    later_s=st.floats(0, 1e7),
    horizon_s=st.floats(1, 1e5),
)
def test_a_chance_is_a_probability_and_grows_with_the_horizon(
    asks: list[tuple[float, ModelId]], later_s: float, horizon_s: float
) -> None:
    reuse = asked(*asks)
    now = max((at for at, _ in asks), default=0.0) + later_s
    for model in (A, B, C):
        near, far = (reuse.chance(model, now, each) for each in (horizon_s, 2 * horizon_s))
        assert 0.0 <= near <= 1.0 + 1e-9
        assert 0.0 <= far <= 1.0 + 1e-9
        assert reuse.rate(model, now) >= 0.0


@given(st.lists(st.floats(0, 1e5), min_size=2, max_size=400))
def test_pauses_stay_finite_however_many_there_are(pauses: list[float]) -> None:
    habit, now = Habit(0.0), 0.0
    for _ in range(8):
        for pause in pauses:
            now += pause
            habit.ask(now)
    n, left_s = habit.survivors(now)
    assert 0.0 <= habit.ended(now, 1e9) <= n + 1e-6
    assert 0.0 <= n <= 10.0 + 1e-6, "the last ten matter"
    assert 0.0 <= left_s < 1e7


def test_a_clock_that_jumps_breaks_nothing() -> None:
    reuse = asked(*every(10, A))
    reuse.note_ask(A, "", 200.0 + 30 * DAY_S)
    assert 0.0 < reuse.chance(A, 200.0 + 30 * DAY_S, 60.0) < 1.0


# ---- what follows what --------------------------------------------------------------------------


def followed(times: int, share: float = 1.0, app: str = "") -> tuple[Sequence, float]:
    """B follows A within a minute in a share of the times; C comes in between, far from both."""
    sequence, now = Sequence(), 0.0
    for i in range(times):
        now += 2000.0
        sequence.note(C, app, now)
        now += 2000.0
        sequence.note(A, app, now)
        if (i + 1) * share >= int(i * share) + 1:
            sequence.note(B, app, now + 60.0)
    now += 2000.0
    sequence.note(C, app, now)
    return sequence, now + 2000.0


def test_a_follower_is_expected_for_a_while() -> None:
    sequence, now = followed(20)
    assert sequence.chance(B, now, 0.1) == 0.1
    sequence.note(A, "", now)
    assert sequence.chance(B, now + 1, 0.1) > 0.7
    assert sequence.chance(B, now + WINDOW_S, 0.1) == 0.1


def test_a_follower_that_has_come_is_expected_no_more() -> None:
    sequence, now = followed(20)
    sequence.note(A, "", now)
    sequence.note(B, "", now + 20)
    assert sequence.chance(B, now + 21, 0.1) == 0.1


def test_a_few_visits_foretell_little() -> None:
    sequence, now = followed(3)
    sequence.note(A, "", now)
    assert sequence.chance(B, now + 1, 0.0) < 0.6


def test_an_app_has_habits_of_its_own() -> None:
    sequence, now = Sequence(), 0.0
    for _ in range(20):
        now += 2000.0
        sequence.note(A, "mail", now)
        sequence.note(B, "mail", now + 50)
        for _ in range(4):
            now += 2000.0
            sequence.note(A, "cron", now)
    chances = {}
    for app in ("mail", "cron"):
        now += 2000.0
        sequence.note(A, app, now)
        chances[app] = sequence.chance(B, now + 1, 0.0)
    assert chances["mail"] > 0.7
    assert chances["cron"] < 0.5


def test_memory_is_bounded() -> None:
    sequence = Sequence()
    for i in range(20_000):
        sequence.note(ModelId(f"m{i * 7919 % 900}"), f"app{i % 50}", i * 1.0)
    assert len(sequence._visits) <= 512
    assert len(sequence._open) <= 18
    assert len(sequence._expected) <= 64


# ---- hours --------------------------------------------------------------------------------------


def test_a_model_is_expected_at_its_hour_and_not_at_others() -> None:
    daytime = Daytime(0)
    for day in range(6):
        daytime.note(day * DAY_S + 9.2 * 3600)
    at = 6 * DAY_S
    assert daytime.chance(at + 9.4 * 3600) > 0.7
    assert daytime.chance(at + 12 * 3600) == 0.0


def test_one_day_makes_no_habit_and_days_without_end_it() -> None:
    daytime = Daytime(0)
    daytime.note(9 * 3600.0)
    assert daytime.chance(DAY_S + 9 * 3600) <= 0.5
    for day in range(1, 6):
        daytime.note(day * DAY_S + 9 * 3600)
    chances = [daytime.chance(day * DAY_S + 9 * 3600) for day in (6, 8, 12, 20)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 0.1


@given(st.lists(st.floats(0, 40 * DAY_S), max_size=40), st.floats(0, DAY_S))
def test_a_share_of_days_is_a_probability(times: list[float], later_s: float) -> None:
    daytime = Daytime(0)
    for at in sorted(times):
        daytime.note(at)
    assert 0.0 <= daytime.chance(max(times, default=0.0) + later_s) <= 1.0


# ---- demand -------------------------------------------------------------------------------------


def test_a_storm_is_three_regretted_evictions_within_ten_minutes() -> None:
    demand = Demand()
    for now in (0.0, 100.0, 200.0):
        assert not demand.storms(now)
        demand.note_eviction(A, now)
        demand.note_ask(A, "", now + 50)
    assert demand.storms(250.0)
    assert not demand.storms(651.0)


@pytest.mark.parametrize("later_s", [301.0, 4000.0])
def test_an_eviction_that_was_right_is_not_regretted(later_s: float) -> None:
    demand = Demand()
    for now in (0.0, 1.0, 2.0):
        demand.note_eviction(A, now)
        demand.note_ask(A, "", now + later_s)
    assert not demand.storms(2.0 + later_s)
