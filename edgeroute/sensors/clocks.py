"""How fast the machine is allowed to be, and whether heat holds it back. Nothing here is changed.

Owns the power mode of a Jetson and of a laptop's firmware, the governor of the processor's clock,
and what processors count of being slowed down.
"""

import re

from edgeroute.domain.hardware import Clocks
from edgeroute.sensors.sysfs import Tree

_JETSON_MODE = "/var/lib/nvpmodel/status"  # what `nvpmodel -q` prints, without running it
_JETSON_MODES = "/etc/nvpmodel.conf"
_FIRMWARE_MODE = "/sys/firmware/acpi/platform_profile"
_GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
_THROTTLED = "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
_PI = "/sys/devices/platform/soc/soc:firmware/get_throttled"

_MODE = re.compile(r"pmode:0*(?P<id>\d+)")
_NAMED_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(?P<id>\d+)\s+NAME=(?P<name>\S+)\s*>")
_PI_NOW = 0xF
"""Bits of now: too little voltage, clock capped, slowed, warm; the ones above are of the past."""


def read_clocks(tree: Tree) -> Clocks:
    """As they stand now; most machines have only some of it."""
    return Clocks(
        power_mode=_jetson_mode(tree) or tree.read(_FIRMWARE_MODE) or None,
        governor=tree.read(_GOVERNOR) or None,
        throttle_events=tree.integer(_THROTTLED),
        slowed=_pi_slowed(tree),
    )


def _jetson_mode(tree: Tree) -> str | None:
    """By its name, such as `25W`, else by its number."""
    chosen = _MODE.search(tree.read(_JETSON_MODE) or "")
    if chosen is None:
        return None
    names = _NAMED_MODE.finditer(tree.read(_JETSON_MODES) or "")
    return next((mode["name"] for mode in names if mode["id"] == chosen["id"]), chosen["id"])


def _pi_slowed(tree: Tree) -> bool | None:
    text = tree.read(_PI)
    if text is None:
        return None
    try:
        return bool(int(text, 16) & _PI_NOW)
    except ValueError:
        tree.gap(_PI, f"{text[:40]!r} is not a number")
        return None
