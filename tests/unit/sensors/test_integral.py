"""Joules out of watts and of numbers that wrap."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeroute.sensors.integral import Accumulator, Integrator

PACE_S = 0.1
"""Ten readings a second, as while something is generated."""


def integrate(
    power: Callable[[float], float], until: float, phase: float, edges: tuple[float, ...] = ()
) -> float:
    """Read a curve ten times a second, the first time at `phase`; joules over `-1..until`."""
    integral = Integrator()
    times = [-1 + phase + number * PACE_S for number in range(round((until + 2) / PACE_S))]
    for moment in sorted([*[(at, "read") for at in times], *[(at, "edge") for at in edges]]):
        at, what = moment
        if what == "edge":
            integral.edge(at)
        else:
            integral.add(at, power(at))
    return integral.joules


lasts = st.floats(1.0, 20.0)
phases = st.floats(0.0, PACE_S)


@given(lasts=lasts, phase=phases, watts=st.floats(1, 100))
def test_a_ramp_up_and_down(lasts: float, phase: float, watts: float) -> None:
    def power(at: float) -> float:
        return watts * max(0.0, 1 - abs(2 * at / lasts - 1))

    assert integrate(power, lasts, phase) == pytest.approx(watts * lasts / 2, rel=0.02)


@given(lasts=lasts, phase=phases, low=st.floats(0, 10), high=st.floats(10, 100))
def test_a_ramp_on_top_of_idleness(lasts: float, phase: float, low: float, high: float) -> None:
    """Work that begins gently and ends at once, which is known."""

    def power(at: float) -> float:
        return low + (high - low) * at / lasts if 0 <= at < lasts else low

    spent = integrate(power, lasts, phase, (lasts,))
    idle = Integrator()
    times = [-1 + phase + number * PACE_S for number in range(round((lasts + 2) / PACE_S))]
    for at in times:
        idle.add(at, low)
    expected = idle.joules + (high - low) * lasts / 2
    # Power just before the end was never read: a step's worth of ramp is missing.
    assert spent == pytest.approx(expected, rel=0.02, abs=(high - low) * PACE_S**2 / lasts)


@given(lasts=lasts, phase=phases, idle=st.floats(0, 20), busy=st.floats(20, 100))
def test_a_burst_whose_ends_are_known(lasts: float, phase: float, idle: float, busy: float) -> None:
    def power(at: float) -> float:
        return busy if 0 <= at < lasts else idle

    times = [-1 + phase + number * PACE_S for number in range(round((lasts + 2) / PACE_S))]
    expected = idle * (times[-1] - times[0] - lasts) + busy * lasts
    assert integrate(power, lasts, phase, (0.0, lasts)) == pytest.approx(expected, rel=0.02)


@given(lasts=lasts, phase=phases)
def test_a_burst_that_nobody_announced_is_off_by_no_more_than_a_reading(
    lasts: float, phase: float
) -> None:
    spent = integrate(lambda at: 10.0 if 0 <= at < lasts else 0.0, lasts, phase)
    assert abs(spent - 10 * lasts) <= 10 * PACE_S * 1.001


@given(phase=phases)
def test_a_wave(phase: float) -> None:
    spent = integrate(lambda at: 10 + 5 * math.sin(2 * math.pi * at), 10.0, phase)
    assert spent == pytest.approx(10 * 11.9, rel=0.02)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-50, 50), st.booleans()), max_size=60))
def test_it_never_falls(readings: list[tuple[float, float, bool]]) -> None:
    integral, before = Integrator(), 0.0
    for at, watts, edge in readings:  # in any order of time
        if edge:
            integral.edge(at)
        integral.add(at, watts)
        assert integral.joules >= before
        before = integral.joules


def test_what_was_between_readings_too_far_apart_is_not_made_up() -> None:
    integral = Integrator()
    for at in (0.0, 5.0, 3605.0, 3610.0):
        integral.add(at, 4.0)
    assert integral.joules == 40.0


@settings(max_examples=200)
@given(
    steps=st.lists(st.integers(0, 999), max_size=50),
    start=st.integers(0, 999),
)
def test_a_counter_that_wraps_is_added_up(steps: list[int], start: int) -> None:
    counter, value = Accumulator(1e-6), start
    counter.add(value, 999)
    for step in steps:
        value = (value + step) % 1000
        counter.add(value, 999)
    assert counter.joules == pytest.approx(sum(steps) * 1e-6)


def test_a_counter_that_began_anew_is_not_believed_to_have_wrapped() -> None:
    """A driver that was loaded again counts from 0; what it lost is not known."""
    counter = Accumulator(1e-3)
    for value in (5_000_000, 5_002_000, 1_000, 3_000):
        counter.add(value)
    assert counter.joules == pytest.approx(2 + 1 + 2)
