"""Who took the joules of a short while: idleness, other programs, our processes, single queries.

Owns the split. The parts always sum to the whole and none is negative.

1. What the machine takes while nothing runs is nobody's.
2. The rest is shared with other programs, and among our processes, by CPU time.
3. What a worker took is shared among its queries by the seconds that it computed for each: those of
   a batch by its rows, so that tokens which are drawn together pay alike. A worker says so when a
   batch is done, which may be many windows long: until then its joules are `Unclaimed`.
"""

from collections.abc import Collection, Mapping, Sequence
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
class Parts:
    """The joules of a window, split.

    Attributes:
        processes: What each of our processes took: for its queries, else for loads, warmth, the
            daemon itself.
    """

    idle: float
    others: float
    processes: Mapping[int, float]

    @property
    def whole(self) -> float:
        """The sum."""
        return self.idle + self.others + sum(self.processes.values())


def share(window: Window, asked: Collection[int]) -> Parts:
    """Split the joules of a window.

    Args:
        window: The joules.
        asked: The processes that have queries.
    """
    idle = 0.0 if window.own else min(window.joules, window.idle_w * window.seconds)
    active = window.joules - idle
    spent = dict(window.workers or {})
    if not sum(spent.values()) > 0:  # too short for any clock: whoever has a query computed
        spent = dict.fromkeys(asked, 1.0)
    ours_s = sum(spent.values())
    if not ours_s:
        return Parts(idle, active, {})
    all_s = ours_s
    if window.everybody_s is not None and not window.own and window.workers:
        all_s = max(ours_s, window.everybody_s)
    ours = active * (ours_s / all_s)
    processes = {pid: ours * (seconds / ours_s) for pid, seconds in spent.items()}
    return Parts(idle, active - ours, processes)


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """What a worker has taken and has not said for whom.

    Attributes:
        seconds: In which it took that.
    """

    joules: float = 0.0
    seconds: float = 0.0

    def grown(self, joules: float, seconds: float) -> "Unclaimed":
        """With what it took in a window."""
        return Unclaimed(self.joules + joules, self.seconds + seconds)

    def claimed(self, seconds: Sequence[float]) -> tuple["Unclaimed", tuple[float, ...]]:
        """What is left, and what they pay for whom it has computed for so many seconds each.

        Seconds that nobody claims yet are of a batch that is under way.
        """
        worked = sum(seconds)
        if not worked > 0:
            return self, (0.0,) * len(seconds)
        part = 1.0 if worked >= self.seconds else worked / self.seconds
        paid = tuple(self.joules * part * (each / worked) for each in seconds)
        return Unclaimed(self.joules * (1.0 - part), self.seconds * (1.0 - part)), paid
