"""What machine this is (`Hardware`, read once) and how it is doing (`Telemetry`, read often).

Every field that a machine may lack is optional: `None` is "not there or not readable", and
`Gap`s say which and why. Nothing here is ever a silent zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgeroute.domain.units import Bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor as this process may use it.

    Attributes:
        allowed: CPU numbers of the affinity mask.
        performance: Those of them that are big cores; all of `allowed` where cores do not differ.
        performance_cores: Physical cores behind `performance`; `None` where the topology is not
            known, then `logical / physical` stands for it.
        most_threads: Compute threads that are of use at most, as far as the device is known.
        quota_cores: Limit of `cpu.max` over all ancestor cgroups, in cores; `None` is unlimited.
        instructions: Instruction set extensions that matter to inference, e.g. `avx512_vnni`.
    """

    model: str
    architecture: str
    logical: int
    physical: int
    allowed: tuple[int, ...]
    performance: tuple[int, ...]
    quota_cores: float | None = None
    instructions: tuple[str, ...] = ()
    performance_cores: int | None = None
    most_threads: int | None = None

    @property
    def hybrid(self) -> bool:
        """Whether big and little cores differ."""
        return self.performance != self.allowed

    @property
    def threads(self) -> int:
        """Compute threads to use: one per big physical core, within the quota, at least one."""
        cores = self.performance_cores
        if cores is None:
            per_core = max(1, self.logical // max(1, self.physical))
            cores = max(1, len(self.performance) // per_core)
        limits = (cores, self.quota_cores, self.most_threads)
        return max(1, int(min(limit for limit in limits if limit is not None)))


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator. On Jetson Orin NVML starts and then refuses almost every query.

    Attributes:
        unified: Shares the system's memory; its bytes are booked as RAM.
        awake: `False` where the PCI device is runtime-suspended; then nothing else was asked.
        slowed: Runs slower than it could, for heat.
    """

    index: int
    name: str
    total: Bytes | None = None
    free: Bytes | None = None
    unified: bool = False
    awake: bool = True
    utilisation_pct: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    driver: str | None = None
    slowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """RAM as the kernel and every ancestor cgroup see it.

    Attributes:
        available: `MemAvailable`, which counts mapped weights as free.
        cgroup_headroom: Least of limit - usage + page cache over all ancestors.
        cgroup_limit: The least limit over all ancestors.
        psi_some_avg10: Share of the last 10 s in which some task waited for memory, percent.
    """

    total: Bytes
    available: Bytes
    cgroup_headroom: Bytes | None = None
    cgroup_limit: Bytes | None = None
    psi_some_avg10: float | None = None
    psi_full_avg10: float | None = None


PowerState = Literal["absent", "ac", "discharging", "plugged_but_discharging", "unknown"]


@dataclass(frozen=True, slots=True)
class Power:
    """Battery and mains.

    Attributes:
        percent: Charge over all batteries, 0..100.
        discharge_w: Watts drawn from the batteries, positive while discharging.
        time_left_s: Until empty at the present rate.
        stored_j: Energy in all batteries together.
    """

    state: PowerState
    percent: float | None = None
    discharge_w: float | None = None
    time_left_s: float | None = None
    stored_j: float | None = None

    @property
    def on_battery(self) -> bool:
        """Whether energy is being taken from the battery."""
        return self.state in ("discharging", "plugged_but_discharging")


@dataclass(frozen=True, slots=True)
class ThermalZone:
    """One temperature, degrees Celsius, with the kernel's critical trip point where it has one."""

    name: str
    celsius: float
    critical_c: float | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the machine is told about speed, and whether heat slows it down.

    Attributes:
        power_mode: Of a Jetson (`nvpmodel`), else the firmware's profile, such as `low-power`.
        governor: Of the first processor's clock, such as `schedutil`.
        throttle_events: How often heat has slowed the processor since it was started; only that
            it grows means anything.
        slowed: The firmware says that it is slowed down now; Raspberry Pis tell.
    """

    power_mode: str | None = None
    governor: str | None = None
    throttle_events: int | None = None
    slowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """How the machine is doing now; a reading never raises, what failed is in `gaps`.

    Attributes:
        suspended_s: Seconds that the machine has slept since it was started: what was seen before
            says nothing of what is after.
    """

    memory: Memory
    power: Power = Power("absent")
    gpus: tuple[Gpu, ...] = ()
    thermal: tuple[ThermalZone, ...] = ()
    gaps: tuple[Gap, ...] = ()
    clocks: Clocks = Clocks()
    suspended_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds spent so far; only differences mean anything.

    Attributes:
        everybody: By all programs, on the CPUs that this process may use.
        processes: By each of the processes asked for that still lives.
    """

    everybody: float
    processes: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine is; does not change while the daemon runs.

    Attributes:
        board: Device-tree or DMI name, e.g. `NVIDIA Jetson Orin Nano`.
        jetson: L4T release where this is a Jetson.
        unified_memory: GPU and CPU share one memory.
        compatible: What else the device tree calls board, module and chip.
        chassis: What sort of thing it is, by the firmware's number (SMBIOS).
    """

    cpu: Cpu
    board: str | None = None
    jetson: str | None = None
    unified_memory: bool = False
    gaps: tuple[Gap, ...] = field(default=())
    compatible: tuple[str, ...] = ()
    chassis: int | None = None
