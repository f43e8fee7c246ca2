"""Joules of the processor: its packages, the wrap of its counters, who may read them."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.sensors.rapl import Counter, joules_between, read_energy
from tests.unit.sensors.drawn import Files, Written, powercap

ZONES = "/sys/class/powercap"


def test_packages_count_and_their_parts_do_not() -> None:
    tree = Written(
        powercap("0", "package-0", 7), powercap("0:0", "core", 5), powercap("1", "package-1", 3)
    )
    counters = read_energy(tree)
    assert counters is not None
    assert [counter.value for counter in counters.values()] == [7, 3]


@pytest.mark.parametrize("files", [{}, powercap("0", "psys", 7), powercap("0", "package-0", None)])
def test_nothing_to_read_is_not_zero(files: Files) -> None:
    assert read_energy(Written(files)) is None


def test_a_counter_for_root_alone_is_a_gap() -> None:
    path = f"{ZONES}/intel-rapl:0/energy_uj"
    tree = Written(powercap("0", "package-0", 7), faults={path: errno.EACCES})
    assert read_energy(tree) is None
    assert [gap.what for gap in tree.gaps] == [path]


@given(
    start=st.integers(0, 999),
    spent=st.integers(0, 999),
)
def test_a_counter_that_began_anew_is_added_up(start: int, spent: int) -> None:
    before = {"a": Counter(start, 999), "b": Counter(0, 999)}
    after = {"a": Counter((start + spent) % 1000, 999), "b": Counter(10, 999)}
    assert joules_between(before, after) == pytest.approx((spent + 10) * 1e-6)
