"""All sensors of one machine as the `Sensors` port.

Owns which sensors make up hardware and telemetry. What each file means is known by its sensor.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgeroute.domain.device import Device
from edgeroute.domain.energy import Metered
from edgeroute.domain.hardware import CpuTimes, Gap, Gpu, Hardware, Memory, Power, Telemetry
from edgeroute.domain.load import Footprint
from edgeroute.domain.units import Bytes
from edgeroute.sensors import jetson
from edgeroute.sensors.clocks import read_clocks
from edgeroute.sensors.cpu import read_cpu
from edgeroute.sensors.cpu_times import process_cpu_s, read_cpu_times
from edgeroute.sensors.gpu import Gpus
from edgeroute.sensors.memory import anonymous_bytes, process_footprint, read_memory
from edgeroute.sensors.meters import BatteryMeter, Meter, find_meters
from edgeroute.sensors.nvml import Nvml
from edgeroute.sensors.power import read_power
from edgeroute.sensors.sleep import Waking, suspended_s
from edgeroute.sensors.sysfs import Tree
from edgeroute.sensors.thermal import Thermal

_REAL = Path("/")


class Meters:
    """The joule counters of one machine (see `ports.Meters`).

    Args:
        root: Of the machine's files.
        meters: That may be added up.
        battery: What the batteries give, which includes all of them.
        clock: Seconds, monotonic.
        slept_s: Seconds that the machine has slept.
        gaps: What could not be read when meters were looked for.

    Attributes:
        gaps: These, and what could not be read the last time.
    """

    def __init__(
        self,
        root: Path,
        meters: tuple[Meter, ...],
        battery: BatteryMeter,
        clock: Callable[[], float],
        slept_s: Callable[[], float],
        gaps: tuple[Gap, ...],
    ) -> None:
        self.gaps = gaps
        self._missing = gaps
        self._root = root
        self._meters = meters
        self._battery = battery
        self._clock = clock
        self._slept_s = slept_s
        self._waking = Waking(slept_s())

    def read(self, *, gpu_in_use: bool = False) -> tuple[Metered, ...]:
        """What each says now. Does not raise.

        After a sleep they have nothing to say once: counters may have begun anew meanwhile, and
        what was drawn in it is nobody's.

        Args:
            gpu_in_use: A model of ours computes on GPUs; else those that could sleep are not asked.
        """
        tree, now = Tree(self._root), self._clock()
        slept = self._waking.noticed(self._slept_s())
        if slept:
            for meter in (*self._meters, self._battery):
                meter.resume()
        told = tuple(meter.read(tree, now, gpu_in_use=gpu_in_use) for meter in self._meters)
        self.gaps = (*self._missing, *tree.gaps)
        return tuple(replace(each, joules=None) for each in told) if slept else told

    def battery(self) -> Metered:
        """What the batteries have given, by the telemetry read last."""
        return self._battery.read(Tree(self._root), self._clock())

    def edge(self) -> None:
        """Work begins or ends now."""
        now = self._clock()
        for meter in self._meters:
            meter.edge(now)


class Machine:
    """This machine, or one that a folder stands for.

    Args:
        root: Where `proc`, `sys` and `etc` are. Of a folder other than `/` only files are read:
            no affinity, no library, nothing of the machine underneath.
        nvml: Asks the GPUs; by default only on the machine itself.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        root: Path = _REAL,
        *,
        nvml: Nvml | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        real = root == _REAL
        self._root = root
        self._foreign = real and not Path("/proc/meminfo").exists()
        self._clock = clock
        self._thermal = Thermal()
        self._power = Power("unknown")
        self._gpus = Gpus(Nvml() if real and nvml is None else nvml, clock)

    def hardware(self) -> Hardware:
        """What this machine is. Does not raise."""
        if self._foreign:
            from edgeroute.sensors import portable  # noqa: PLC0415 - psutil takes 40 ms

            return portable.read_hardware()
        tree = Tree(self._root)
        cpu = read_cpu(tree)
        board = jetson.read_board(tree)
        release = jetson.read_release(tree)
        unified = jetson.is_tegra(tree) or any(gpu.unified for gpu in self._gpus.read(tree))
        if tree.read("/proc/pressure/memory") is None:
            # Normal on many kernels: worth a line once, not in every reading of the telemetry.
            tree.gap("/proc/pressure/memory", "not in this kernel, or switched off")
        compatible, chassis = jetson.read_compatible(tree), jetson.read_chassis(tree)
        return Hardware(cpu, board, release, unified, tree.gaps, compatible, chassis)

    def telemetry(self) -> Telemetry:
        """How it is doing now. Does not raise.

        Under 1 ms where no GPU is asked; a question to a GPU's driver may take longer.
        """
        if self._foreign:
            from edgeroute.sensors import portable  # noqa: PLC0415 - psutil takes 40 ms

            return portable.read_telemetry()
        tree = Tree(self._root)
        self._power = read_power(tree)
        return Telemetry(
            memory=read_memory(tree),
            power=self._power,
            gpus=self._gpus.read(tree),
            thermal=self._thermal.read(tree),
            gaps=tree.gaps,
            clocks=read_clocks(tree),
            suspended_s=suspended_s() if tree.real else 0.0,
        )

    def memory(self) -> Memory:
        """RAM alone. Does not raise."""
        if self._foreign:
            return self.telemetry().memory
        return read_memory(Tree(self._root))

    def gpus(self, *, ours: bool) -> Sequence[Gpu]:
        """GPUs alone (see `Gpus.read`). Does not raise; a driver may take a while to answer."""
        return () if self._foreign else self._gpus.read(Tree(self._root), ours=ours)

    def meters(self, pids: Callable[[], Iterable[int]], device: Device) -> "Meters":
        """The joule counters of this machine.

        Args:
            pids: Our own processes.
            device: Which rails are the whole, and watts for the model that stands in where nothing
                is counted.
        """
        tree = Tree(self._root)
        meters = find_meters(
            tree,
            self._gpus.energies,
            lambda: process_cpu_s(Tree(self._root), pids()),
            device,
        )
        battery = BatteryMeter(lambda: self._power)
        slept_s = suspended_s if tree.real else lambda: 0.0
        return Meters(self._root, meters, battery, self._clock, slept_s, tree.gaps)

    def cpu_times(self, cpus: Collection[int], pids: Iterable[int]) -> CpuTimes | None:
        """CPU seconds so far on these CPUs and of these processes; `None` on macOS always."""
        return read_cpu_times(Tree(self._root), cpus, pids)

    def cpu_seconds(self, pids: Iterable[int]) -> Mapping[int, float]:
        """CPU seconds of each of these processes that lives, finer than `cpu_times`."""
        return process_cpu_s(Tree(self._root), pids)

    def footprint(self, pid: int) -> Footprint | None:
        """RAM of a process; `None` where it is gone or unreadable, and on macOS always."""
        return process_footprint(Tree(self._root), pid)

    def anonymous(self, pid: int) -> Bytes | None:
        """Anonymous RAM of a process; `None` where it is gone, and on macOS always."""
        return anonymous_bytes(Tree(self._root), pid)
