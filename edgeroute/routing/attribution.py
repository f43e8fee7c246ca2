"""Who took the joules of a short while: idleness, other programs, our processes, single queries.

Owns the split. The parts always sum to the whole and none is negative.

1. What the machine takes while nothing runs is nobody's.
2. The rest is shared with other programs, and among our processes, by CPU time.
3. What a worker took is shared among its queries by what they did: its steps draw one token of each
   answer that is under way, and what time they leave goes into prompts that are being read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A short while, short enough that who runs does not change in it.

    Attributes:
        joules: That a meter grew by.
        own: The meter counts our processes alone, without idleness and others.
        idle_w: Watts of the machine while nothing runs.
        everybody_s: CPU seconds of all programs; `None` where that is not known: then all that is
            not idleness counts as ours.
        workers: CPU seconds of each of our processes, or whatever else tells them apart.
    """

    seconds: float
    joules: float
    own: bool = False
    idle_w: float = 0.0
    everybody_s: float | None = None
    workers: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What one query did in a window.

    Attributes:
        worker: The process that answers it.
        drawn: Tokens that came.
        reading: Its prompt is being read: nothing has come yet.
        step_s: Seconds that a step of its worker takes which draws one token of each answer.
    """

    worker: int
    drawn: int
    reading: bool
    step_s: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The joules of a window, split.

    Attributes:
        processes: What our processes took for no query: loads, warmth, the daemon itself.
        prefill: Of each query, in the order of the works.
        decode: Likewise.
    """

    idle: float
    others: float
    processes: Mapping[int, float]
    prefill: tuple[float, ...]
    decode: tuple[float, ...]

    @property
    def whole(self) -> float:
        """The sum."""
        parts = (self.idle, self.others, *self.processes.values(), *self.prefill, *self.decode)
        return sum(parts)


def share(window: Window, works: Sequence[Work]) -> Parts:
    """Split the joules of a window."""
    idle = 0.0 if window.own else min(window.joules, window.idle_w * window.seconds)
    active = window.joules - idle
    spent = dict(window.workers or {})
    if not sum(spent.values()) > 0:  # too short for any clock: whoever has a query computed
        spent = {work.worker: 1.0 for work in works}
    ours_s = sum(spent.values())
    if not ours_s:
        return Parts(idle, active, {}, (), ())
    all_s = ours_s
    if window.everybody_s is not None and not window.own and window.workers:
        all_s = max(ours_s, window.everybody_s)
    ours = active * (ours_s / all_s)
    prefill, decode = [0.0] * len(works), [0.0] * len(works)
    processes = {pid: ours * (seconds / ours_s) for pid, seconds in spent.items()}
    for pid in {work.worker for work in works} & processes.keys():
        numbers = [number for number, work in enumerate(works) if work.worker == pid]
        mine = [works[number] for number in numbers]
        shares = zip(numbers, *_shares(mine, window.seconds), strict=True)
        for number, reading, drawing in shares:
            prefill[number] = processes[pid] * reading
            decode[number] = processes[pid] * drawing
        processes[pid] = 0.0
    return Parts(idle, active - ours, processes, tuple(prefill), tuple(decode))


def _shares(works: Sequence[Work], seconds: float) -> tuple[list[float], list[float]]:
    """Shares of prefill and decode of the queries of one worker; together they are one."""
    readers = sum(work.reading for work in works)
    steps = max((work.drawn for work in works if not work.reading), default=0)
    step_s = max(work.step_s for work in works)
    drawing = min(1.0, steps * step_s / seconds) if seconds > 0 else 0.0
    if not readers:
        drawing = 1.0
    prefill = [(1.0 - drawing) / readers if work.reading else 0.0 for work in works]
    drawers = [0 if work.reading else work.drawn for work in works]
    drawn = sum(drawers)
    if drawn:
        return prefill, [drawing * count / drawn for count in drawers]
    if readers:
        return prefill, [0.0] * len(works)
    # A slow model draws less than a token in a tenth of a second.
    return prefill, [1.0 / len(works)] * len(works)
