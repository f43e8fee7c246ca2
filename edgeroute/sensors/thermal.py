"""Temperatures of the kernel's thermal zones, with the point at which it would switch off.

Owns reading zones and telling a temperature from a dead sensor. What is too hot is decided
elsewhere.
"""

import re

from edgeroute.domain.hardware import ThermalZone
from edgeroute.sensors.sysfs import Tree

_ZONES = "/sys/class/thermal"
_TRIP = re.compile(r"(trip_point_\d+)_type")
_COLDEST_C, _HOTTEST_C = -60.0, 200.0
"""Past these no silicon works: gated zones of a Jetson say -256 °C, absent ACPI ones -274 °C."""


class Thermal:
    """Zones of one machine.

    Critical points are read once for each zone: they do not move, and finding one takes several
    more files.
    """

    def __init__(self) -> None:
        # Bounded by the kernel's zones; the type is in the key as a driver that is loaded again
        # (Wi-Fi after resume) may take over another's number.
        self._critical: dict[tuple[str, str], float | None] = {}

    def read(self, tree: Tree) -> tuple[ThermalZone, ...]:
        """Temperatures now. A gated zone (EAGAIN, EINVAL) is left out, and that is no gap."""
        zones = (
            self._zone(tree, f"{_ZONES}/{name}")
            for name in tree.names(_ZONES)
            if name.startswith("thermal_zone")
        )
        return tuple(zone for zone in zones if zone is not None)

    def _zone(self, tree: Tree, folder: str) -> ThermalZone | None:
        celsius = _celsius(tree, f"{folder}/temp")
        if celsius is None:
            return None
        if not _COLDEST_C <= celsius <= _HOTTEST_C:
            tree.gap(f"{folder}/temp", f"{celsius:g} °C is no temperature of a working sensor")
            return None
        if celsius == 0:
            tree.gap(f"{folder}/temp", "exactly 0 °C: a sensor without power")
            return None
        name = tree.read(f"{folder}/type") or folder.removeprefix(f"{_ZONES}/")
        zone = folder, name
        if zone not in self._critical:
            self._critical[zone] = _critical(tree, folder)
        return ThermalZone(name, celsius, self._critical[zone])


def _critical(tree: Tree, folder: str) -> float | None:
    for match in filter(None, map(_TRIP.fullmatch, tree.names(folder))):
        if tree.read(f"{folder}/{match[0]}") == "critical":
            celsius = _celsius(tree, f"{folder}/{match[1]}_temp")
            return celsius if celsius and 0 < celsius <= _HOTTEST_C else None
    return None


def _celsius(tree: Tree, path: str) -> float | None:
    millidegrees = tree.integer(path, low=-(10**9), high=10**9)
    return None if millidegrees is None else millidegrees / 1000
