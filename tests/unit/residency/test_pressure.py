"""What is held back while others take the memory."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.hardware import Memory
from edgeroute.domain.units import GIB, MIB, Bytes
from edgeroute.residency.pressure import Pressure

CALM = Memory(Bytes(16 * GIB), Bytes(8 * GIB), psi_some_avg10=0.0, psi_full_avg10=0.0)
SHORT = replace(CALM, available=Bytes(2 * GIB))


def test_a_steady_room_is_all_there() -> None:
    pressure = Pressure()
    assert [pressure.update(CALM, 4 * GIB, GIB, float(t)) for t in range(10)] == [0] * 10


def test_what_falls_is_seen_three_seconds_ahead() -> None:
    pressure = Pressure()
    rooms = [4 * GIB - t * 200 * MIB for t in range(5)]
    withheld = [pressure.update(CALM, room, GIB, float(t)) for t, room in enumerate(rooms)]
    assert withheld == [0, *[600 * MIB] * 4]


def test_a_fall_that_has_ended_is_forgotten() -> None:
    pressure = Pressure()
    pressure.update(CALM, 4 * GIB, GIB, 0.0)
    first = pressure.update(CALM, 3 * GIB, GIB, 1.0)
    later = [pressure.update(CALM, 3 * GIB, GIB, 1.0 + t) for t in range(1, 20)]
    assert first == 3 * GIB
    assert later == sorted(later, reverse=True)
    assert later[-1] == 0


def test_noise_is_not_a_fall() -> None:
    pressure = Pressure()
    pressure.update(CALM, 4 * GIB, GIB, 0.0)
    assert pressure.update(CALM, 4 * GIB - 10 * MIB, GIB, 1.0) == 0


def test_readings_one_after_the_other_are_no_rate() -> None:
    pressure = Pressure()
    rooms = [4 * GIB - t * MIB for t in range(100)]
    withheld = [pressure.update(CALM, room, GIB, t / 1000) for t, room in enumerate(rooms)]
    assert not any(withheld)
    assert pressure.update(CALM, 4 * GIB - 200 * MIB, GIB, 1.0) == 600 * MIB


def test_what_a_load_of_ours_takes_is_no_fall() -> None:
    pressure = Pressure()
    pressure.update(CALM, 4 * GIB, GIB, 0.0)
    pressure.skip()
    assert pressure.update(CALM, 2 * GIB, GIB, 1.0) == 0


@pytest.mark.parametrize(("some", "full"), [(30.0, 0.0), (0.0, 6.0)])
def test_where_all_wait_for_memory_a_tenth_of_what_is_held_goes(some: float, full: float) -> None:
    waiting = replace(SHORT, psi_some_avg10=some, psi_full_avg10=full)
    withheld = Pressure().update(waiting, 4 * GIB, 2 * GIB, 0.0)
    assert 4 * GIB - withheld == pytest.approx(1.8 * GIB, abs=1)


def test_waiting_is_no_want_where_there_is_plenty() -> None:
    assert Pressure().update(replace(CALM, psi_full_avg10=50.0), 4 * GIB, 2 * GIB, 0.0) == 0


def test_a_control_group_is_short_by_its_own_limit() -> None:
    full = replace(
        CALM, cgroup_limit=Bytes(4 * GIB), cgroup_headroom=Bytes(GIB // 2), psi_full_avg10=9.0
    )
    assert Pressure().update(full, 2 * GIB, GIB, 0.0) > GIB


@given(
    st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=20),
    st.floats(0, 100),
)
def test_it_never_holds_back_more_than_there_is(
    readings: list[tuple[int, int]], waits: float
) -> None:
    pressure = Pressure()
    memory = replace(SHORT, psi_some_avg10=waits)
    for at, (room, held) in enumerate(readings):
        withheld = pressure.update(memory, room, held, float(at))
        assert 0 <= withheld <= room
        assert withheld == pressure.withheld
