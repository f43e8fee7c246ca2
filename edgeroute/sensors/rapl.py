"""Joules of processors, from the kernel's running average power limit counters.

Owns reading `/sys/class/powercap/intel-rapl:N`, where AMD's processors are too, without a platform.
What is beside them, `intel-rapl-mmio:N`, counts the same packages once more. Since Linux 5.10 only
root may read them (CVE-2020-8694: they leak what is computed): that is said, and never worked
around. Virtual machines have none.
"""

from collections.abc import Mapping
from typing import NamedTuple

from edgeroute.sensors.sysfs import Tree

_ZONES, _ZONE = "/sys/class/powercap", "intel-rapl:"
_PACKAGE, _PLATFORM = "package", "psys"
JOULES_PER_UNIT = 1e-6


class Counter(NamedTuple):
    """Energy counted by one zone, in microjoules; after `limit` it begins anew."""

    value: int
    limit: int


def read_energy(tree: Tree) -> Mapping[str, Counter] | None:
    """The counter of each package; `None` unless all that are there can be read."""
    return _read(tree, _PACKAGE)  # cores and memory are parts of a package


def read_platform(tree: Tree) -> Mapping[str, Counter] | None:
    """The counter of the whole platform, which some laptops have; `None` elsewhere."""
    return _read(tree, _PLATFORM)


def joules_between(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> float:
    """Energy of all zones from one reading to the next, less than one wrap apart."""
    spent = (
        (counter.value - before[zone].value) % (counter.limit + 1)
        for zone, counter in after.items()
        if zone in before
    )
    return sum(spent) * JOULES_PER_UNIT


def _read(tree: Tree, kind: str) -> Mapping[str, Counter] | None:
    counters: dict[str, Counter] = {}
    for zone in tree.names(_ZONES):
        folder = f"{_ZONES}/{zone}"
        if not zone.startswith(_ZONE):
            continue
        if not (tree.read(f"{folder}/name") or "").startswith(kind):
            continue
        value = tree.integer(f"{folder}/energy_uj")
        limit = tree.integer(f"{folder}/max_energy_range_uj", low=1)
        if value is None or limit is None:
            return None
        counters[zone] = Counter(value, limit)
    return counters or None
