"""Processors: hybrid Intel, big and little ARM, affinity, quotas, instructions."""

import os
import sys

import pytest

from edgeroute.domain.hardware import Cpu
from edgeroute.sensors.cpu import read_cpu
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import (
    CONTAINER,
    LAPTOP,
    ORIN_NANO,
    ROCK_5B,
    Files,
    Written,
    arm,
    capacities,
    cgroup_v1,
    cgroup_v2,
    topology,
    x86,
)


def cpu(*parts: Files) -> Cpu:
    return read_cpu(Written(*parts))


def test_hybrid_intel_uses_one_thread_per_big_core() -> None:
    tree = Written(LAPTOP)
    laptop = read_cpu(tree)
    assert laptop == Cpu(
        model="13th Gen Intel(R) Core(TM) i7-13700H",
        architecture="x86_64",
        logical=20,
        physical=14,
        allowed=tuple(range(20)),
        performance=tuple(range(12)),
        performance_cores=6,
        instructions=("avx2", "fma", "f16c", "avx_vnni"),
    )
    assert laptop.hybrid
    assert laptop.threads == 6
    assert tree.gaps == ()


def test_big_and_little_arm() -> None:
    rock = cpu(ROCK_5B)
    assert rock.model == "Cortex-A55 + Cortex-A76"
    assert rock.architecture == "aarch64"
    assert rock.performance == (4, 5, 6, 7)  # bins of 1024 and 1009 are one kind
    assert (rock.physical, rock.performance_cores, rock.threads) == (8, 4, 4)
    assert rock.instructions == ("asimd", "asimddp")


def test_equal_cores_are_all_big() -> None:
    orin = cpu(ORIN_NANO)
    assert orin.model == "Cortex-A78AE"
    assert orin.performance == orin.allowed == tuple(range(6))
    assert not orin.hybrid
    assert (orin.physical, orin.threads) == (6, 6)


@pytest.mark.parametrize(
    ("kinds", "big"),
    [
        ([741, 741, 1024, 1024], (2, 3)),  # MT8183: the closest pair there is
        ([250, 250, 620, 1024], (2, 3)),  # Tensor: two kinds of big
        ([1024, 1009, 990, 1024], (0, 1, 2, 3)),  # boost bins
        ([1024] * 4, (0, 1, 2, 3)),
    ],
)
def test_the_widest_step_parts_big_from_little(kinds: list[int], big: tuple[int, ...]) -> None:
    assert cpu(arm(["0xd0b"] * 4), capacities(kinds)).performance == big


def test_an_unknown_part_is_named_by_number() -> None:
    assert cpu(arm(["0xfff"])).model == "ARM 0x41/0xfff"


def test_a_board_that_names_no_processor_is_named_itself() -> None:
    files = {"/proc/cpuinfo": "processor: 0\n", "/proc/device-tree/model": "Odd Board\0"}
    assert cpu(files).model == "Odd Board"


def test_instructions_are_those_that_every_processor_has() -> None:
    unlike = "processor: 0\nflags: lm avx2 fma\n\nprocessor: 1\nflags: lm fma\n"
    assert cpu({"/proc/cpuinfo": unlike}).instructions == ("fma",)


def test_two_packages_with_the_same_core_numbers() -> None:
    both = cpu(x86("Xeon", 4), topology([0, 1, 0, 1], [0, 0, 1, 1]))
    assert (both.logical, both.physical, both.threads) == (4, 4, 4)


def test_two_dies_with_the_same_core_numbers() -> None:
    dies = {f"/sys/devices/system/cpu/cpu{n}/topology/die_id": f"{n // 2}\n" for n in range(4)}
    assert cpu(x86("Xeon", 4), topology([0, 1, 0, 1]), dies).physical == 4


def test_without_topology_every_cpu_is_a_core_and_that_is_a_gap() -> None:
    tree = Written(x86("VM", 3))
    assert read_cpu(tree).physical == 3
    assert [gap.what for gap in tree.gaps] == ["/sys/devices/system/cpu/cpu*/topology"]


def test_offline_cpus_do_not_count() -> None:
    files = {**x86("Xeon", 4), "/sys/devices/system/cpu/online": "0,2-3\n"}
    assert cpu(files).allowed == (0, 2, 3)


@pytest.mark.parametrize("text", ["garbage", "0-99999", "3-1", "-1"])
def test_a_list_of_cpus_that_means_nothing(text: str) -> None:
    tree = Written({**x86("Xeon", 2), "/sys/devices/system/cpu/online": text})
    assert read_cpu(tree).allowed == (0, 1)
    assert tree.failed("/sys/devices/system/cpu/online")


def test_nothing_known_is_one_cpu_and_gaps() -> None:
    tree = Written()
    nothing = read_cpu(tree)
    assert (nothing.model, nothing.architecture) == ("unknown", "unknown")
    assert nothing.allowed == (0,)
    assert nothing.threads == 1
    assert {gap.what for gap in tree.gaps} >= {"/proc/cpuinfo", "processor model"}


def v2(quota: str) -> dict[str, str | int]:
    return {"cpu.max": quota}


def v1(quota: int, period: int = 100_000) -> dict[str, str | int]:
    return {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    ("groups", "quota"),
    [
        (cgroup_v2("/a/b", {"/a": v2("150000 100000"), "/a/b": v2("max 100000")}), 1.5),
        (cgroup_v2("/a/b", {"/a": v2("max 100000")}), None),
        (cgroup_v1("/a/b", {"/": v1(-1), "/a": v1(50_000), "/a/b": v1(200_000)}), 0.5),
        (cgroup_v1("/a", {"/": v1(-1), "/a": v1(-1)}), None),
        (CONTAINER, 1.5),
        (cgroup_v2("/a", {"/a": v2("1 0")}), None),
    ],
)
def test_the_tightest_quota_over_all_ancestors(groups: Files, quota: float | None) -> None:
    assert cpu(LAPTOP, groups).quota_cores == quota


def test_a_quota_bounds_the_threads() -> None:
    assert cpu(LAPTOP, cgroup_v2("/a", {"/a": v2("350000 100000")})).threads == 3
    assert cpu(LAPTOP, cgroup_v2("/a", {"/a": v2("50000 100000")})).threads == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_real_machine() -> None:
    real = read_cpu(Tree())
    assert real.allowed == tuple(sorted(os.sched_getaffinity(0)))
    assert real.architecture == os.uname().machine
    assert 1 <= real.physical <= real.logical


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_affinity_is_the_real_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1})
    assert read_cpu(Tree()).allowed == (1,)
    assert cpu(LAPTOP).allowed == tuple(range(20))


def test_pinned_to_little_cores_these_are_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {12, 13})
    tree = Written(LAPTOP)
    tree.real = True
    pinned = read_cpu(tree)
    assert pinned.performance == pinned.allowed == (12, 13)
    assert pinned.threads == 2


def test_half_of_the_hyperthreads_are_cores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned to one CPU of each core, `logical / physical` alone would halve the threads."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2, 4})
    tree = Written(LAPTOP)
    tree.real = True
    assert read_cpu(tree).threads == 3
