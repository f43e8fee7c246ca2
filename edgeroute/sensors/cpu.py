"""The processor as this process may use it: cores, big ones, affinity, quota, instructions.

Owns reading it once. How many threads a worker gets is `Cpu.threads`.
"""

import os
import re
from itertools import pairwise

from edgeroute.domain.hardware import Cpu
from edgeroute.sensors.cgroup import V1, Group, ancestors
from edgeroute.sensors.sysfs import Tree

_CPUS = "/sys/devices/system/cpu"
_MOST = 8192  # greatest NR_CPUS of any Linux build

_INSTRUCTIONS = (
    "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8",
    "asimd", "asimddp", "i8mm", "sve",
)  # fmt: skip

_ARM_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53", ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57", ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73", ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76", ("0x41", "0xd0d"): "Cortex-A77",
    ("0x41", "0xd41"): "Cortex-A78", ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd4b"): "Cortex-A78C", ("0x41", "0xd44"): "Cortex-X1",
    ("0x41", "0xd46"): "Cortex-A510", ("0x41", "0xd47"): "Cortex-A710",
    ("0x41", "0xd80"): "Cortex-A520", ("0x41", "0xd81"): "Cortex-A720",
    ("0x41", "0xd85"): "Cortex-X925", ("0x41", "0xd87"): "Cortex-A725",
    ("0x41", "0xd0c"): "Neoverse-N1", ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd49"): "Neoverse-N2", ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x4e", "0x003"): "NVIDIA Denver 2", ("0x4e", "0x004"): "NVIDIA Carmel",
}  # fmt: skip

_BIG_STEP = 1.25
"""Capacities further apart than this are different kinds of cores. Boost bins of one kind differ
by a few percent; the closest real pair, Cortex-A53 beside A73 at one clock, by 1.38."""

_CPU_MAX = re.compile(r"([0-9]{1,15}) ([1-9][0-9]{0,15})")  # quota and period; else "max"

_Processor = dict[str, str]
"""One block of `/proc/cpuinfo`."""


def read_cpu(tree: Tree) -> Cpu:
    """The processor; whatever is not known is named in the tree's gaps."""
    processors = _processors(tree)
    online = _online(tree, processors)
    allowed = tuple(sorted(os.sched_getaffinity(0))) if tree.real else online
    performance = _performance(tree, allowed)
    cores = {cpu: _core(tree, cpu) for cpu in {*online, *allowed}}
    if None in cores.values():
        tree.gap(f"{_CPUS}/cpu*/topology", "not there; every logical CPU counts as a core")
    return Cpu(
        model=_model(tree, processors),
        architecture=_architecture(tree, processors),
        logical=len(online),
        physical=len({cores[cpu] or cpu for cpu in online}),
        allowed=allowed,
        performance=performance,
        performance_cores=len({cores[cpu] or cpu for cpu in performance}),
        quota_cores=_quota(tree),
        instructions=_instructions(processors),
    )


def _processors(tree: Tree) -> list[_Processor]:
    blocks = [
        {key.strip(): value.strip() for key, _, value in map(_split, block.splitlines())}
        for block in (tree.read("/proc/cpuinfo") or "").split("\n\n")
    ]
    processors = [block for block in blocks if "processor" in block]
    if not processors:
        tree.gap("/proc/cpuinfo", "no processor in it")
    return processors


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _online(tree: Tree, processors: list[_Processor]) -> tuple[int, ...]:
    listed = _cpu_list(tree, f"{_CPUS}/online")
    if listed is None:
        tree.gap(f"{_CPUS}/online", "says nothing; processors are counted in /proc/cpuinfo")
    return listed or tuple(range(max(1, len(processors))))


def _cpu_list(tree: Tree, path: str) -> tuple[int, ...] | None:
    """A list of ranges such as `0-3,8`; `None` where the file is not there or means nothing."""
    text = tree.read(path)
    if not text:
        return None
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        if match is None or int(match[2] or 0) >= _MOST:
            tree.gap(path, f"{text[:40]!r} is not a list of CPUs")
            return None
        cpus.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(cpus)) or None


def _performance(tree: Tree, allowed: tuple[int, ...]) -> tuple[int, ...]:
    """The big cores among the allowed ones; all of them where they do not differ."""
    intel = _cpu_list(tree, "/sys/devices/cpu_core/cpus")
    big = set(intel) if intel else _largest(tree, allowed)
    return tuple(cpu for cpu in allowed if cpu in big) or allowed


def _largest(tree: Tree, allowed: tuple[int, ...]) -> set[int]:
    """CPUs above the widest step in `cpu_capacity`, if one is wide enough to mean two kinds."""
    read = {cpu: tree.integer(f"{_CPUS}/cpu{cpu}/cpu_capacity", low=1) for cpu in allowed}
    known = {cpu: capacity for cpu, capacity in read.items() if capacity is not None}
    ladder = sorted(set(known.values()))
    steps = [(upper / lower, upper) for lower, upper in pairwise(ladder)]
    step, least = max(steps, default=(1.0, 0))
    return {cpu for cpu, capacity in known.items() if step >= _BIG_STEP and capacity >= least}


def _core(tree: Tree, cpu: int) -> tuple[int | None, ...] | None:
    """What tells one physical core from another: package, die and core number."""
    folder = f"{_CPUS}/cpu{cpu}/topology"
    core = tree.integer(f"{folder}/core_id", low=-1)
    if core is None:
        return None
    # A package of -1 is a board whose firmware does not say; die_id is new in Linux 5.2.
    package = tree.integer(f"{folder}/physical_package_id", low=-1)
    return package, tree.integer(f"{folder}/die_id", low=-1), core


def _model(tree: Tree, processors: list[_Processor]) -> str:
    """Parts of an ARM chip, big and little; elsewhere the name that the processor gives itself."""
    # ARM first: L4T's kernel adds a `model name` that says "ARMv8 Processor rev 1 (v8l)".
    parts = {_part(block): None for block in processors if "CPU part" in block}
    if parts:
        return " + ".join(parts)
    for block in processors:
        if block.get("model name"):
            return block["model name"]
    name = tree.read("/proc/device-tree/model")
    if not name:
        tree.gap("processor model", "neither /proc/cpuinfo nor the device tree names it")
    return name or "unknown"


def _part(block: _Processor) -> str:
    implementer, part = block.get("CPU implementer", ""), block["CPU part"]
    return _ARM_PARTS.get((implementer, part), f"ARM {implementer}/{part}")


def _architecture(tree: Tree, processors: list[_Processor]) -> str:
    """As `uname -m` has it, from `/proc/cpuinfo`, so that a drawn machine says its own."""
    first = processors[0] if processors else {}
    if "flags" in first:
        return "x86_64" if "lm" in first["flags"].split() else "i686"
    if "CPU architecture" in first:
        return "aarch64" if first["CPU architecture"] in ("8", "AArch64") else "armv7l"
    tree.gap("processor architecture", "/proc/cpuinfo is of neither x86 nor ARM")
    return "unknown"


def _instructions(processors: list[_Processor]) -> tuple[str, ...]:
    """Of those that matter to inference, the ones that every processor has."""
    flags = [set(block.get("flags", block.get("Features", "")).split()) for block in processors]
    every = set.intersection(*flags) if flags else set()
    return tuple(name for name in _INSTRUCTIONS if name in every)


def _quota(tree: Tree) -> float | None:
    """Cores that the tightest ancestor control group grants."""
    quotas = [_group_quota(tree, group) for group in ancestors(tree, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _group_quota(tree: Tree, group: Group) -> float | None:
    if group.version == V1:
        quota = tree.integer(f"{group.folder}/cpu.cfs_quota_us", low=-1)
        period = tree.integer(f"{group.folder}/cpu.cfs_period_us", low=1)
        return quota / period if quota and quota > 0 and period else None
    limited = _CPU_MAX.fullmatch(tree.read(f"{group.folder}/cpu.max") or "")
    return int(limited[1]) / int(limited[2]) if limited else None
