"""What models may take of a battery's charge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.routing.charge import Charge

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
FULL_J = 180_000.0


def drained(share: float = 0.2, until_s: float = DAY_S, now: float = 8 * HOUR_S) -> Charge:
    charge = Charge(share, until_s)
    charge.observe(FULL_J, now, on_battery=True)
    return charge


def test_models_may_take_their_share_of_what_was_there() -> None:
    charge = drained()
    charge.spend(1000.0)
    charge.observe(FULL_J - 50_000.0, 9 * HOUR_S, on_battery=True)  # most of it took the screen
    assert charge.left_j() == pytest.approx(0.2 * FULL_J - 1000.0)


def test_nobody_takes_more_than_there_is() -> None:
    charge = drained()
    charge.observe(500.0, 20 * HOUR_S, on_battery=True)
    assert charge.left_j() == 500.0


def test_what_was_taken_beyond_is_told() -> None:
    charge = drained()
    charge.spend(0.2 * FULL_J + 300.0)
    assert charge.left_j() == pytest.approx(-300.0)


def test_what_is_charged_adds_its_share_and_a_loose_plug_adds_nothing() -> None:
    charge = drained()
    charge.observe(40_000.0, 12 * HOUR_S, on_battery=True)
    for _ in range(5):
        charge.observe(40_000.0, 12 * HOUR_S, on_battery=False)
        charge.observe(40_000.0, 12 * HOUR_S, on_battery=True)
    assert charge.left_j() == pytest.approx(0.2 * FULL_J)
    charge.observe(40_000.0, 13 * HOUR_S, on_battery=False)
    charge.spend(9000.0)  # of the mains
    charge.observe(140_000.0, 14 * HOUR_S, on_battery=False)
    charge.observe(140_000.0, 14 * HOUR_S, on_battery=True)
    assert charge.left_j() == pytest.approx(0.2 * (FULL_J + 100_000.0))


def test_a_gauge_that_wavers_charges_nothing() -> None:
    charge = drained()
    for reading in (FULL_J - 100, FULL_J, FULL_J - 100, FULL_J):
        charge.observe(reading, 9 * HOUR_S, on_battery=True)
    assert charge.left_j() == pytest.approx(0.2 * FULL_J)


def test_it_begins_anew_once_it_has_lasted() -> None:
    charge = drained(until_s=18 * HOUR_S)
    assert charge.ends_at == 18 * HOUR_S
    charge.spend(30_000.0)
    charge.observe(90_000.0, 18 * HOUR_S, on_battery=True)
    assert charge.ends_at == DAY_S + 18 * HOUR_S
    assert charge.left_j() == pytest.approx(18_000.0)


def test_a_clock_that_was_set_back_begins_anew() -> None:
    charge = drained(now=30 * DAY_S)
    charge.spend(30_000.0)
    charge.observe(90_000.0, HOUR_S, on_battery=True)
    assert charge.ends_at == DAY_S
    assert charge.left_j() == pytest.approx(18_000.0)


def test_a_battery_that_vanishes_for_a_moment_is_as_it_was() -> None:
    charge = drained()
    charge.observe(None, 9 * HOUR_S, on_battery=True)
    assert charge.left_j() == pytest.approx(0.2 * FULL_J)
    charge.observe(FULL_J - 1000.0, 9 * HOUR_S, on_battery=True)
    assert charge.left_j() == pytest.approx(0.2 * FULL_J)


def test_a_battery_that_tells_only_later_counts_from_then() -> None:
    charge = Charge(0.5, DAY_S)
    charge.observe(None, 8 * HOUR_S, on_battery=True)
    assert charge.left_j() is None
    charge.observe(1000.0, 9 * HOUR_S, on_battery=True)
    assert charge.left_j() == 500.0


@given(
    share=st.floats(0.01, 1.0),
    steps=st.lists(
        st.tuples(st.floats(0, 2e5), st.booleans(), st.floats(0, 1e4)), min_size=1, max_size=20
    ),
)
def test_never_more_than_the_share_of_all_that_the_battery_held(
    share: float, steps: list[tuple[float, bool, float]]
) -> None:
    charge, taken, held = Charge(share, DAY_S), 0.0, 0.0
    before: float | None = None
    for number, (stored, on_battery, joules) in enumerate(steps):
        charge.observe(stored, HOUR_S + number, on_battery=on_battery)
        held += stored if before is None else max(0.0, stored - before)
        before = stored
        left = charge.left_j()
        assert left is not None
        assert left <= stored
        assert left <= share * held - taken + 1e-6
        if on_battery:
            charge.spend(joules)
            taken += joules
