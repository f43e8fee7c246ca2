"""Battery and mains, from `/sys/class/power_supply`.

Owns its units and quirks: watts from power or from current and voltage, several batteries as one,
the batteries of mice left out. Joules per query are not measured here: gauges update every few
seconds to tens of seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edgeroute.domain.hardware import Power, PowerState
from edgeroute.sensors.sysfs import Tree

SUPPLIES = "/sys/class/power_supply"
_LINES = ("Mains", "USB", "Wireless")  # USB may have a suffix: USB_C, USB_PD
_SETTLED = ("Charging", "Full", "Not charging")
_MICRO = 1e-6
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Battery:
    """One battery of the machine; `None` is what its driver does not tell."""

    status: str | None
    percent: int | None
    stored_wh: float | None
    full_wh: float | None
    watts: float | None


def read_power(tree: Tree) -> Power:
    """State, charge and draw over all batteries; `unknown` where supplies cannot be read."""
    batteries, lines = [], []
    for name in tree.names(SUPPLIES):
        folder = f"{SUPPLIES}/{name}"
        kind = tree.read(f"{folder}/type") or ""
        if kind == "Battery" and _of_this_machine(tree, folder):
            batteries.append(_battery(tree, folder))
        elif kind.startswith(_LINES):
            lines.append(tree.integer(f"{folder}/online"))
    if not batteries:
        return Power("unknown" if tree.failed(SUPPLIES) else "absent")
    state = _state([battery.status for battery in batteries], plugged=_plugged(lines))
    return _power(state, batteries)


def _of_this_machine(tree: Tree, folder: str) -> bool:
    """Not the battery of a mouse or headset (`scope` is `Device`), nor an empty bay."""
    return tree.read(f"{folder}/scope") != "Device" and tree.read(f"{folder}/present") != "0"


def _battery(tree: Tree, folder: str) -> _Battery:
    def micro(name: str) -> float | None:
        # Some drivers count current and power as negative while discharging.
        value = tree.integer(f"{folder}/{name}", low=-(10**12), high=10**12)
        return None if value is None else abs(value) * _MICRO

    volts = micro("voltage_now")
    return _Battery(
        status=tree.read(f"{folder}/status"),
        percent=tree.integer(f"{folder}/capacity", high=100),
        stored_wh=_either(micro("energy_now"), micro("charge_now"), volts),
        full_wh=_either(micro("energy_full"), micro("charge_full"), volts),
        watts=_either(micro("power_now"), micro("current_now"), volts),
    )


def _either(watts: float | None, amperes: float | None, volts: float | None) -> float | None:
    """Energy or power as such, else charge or current times voltage. Nought is no value."""
    if watts is None and amperes is not None and volts is not None:
        watts = amperes * volts
    return watts or None


def _plugged(lines: list[int | None]) -> bool | None:
    """Whether any line brings power (2 is a negotiated USB voltage); `None` is not known."""
    if any(lines):
        return True
    return None if None in lines or not lines else False


def _state(statuses: list[str | None], *, plugged: bool | None) -> PowerState:
    """What the batteries say, else what the lines say.

    1. A battery that discharges does so, plugged in or not.
    2. A battery that charges is on mains, even if the line says otherwise (some USB-C firmware).
    3. Without a line in, the battery is the only source, whatever it says: some show "Full" or
       "Not charging" for a while after the plug is pulled.
    4. Else it is on mains if either says so.
    """
    if "Discharging" in statuses:
        return "plugged_but_discharging" if plugged else "discharging"
    if "Charging" in statuses:
        return "ac"
    if plugged is False:
        return "discharging"
    return "ac" if plugged or any(status in _SETTLED for status in statuses) else "unknown"


def _power(state: PowerState, batteries: list[_Battery]) -> Power:
    stored = _total(battery.stored_wh for battery in batteries)
    full = _total(battery.full_wh for battery in batteries)
    draw = None
    if state in ("discharging", "plugged_but_discharging"):
        sources = [battery for battery in batteries if battery.status == "Discharging"]
        draw = _total(battery.watts for battery in sources or batteries)
    return Power(
        state=state,
        percent=_percent(batteries, stored, full),
        discharge_w=draw,
        time_left_s=stored / draw * _HOUR_S if stored and draw else None,
        stored_j=None if stored is None else stored * _HOUR_S,
    )


def _total(amounts: Iterable[float | None]) -> float | None:
    """The sum, where every battery tells its part."""
    known = list(amounts)
    return None if None in known else sum(amount for amount in known if amount is not None)


def _percent(batteries: list[_Battery], stored: float | None, full: float | None) -> float | None:
    """Charge over all batteries; where energies are not told, the mean of their own percentages."""
    if stored is not None and full:
        return min(100.0, 100.0 * stored / full)  # a new gauge runs a little over its full mark
    shares = [battery.percent for battery in batteries if battery.percent is not None]
    return sum(shares) / len(shares) if len(shares) == len(batteries) else None
