"""Every joule counter that a machine has, best first, each saying what it includes.

Owns which meters there are and which of them may be added up. How each sensor is read is its own
file's; what an amount of joules means is `domain/energy`'s.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from edgeroute.domain.device import Device
from edgeroute.domain.energy import Metered
from edgeroute.domain.hardware import Power
from edgeroute.domain.units import Joules
from edgeroute.sensors import ina3221, rapl
from edgeroute.sensors.integral import Accumulator, Integrator
from edgeroute.sensors.sysfs import Tree

_SETTLED_J = 1.0
"""A processor counts as much within a second, and a counter that has not moved by then does not."""


Spent = Callable[[], Mapping[int, float]]
"""CPU seconds of each of our processes that lives."""


class Asked(Protocol):
    """Asks GPUs."""

    def __call__(
        self, tree: Tree, *, gpu_in_use: bool
    ) -> Mapping[str, tuple[int | None, float | None]]:
        """Millijoules counted and watts of each that may be asked now, by name."""
        ...


class Meter(Protocol):
    """A joule counter that never falls."""

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """What it says at `now`, monotonic seconds. Does not raise.

        `gpu_in_use` says that a model of ours computes on GPUs.
        """
        ...

    def edge(self, now: float) -> None:
        """Work begins or ends now: power may jump here."""
        ...

    def resume(self) -> None:
        """The machine has slept: what it counted since the last reading is not known."""
        ...


class RailMeter:
    """A Jetson's rails, integrated.

    Args:
        rails: Whose sum is the whole module.
    """

    def __init__(self, rails: tuple[ina3221.Rail, ...]) -> None:
        self._rails = rails
        self._source = "+".join(rail.label for rail in rails)
        self._integral = Integrator()

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """See `Meter`."""
        watts = ina3221.total_watts(tree, self._rails)
        if watts is not None:
            self._integral.add(now, watts)
        joules = None if watts is None else self._integral.joules
        return Metered(self._source, "board", "integrated", joules)

    def edge(self, now: float) -> None:
        """See `Meter`."""
        self._integral.edge(now)

    def resume(self) -> None:
        """See `Meter`."""
        self._integral.forget()


class RaplMeter:
    """The processor's own counters: the platform's where it moves, else all packages.

    Some firmware shows a platform counter that stands still while the packages count. So which it
    is, is settled once the packages have counted a little; until then they are what counts.
    """

    def __init__(self) -> None:
        self.joules = Joules(0.0)
        self._platform: dict[str, Accumulator] = {}
        self._packages: dict[str, Accumulator] = {}
        self._whole: bool | None = None

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """See `Meter`."""
        package_j = _grown(self._packages, rapl.read_energy(tree))
        platform_j = _grown(self._platform, rapl.read_platform(tree))
        if self._whole is None and _sum(self._packages) > _SETTLED_J:
            self._whole = _sum(self._platform) > 0
        chosen = platform_j if self._whole or package_j is None else package_j
        zones = self._platform if self._whole or package_j is None else self._packages
        if chosen is not None:
            self.joules = Joules(self.joules + chosen)
        return Metered(
            "+".join(zones) or "intel-rapl",
            "board" if zones is self._platform else "package",
            "counter",
            None if chosen is None else self.joules,
        )

    def edge(self, now: float) -> None:
        """See `Meter`; a counter misses nothing."""

    def resume(self) -> None:
        """See `Meter`."""
        for counter in (*self._platform.values(), *self._packages.values()):
            counter.forget()


def _grown(sums: dict[str, Accumulator], told: Mapping[str, rapl.Counter] | None) -> float | None:
    """Joules that zones have counted since they were last read."""
    if told is None:
        return None
    before = _sum(sums)
    for zone, counter in told.items():
        sums.setdefault(zone, Accumulator(rapl.JOULES_PER_UNIT)).add(counter.value, counter.limit)
    return _sum(sums) - before


def _sum(parts: Mapping[str, Accumulator]) -> float:
    return sum(part.joules for part in parts.values())


class GpuMeter:
    """Accelerators with memory of their own, by their driver's counters, else their watts.

    Args:
        ask: Must not wake, or keep awake, a GPU that nobody uses.
    """

    def __init__(self, ask: Asked) -> None:
        self._ask = ask
        self._counted: dict[str, Accumulator] = {}
        self._integrated: dict[str, Integrator] = {}

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """See `Meter`."""
        told = self._ask(tree, gpu_in_use=gpu_in_use)
        for name, (millijoules, watts) in told.items():
            if millijoules is not None:
                self._counted.setdefault(name, Accumulator(1e-3)).add(millijoules)
            elif watts is not None and name not in self._counted:
                self._integrated.setdefault(name, Integrator()).add(now, watts)
        parts: Mapping[str, Integrator | Accumulator] = {**self._integrated, **self._counted}
        source = "+".join(parts) or "NVML"
        if not any(name in parts for name in told):
            return Metered(source, "gpu", "counter", None)
        joules = Joules(sum(part.joules for part in parts.values()))
        return Metered(source, "gpu", "integrated" if self._integrated else "counter", joules)

    def edge(self, now: float) -> None:
        """See `Meter`."""
        for integral in self._integrated.values():
            integral.edge(now)

    def resume(self) -> None:
        """See `Meter`."""
        parts: tuple[Integrator | Accumulator, ...] = (
            *self._integrated.values(),
            *self._counted.values(),
        )
        for part in parts:
            part.forget()


class BatteryMeter:
    """What the batteries give, integrated: for hours and not for queries.

    Gauges update every few seconds to tens of seconds.

    Args:
        power: As the power sensor told it last.
    """

    def __init__(self, power: Callable[[], Power]) -> None:
        self._power = power
        self._integral = Integrator()

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """See `Meter`."""
        power = self._power()
        if power.on_battery and power.discharge_w is not None:
            self._integral.add(now, power.discharge_w)
        told = power.state not in ("absent", "unknown") and (
            not power.on_battery or power.discharge_w is not None
        )
        joules = self._integral.joules if told else None
        return Metered("batteries", "battery", "integrated", joules)

    def edge(self, now: float) -> None:
        """See `Meter`; a gauge shows no edges."""

    def resume(self) -> None:
        """See `Meter`."""
        self._integral.forget()


class CpuTimeMeter:
    """CPU seconds of our own processes times watts: a model, where no counter can be read.

    Args:
        spent: Of the daemon and its workers.
        watts: Of one busy CPU, calibrated or assumed.
    """

    def __init__(self, spent: Spent, watts: float) -> None:
        self.watts = watts
        self._spent = spent
        self._before: dict[int, float] = {}
        self._seconds = 0.0

    def read(self, tree: Tree, now: float, *, gpu_in_use: bool = False) -> Metered:
        """See `Meter`."""
        spent = self._spent()
        for pid, seconds in spent.items():
            self._seconds += max(0.0, seconds - self._before.get(pid, 0.0))
        self._before = dict(spent)  # a process that is gone keeps what it took in the sum
        joules = Joules(self._seconds * self.watts) if spent else None
        return Metered(f"CPU seconds x {self.watts:g} W", "package", "model", joules, own=True)

    def edge(self, now: float) -> None:
        """See `Meter`; CPU time misses nothing."""

    def resume(self) -> None:
        """See `Meter`; no process computes while the machine sleeps."""


def find_meters(tree: Tree, ask_gpus: Asked, spent: Spent, device: Device) -> tuple[Meter, ...]:
    """The meters of a machine that may be added up, the one that includes the processor first.

    1. A Jetson's rails: the whole module, its GPU included. 2. The processor's counters.
    3. CPU time. To 2 and 3 come GPUs with memory of their own.

    Args:
        tree: The machine's files.
        ask_gpus: See `GpuMeter`.
        spent: See `CpuTimeMeter`.
        device: Which rails are the whole, and the watts of `CpuTimeMeter`.
    """
    rails = ina3221.whole(ina3221.find_rails(tree), device.rails)
    if rails and ina3221.total_watts(tree, rails) is not None:
        return (RailMeter(rails),)
    counted = rapl.read_energy(tree) or rapl.read_platform(tree)
    processor = RaplMeter() if counted else CpuTimeMeter(spent, device.watts_per_thread)
    return (processor, GpuMeter(ask_gpus))
