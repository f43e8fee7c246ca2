"""Policies to compare with: plain LRU, Ollama's keep-alive, GreedyDual-Size-Frequency, Belady.

All serve in the same way, and differ in whom they put out: those who wait are loaded for in order
of arrival, and where there is no room for the first of them nobody else's load passes it.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from edgeroute.domain.units import ModelId
from edgeroute.evaluation.residency_machine import Job, Machine, TraceRow

_KEEP_ALIVE_S = 300.0


class Lru:
    """Puts out whom nobody has used for longest.

    Attributes:
        alarm: When it wants to be asked next, whatever happens.
        refused: Requests that it turned away.
    """

    alarm = math.inf
    refused = 0

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._used: dict[ModelId, float] = {}
        self._waiting: deque[Job] = deque()

    def ask(self, job: Job) -> None:
        """A request has come."""
        self._waiting.append(job)

    def note_loaded(self, model: ModelId) -> None:
        """A model is warm."""
        self._used[model] = self._machine.now

    def note_done(self, job: Job) -> None:
        """An answer is complete."""
        self._used[job.model] = self._machine.now

    def settle(self) -> None:
        """Do what follows from all that has happened in this moment."""
        machine = self._machine
        for job in list(self._waiting):
            if job.model in machine.warm:
                self._waiting.remove(job)
                self._used[job.model] = machine.now
                self._note_use(job.model)
                machine.run(job)
        for job in self._waiting:
            if job.model not in machine.loading and not self._load(job.model):
                break

    def _load(self, model: ModelId) -> bool:
        machine = self._machine
        size = machine.cards[model].bytes
        while machine.held + size > machine.budget:
            idle = [each for each in machine.warm if not machine.serves(each)]
            if not idle:
                return False
            self._put_out(min(idle, key=lambda each: (self._worth(each), each)))
        machine.load(model)
        return True

    def _put_out(self, model: ModelId) -> None:
        self._machine.evict(model)

    def _note_use(self, model: ModelId) -> None:
        """A request is given to a model."""

    def _worth(self, model: ModelId) -> float:
        """Who is worth least goes first."""
        return self._used[model]


class KeepAlive(Lru):
    """Ollama's: who has been idle for five minutes goes; sooner, who would go first."""

    def settle(self) -> None:
        """End keep-alives before all else."""
        machine = self._machine
        wanted = {job.model for job in self._waiting}
        idle = [m for m in machine.warm if not machine.serves(m) and m not in wanted]
        for model in idle:
            if machine.now >= self._used[model] + _KEEP_ALIVE_S:
                self._put_out(model)
        super().settle()
        ends = (self._used[m] + _KEEP_ALIVE_S for m in machine.warm if not machine.serves(m))
        self.alarm = min(ends, default=math.inf)


class Gdsf(Lru):
    """GreedyDual-Size-Frequency (Cherkasova 1998): inflation + uses x seconds to load / bytes."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._inflation = 0.0
        self._uses: dict[ModelId, int] = {}
        self._priority: dict[ModelId, float] = {}

    def _note_use(self, model: ModelId) -> None:
        card = self._machine.cards[model]
        self._uses[model] = self._uses.get(model, 0) + 1
        self._priority[model] = self._inflation + self._uses[model] * card.load_s / card.bytes

    def _put_out(self, model: ModelId) -> None:
        self._inflation = self._priority[model]
        self._uses[model] = 0
        super()._put_out(model)

    def _worth(self, model: ModelId) -> float:
        return self._priority[model]


class Belady(Lru):
    """Knows the future: puts out whom nobody will ask for longest (Belady 1966)."""

    def __init__(self, machine: Machine, rows: Sequence[TraceRow]) -> None:
        super().__init__(machine)
        self._times: dict[str, list[float]] = {}
        for row in rows:
            self._times.setdefault(row.model, []).append(row.t_s)

    def _worth(self, model: ModelId) -> float:
        times = self._times.get(model, [])
        at = bisect_right(times, self._machine.now)
        return -times[at] if at < len(times) else -math.inf
