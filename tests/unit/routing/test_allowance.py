"""What a budget will still allow today."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.routing.allowance import Allowance

HOUR_S, DAY_S = 3600.0, 86_400.0
MONDAY = 4
WORKDAYS = [week * 7 + MONDAY + day for week in range(6) for day in range(5)]

EVEN = [100.0] * 24
MORNING = [400.0] * 6 + [0.0] * 18
EVENING = [0.0] * 18 + [400.0] * 6


def live(allowance: Allowance, day: int, hourly: list[float], until_h: int = 24) -> float:
    """A day or the beginning of one; what is still expected then."""
    expected = 0.0
    for hour, amount in enumerate(hourly[:until_h]):
        now = day * DAY_S + hour * HOUR_S
        expected = allowance.to_come(amount, now)
        allowance.grant(amount, now + HOUR_S - 1.0)
    return expected


def test_a_budget_by_the_hour_goes_on_as_it_does() -> None:
    allowance = Allowance()
    for day in WORKDAYS[:10]:
        live(allowance, day, EVEN)
    assert allowance.to_come(100.0, WORKDAYS[10] * DAY_S + 18 * HOUR_S) == pytest.approx(600.0)
    assert Allowance().to_come(100.0, WORKDAYS[0] * DAY_S) == pytest.approx(2400.0)


@pytest.mark.parametrize(("hourly", "rest"), [(MORNING, 1200.0), (EVENING, 2400.0)])
def test_days_that_allow_the_same_are_known_whenever_they_give_it(
    hourly: list[float], rest: float
) -> None:
    allowance = Allowance()
    for day in WORKDAYS[:10]:
        live(allowance, day, hourly)
    assert live(allowance, WORKDAYS[10], hourly, 4) == pytest.approx(rest, rel=0.05)


def test_where_both_err_a_part_of_it_is_not_counted_on() -> None:
    allowance = Allowance()
    for number, day in enumerate(WORKDAYS[:20]):
        live(allowance, day, [amount * (0.5 if number % 2 else 1.5) for amount in EVENING])
    assert 0 < live(allowance, WORKDAYS[20], EVENING, 4) < 0.9 * 2400.0


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=24, max_size=24), max_size=9))
def test_it_is_never_negative_and_always_finite(days: list[list[float]]) -> None:
    allowance = Allowance()
    for day, hourly in enumerate(days):
        live(allowance, day, hourly)
    assert 0 <= allowance.to_come(7.0, (len(days) + 0.5) * DAY_S) < float("inf")
