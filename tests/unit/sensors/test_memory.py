"""RAM, control groups of both versions, pressure, and the RAM of a process."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from edgeroute.domain.load import Footprint
from edgeroute.domain.units import GIB, KIB, MIB, Bytes
from edgeroute.sensors.memory import process_footprint, read_memory
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import (
    CONTAINER,
    Files,
    Written,
    cgroup_v1,
    cgroup_v2,
    meminfo,
    pressure,
    rollup,
)

UNLIMITED_V1 = 9223372036854771712  # the greatest whole number of 4 KiB pages

Limits = dict[str, dict[str, str | int]]


def room(*parts: Files) -> tuple[int | None, int | None]:
    memory = read_memory(Written(meminfo(16_000, 8_000), *parts))
    return memory.cgroup_headroom, memory.cgroup_limit


def v1(limit: int, usage: int, cache: int = 0) -> dict[str, str | int]:
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": usage,
        "memory.stat": (
            "inactive_file 999999\nactive_file 999999\n"
            f"total_inactive_file {cache - cache // 3}\ntotal_active_file {cache // 3}"
        ),
    }


def v2(
    limit: str | int, usage: int, cache: int = 0, high: str | int = "max"
) -> dict[str, str | int]:
    return {
        "memory.max": limit,
        "memory.high": high,
        "memory.current": usage,
        "memory.stat": (
            "anon 5\nfile 7\ninactive_anon 3\nactive_anon 3\nslab 1\n"
            f"inactive_file {cache - cache // 3}\nactive_file {cache // 3}"
        ),
    }


def test_what_the_kernel_says() -> None:
    memory = read_memory(Written(meminfo(16_000, 8_000), pressure("12.50", "100.00")))
    assert (memory.total, memory.available) == (16_000 * MIB, 8_000 * MIB)
    assert (memory.psi_some_avg10, memory.psi_full_avg10) == (12.5, 100.0)
    assert (memory.cgroup_headroom, memory.cgroup_limit) == (None, None)


def test_of_pressures_the_worst_counts_the_machines_or_a_groups() -> None:
    rest = "avg60=0.00 avg300=0.00 total=1"
    waits = f"some avg10={{}} {rest}\nfull avg10={{}} {rest}\n"
    groups = cgroup_v2(
        "/user/app",
        {
            "/user/app": {"memory.pressure": waits.format("40.00", "3.00")},
            "/user": {"memory.pressure": waits.format("20.00", "7.00")},
        },
    )
    memory = read_memory(Written(meminfo(16_000, 8_000), pressure("12.50", "1.00"), groups))
    assert (memory.psi_some_avg10, memory.psi_full_avg10) == (40.0, 7.0)
    alone = read_memory(Written(meminfo(16_000, 8_000), groups))
    assert (alone.psi_some_avg10, alone.psi_full_avg10) == (40.0, 7.0)


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EOPNOTSUPP])
def test_a_kernel_without_pressure_accounting_is_normal(code: int) -> None:
    tree = Written(meminfo(16, 8), faults={"/proc/pressure/memory": code})
    assert read_memory(tree).psi_some_avg10 is None
    assert tree.gaps == ()


def test_without_meminfo_there_is_no_memory_and_a_gap() -> None:
    tree = Written()
    memory = read_memory(tree)
    assert (memory.total, memory.available) == (0, 0)
    assert [gap.what for gap in tree.gaps] == [
        "/proc/meminfo MemTotal",
        "/proc/meminfo MemAvailable",
    ]


NESTED = [
    ("/", 64 * GIB, 60 * GIB, 0),
    ("/a", 6 * GIB, 5 * GIB, 1 * GIB),  # 2 GiB left
    ("/a/b", 8 * GIB, 1 * GIB, 0),  # 7 GiB left
]


def test_the_tightest_group_in_the_middle_binds() -> None:
    first = cgroup_v1("/a/b", {path: v1(*sizes) for path, *sizes in NESTED})
    second = cgroup_v2("/a/b", {path: v2(*sizes) for path, *sizes in NESTED})
    assert room(first) == room(second) == (2 * GIB, 6 * GIB)


def test_headroom_and_limit_may_come_from_different_groups() -> None:
    limits: Limits = {"/a": v2(8 * GIB, 7 * GIB), "/a/b": v2(4 * GIB, 1 * GIB)}
    assert room(cgroup_v2("/a/b", limits)) == (1 * GIB, 4 * GIB)


def test_the_high_mark_binds_before_the_maximum() -> None:
    limits: Limits = {"/a": v2(8 * GIB, 2 * GIB, high=3 * GIB)}
    assert room(cgroup_v2("/a", limits)) == (1 * GIB, 3 * GIB)


def test_over_the_high_mark_there_is_no_room() -> None:
    limits: Limits = {"/a": v2("max", 5 * GIB, high=3 * GIB)}
    assert room(cgroup_v2("/a", limits)) == (0, 3 * GIB)


def test_no_more_room_than_the_limit() -> None:
    """The two files are read one after the other: pages may have come between."""
    limits: Limits = {"/a": v2(3 * GIB, 1 * GIB, 2 * GIB)}
    assert room(cgroup_v2("/a", limits)) == (3 * GIB, 3 * GIB)


def test_no_limit_is_none() -> None:
    assert room(cgroup_v1("/a", {"/": v1(UNLIMITED_V1, 5), "/a": v1(UNLIMITED_V1, 5)})) == (
        None,
        None,
    )
    assert room(cgroup_v2("/a", {"/a": v2("max", 5)})) == (None, None)


def test_a_container_sees_its_own_group_as_the_root() -> None:
    memory = read_memory(Written(CONTAINER))
    assert (memory.cgroup_headroom, memory.cgroup_limit) == (2 * GIB, 4 * GIB)


def test_a_path_that_leads_nowhere_leaves_the_visible_root() -> None:
    assert room(cgroup_v2("/system.slice/docker-4f2a.scope", {"/": v2(2 * GIB, GIB)})) == (
        GIB,
        2 * GIB,
    )


def test_a_group_that_does_not_tell_its_usage_counts_as_full() -> None:
    tree = Written(meminfo(16, 8), cgroup_v2("/a", {"/a": {"memory.max": GIB}}))
    memory = read_memory(tree)
    assert (memory.cgroup_headroom, memory.cgroup_limit) == (0, GIB)
    assert [gap.what for gap in tree.gaps] == ["/sys/fs/cgroup/a/memory.current"]


def test_an_unreadable_limit_is_a_gap() -> None:
    path = "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"
    tree = Written(
        meminfo(16, 8), cgroup_v1("/a", {"/": v1(4 * GIB, GIB)}), faults={path: errno.EACCES}
    )
    assert read_memory(tree).cgroup_headroom == 3 * GIB
    assert [(gap.what, gap.why) for gap in tree.gaps] == [(path, "Permission denied")]


def test_footprint_counts_shared_and_swapped_pages_as_anonymous() -> None:
    tree = Written(
        rollup(Rss=900, Pss=600, Pss_Anon=300, Pss_File=250, Pss_Shmem=50, Anonymous=400, SwapPss=9)
    )
    assert process_footprint(tree, 7) == Footprint(Bytes(250 * KIB), Bytes(359 * KIB))


def test_footprint_of_a_kernel_that_does_not_split_pss() -> None:
    spawned = Written(rollup(Rss=900, Pss=600, Anonymous=400, SwapPss=9))
    assert process_footprint(spawned, 7) == Footprint(Bytes(200 * KIB), Bytes(409 * KIB))
    forked = Written(rollup(Rss=900, Pss=600, Anonymous=800))
    assert process_footprint(forked, 7) == Footprint(Bytes(0), Bytes(600 * KIB))


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESRCH, errno.EACCES])
def test_footprint_of_a_process_that_is_gone_or_anothers(code: int) -> None:
    tree = Written(faults={"/proc/7/smaps_rollup": code})
    assert process_footprint(tree, 7) is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_footprint_of_a_real_process(tmp_path: Path) -> None:
    """Maps 32 MiB of a file and fills 48 MiB, as a worker does with weights and buffers."""
    weights = tmp_path / "weights"
    weights.write_bytes(b"\1" * (32 * MIB))
    script = (
        "import mmap, sys\n"
        "weights = open(sys.argv[1], 'rb')\n"
        "view = mmap.mmap(weights.fileno(), 0, prot=mmap.PROT_READ)\n"
        "touched = sum(view[::4096])\n"
        "filled = bytearray(b'x') * (48 << 20)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-S", "-c", script, str(weights)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        footprint = process_footprint(Tree(), child.pid)
        child.kill()
    assert footprint is not None
    assert 32 * MIB <= footprint.file <= 48 * MIB
    assert 48 * MIB <= footprint.anon <= 64 * MIB
    assert process_footprint(Tree(), child.pid) is None
