"""RAM: what the kernel calls available, what every ancestor control group leaves, what waits.

Owns reading memory, and the RAM of one process. The budget made of it is residency's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgeroute.domain.hardware import Memory
from edgeroute.domain.load import Footprint
from edgeroute.domain.units import KIB, Bytes
from edgeroute.sensors.cgroup import V1, V2, Group, ancestors
from edgeroute.sensors.sysfs import Tree

_SIZE = re.compile(r"^(\w+):\s+(\d{1,15}) kB$", re.MULTILINE)
_PRESSURE = re.compile(r"^(some|full) avg10=(100\.00|\d{1,2}\.\d\d) ", re.MULTILINE)
_UNLIMITED = 1 << 62  # version 1 writes "none" as the greatest whole number of pages


def _page_cache(prefix: str) -> re.Pattern[str]:
    """Lines of `memory.stat` that count file pages, on either list.

    Both, since a model file that was read twice (hashed, then copied) stays on the active list for
    good although it is as reclaimable as any page cache: measured on Linux 6.18.
    """
    return re.compile(rf"^{prefix}(?:in)?active_file (\d{{1,19}})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Files:
    """Names in a control group's folder."""

    limits: tuple[str, ...]
    usage: str
    page_cache: re.Pattern[str]


_FILES = {
    V1: _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", _page_cache("total_")),
    V2: _Files(("memory.max", "memory.high"), "memory.current", _page_cache("")),
}


def read_memory(tree: Tree) -> Memory:
    """RAM now. Without `/proc/meminfo` total and available are 0, with a gap."""
    sizes = _sizes(tree.read("/proc/meminfo"))
    for name in ("MemTotal", "MemAvailable"):
        if name not in sizes:
            tree.gap(f"/proc/meminfo {name}", "not there; 0 is reported and no memory is used")
    groups = ancestors(tree, "memory")
    headroom, limit = _control_groups(tree, groups)
    pressure = _pressure(tree, groups)
    return Memory(
        total=sizes.get("MemTotal", Bytes(0)),
        available=sizes.get("MemAvailable", Bytes(0)),
        cgroup_headroom=headroom,
        cgroup_limit=limit,
        psi_some_avg10=pressure.get("some"),
        psi_full_avg10=pressure.get("full"),
    )


def process_footprint(tree: Tree, pid: int) -> Footprint | None:
    """RAM of a process, shared pages counted by share; `None` where it is gone or unreadable."""
    sizes = _sizes(tree.read(f"/proc/{pid}/smaps_rollup"))
    if "Pss" not in sizes:
        return None
    swapped = sizes.get("SwapPss", 0)
    if "Pss_Anon" in sizes:
        anon = sizes["Pss_Anon"] + sizes.get("Pss_Shmem", 0)
        file = sizes.get("Pss_File", Bytes(0))
    else:  # before Linux 5.4; anonymous memory of a spawned process is not shared
        anon = min(sizes.get("Anonymous", Bytes(0)), sizes["Pss"])
        file = Bytes(sizes["Pss"] - anon)
    return Footprint(file=file, anon=Bytes(anon + swapped))


def anonymous_bytes(tree: Tree, pid: int) -> Bytes | None:
    """Anonymous RAM of a process, swapped or not; `None` where it is gone or unreadable.

    Unlike `process_footprint` it looks at no page, and takes 20 us however much there is.
    """
    sizes = _sizes(tree.read(f"/proc/{pid}/status"))
    if "RssAnon" not in sizes:
        return None
    return Bytes(sizes["RssAnon"] + sizes.get("VmSwap", 0))


def _sizes(text: str | None) -> dict[str, Bytes]:
    """`Name:   123 kB` lines."""
    return {name: Bytes(int(kib) * KIB) for name, kib in _SIZE.findall(text or "")}


def _pressure(tree: Tree, groups: Sequence[Group]) -> dict[str, float]:
    """Percent of the last 10 s in which `some` or all (`full`) tasks waited for memory.

    The most of the machine's and of every group's: tasks of one that is full wait for its own.
    Version 1 tells the machine's alone.
    """
    folders = [group.folder for group in groups if group.version == V2]
    files = ("/proc/pressure/memory", *(f"{folder}/memory.pressure" for folder in folders))
    most: dict[str, float] = {}
    for file in files:
        for kind, share in _PRESSURE.findall(tree.read(file) or ""):
            most[kind] = max(most.get(kind, 0.0), float(share))
    return most


def _control_groups(tree: Tree, groups: Sequence[Group]) -> tuple[Bytes | None, Bytes | None]:
    """Least headroom and least limit over all ancestors; the two may be of different groups."""
    headrooms, limits = [], []
    for group in groups:
        limit = _limit(tree, group)
        if limit is not None:
            limits.append(limit)
            headrooms.append(Bytes(max(0, limit - _held(tree, group, limit))))
    return min(headrooms, default=None), min(limits, default=None)


def _limit(tree: Tree, group: Group) -> Bytes | None:
    paths = [f"{group.folder}/{name}" for name in _FILES[group.version].limits]
    values = [tree.integer(path, word="max") for path in paths]
    return min((Bytes(v) for v in values if v is not None and v < _UNLIMITED), default=None)


def _held(tree: Tree, group: Group, limit: Bytes) -> int:
    """Bytes of a group that cannot be had back at once: usage without its page cache.

    Unreadable usage counts as all of the limit: room that is not known is not promised.
    """
    files = _FILES[group.version]
    usage = tree.integer(f"{group.folder}/{files.usage}")
    if usage is None:
        tree.gap(f"{group.folder}/{files.usage}", "not there; the group counts as full")
        return limit
    statistics = tree.read(f"{group.folder}/memory.stat") or ""
    return max(0, usage - sum(int(size) for size in files.page_cache.findall(statistics)))
