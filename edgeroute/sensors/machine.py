"""All sensors of one machine as the `Sensors` port.

Owns which sensors make up hardware and telemetry. What each file means is known by its sensor.
"""

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from edgeroute.domain.hardware import CpuTimes, Hardware, Telemetry
from edgeroute.domain.load import Footprint
from edgeroute.sensors import jetson
from edgeroute.sensors.cpu import read_cpu
from edgeroute.sensors.cpu_times import read_cpu_times
from edgeroute.sensors.gpu import Gpus
from edgeroute.sensors.memory import process_footprint, read_memory
from edgeroute.sensors.nvml import Nvml
from edgeroute.sensors.power import read_power
from edgeroute.sensors.sysfs import Tree
from edgeroute.sensors.thermal import Thermal

_REAL = Path("/")


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
        self._thermal = Thermal()
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
        return Hardware(cpu, board, release, unified, tree.gaps)

    def telemetry(self) -> Telemetry:
        """How it is doing now. Does not raise.

        Under 1 ms where no GPU is asked; a question to a GPU's driver may take longer.
        """
        if self._foreign:
            from edgeroute.sensors import portable  # noqa: PLC0415 - psutil takes 40 ms

            return portable.read_telemetry()
        tree = Tree(self._root)
        return Telemetry(
            memory=read_memory(tree),
            power=read_power(tree),
            gpus=self._gpus.read(tree),
            thermal=self._thermal.read(tree),
            gaps=tree.gaps,
        )

    def cpu_times(self, cpus: Collection[int], pids: Iterable[int]) -> CpuTimes | None:
        """CPU seconds so far on these CPUs and of these processes; `None` on macOS always."""
        return read_cpu_times(Tree(self._root), cpus, pids)

    def footprint(self, pid: int) -> Footprint | None:
        """RAM of a process; `None` where it is gone or unreadable, and on macOS always."""
        return process_footprint(Tree(self._root), pid)
