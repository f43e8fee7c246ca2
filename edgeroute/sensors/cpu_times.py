"""CPU time spent, by everybody and by single processes.

Owns reading `/proc/stat` and `/proc/PID/stat`, in clock ticks of 10 ms on every usual kernel.
"""

import os
from collections.abc import Collection, Iterable

from edgeroute.domain.hardware import CpuTimes
from edgeroute.sensors.sysfs import Tree

_IDLE = (3, 4)
"""Columns of idle time and of waiting for disks; nobody computes in either."""
_GUESTS = 8
"""From this column on time is told that was told before, as user time."""


def read_cpu_times(tree: Tree, cpus: Collection[int], pids: Iterable[int]) -> CpuTimes | None:
    """CPU seconds so far; `None` where the machine does not tell.

    Args:
        tree: The machine's files.
        cpus: CPUs that count.
        pids: Processes of which one wants to know; those that are gone are left out.
    """
    wanted = {f"cpu{cpu}" for cpu in cpus}
    rows = [line.split() for line in (tree.read("/proc/stat") or "").splitlines()]
    busy = [_busy(row[1:]) for row in rows if row and row[0] in wanted]
    if not busy:
        return None
    ticks = {pid: _spent(tree.read(f"/proc/{pid}/stat")) for pid in pids}
    per_s = os.sysconf("SC_CLK_TCK")
    return CpuTimes(
        sum(busy) / per_s,
        {pid: spent / per_s for pid, spent in ticks.items() if spent is not None},
    )


def _busy(columns: list[str]) -> int:
    told = [int(ticks) for ticks in columns[:_GUESTS] if ticks.isdecimal()]
    return sum(told) - sum(told[column] for column in _IDLE if column < len(told))


def _spent(stat: str | None) -> int | None:
    """User and system ticks of a process; its name, in brackets, may hold anything."""
    columns = (stat or "").rpartition(")")[2].split()
    user, system = columns[11:13] if len(columns) > 12 else ("", "")  # noqa: PLR2004
    return int(user) + int(system) if user.isdecimal() and system.isdecimal() else None
