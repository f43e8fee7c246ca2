"""CPU time spent, by everybody and by single processes.

Owns reading `/proc/stat` and `/proc/PID/stat`, in clock ticks of 10 ms on every usual kernel.
"""

import os
import sys
import time
from collections.abc import Collection, Iterable, Mapping

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
    told = {pid: _ticks_s(tree, pid) for pid in pids}
    return CpuTimes(sum(busy) / os.sysconf("SC_CLK_TCK"), _living(told))


def process_cpu_s(tree: Tree, pids: Iterable[int]) -> dict[int, float]:
    """CPU seconds of each of these processes that lives.

    On the machine itself to the nanosecond, by the process's own clock and without a file: this is
    asked ten times a second, and a short answer takes few ticks of 10 ms.
    """
    if tree.real and sys.platform == "linux":
        told = {pid: _clock_s(pid) for pid in pids}
    else:
        told = {pid: _ticks_s(tree, pid) for pid in pids}
    return _living(told)


def _living(told: Mapping[int, float | None]) -> dict[int, float]:
    return {pid: seconds for pid, seconds in told.items() if seconds is not None}


def _clock_s(pid: int) -> float | None:
    try:
        # As clock_getcpuclockid(3) makes it: the bits of the number inverted, and 2 for the
        # scheduler's own count.
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, OverflowError):  # it has ended
        return None


def _ticks_s(tree: Tree, pid: int) -> float | None:
    ticks = _spent(tree.read(f"/proc/{pid}/stat"))
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


def _busy(columns: list[str]) -> int:
    told = [int(ticks) for ticks in columns[:_GUESTS] if ticks.isdecimal()]
    return sum(told) - sum(told[column] for column in _IDLE if column < len(told))


def _spent(stat: str | None) -> int | None:
    """User and system ticks of a process; its name, in brackets, may hold anything."""
    columns = (stat or "").rpartition(")")[2].split()
    user, system = columns[11:13] if len(columns) > 12 else ("", "")  # noqa: PLR2004
    return int(user) + int(system) if user.isdecimal() and system.isdecimal() else None
