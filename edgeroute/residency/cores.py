"""How many threads each model that computes may use, beside each other and beside neighbours.

Owns the rules, each with its measurement (SmolLM2 135M on two cores, tok/s). Pure: CPU times,
steps and the time are arguments, thread counts are the answer.

- Models that compute at the same time share the cores.
- Neighbours: beside two busy programs one thread for steps of one row gives 59 where two give 51,
  at two thirds of the CPU time, since nobody waits for a thread that has lost its core. Beside
  four to six programs one gives three times what two do at one, four and eight rows, and prompts
  are read as fast (`bench/results/2026-11-23-engine.md`). On an idle machine it would halve the
  rate; hence the two thresholds. What counts is what neighbours take beyond the cores that are
  left to them anyhow.
- Collapses: about one round in five beside neighbours falls to 5-15, never with one thread. A
  model far below its own rate is tried with one thread for everything, and keeps it only where
  that proved to be faster.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeroute.domain.load import ThreadCounts

BUSY = 0.8
"""Cores taken by neighbours from which on they are felt."""
CALM = 0.4
"""Cores under which they are not felt any more."""

_WINDOW_S = 1.0
"""How long a rate is measured; a large model makes some ten steps in it."""
_COLLAPSED = 0.3
_WORTH_KEEPING = 1.3
_REST_S = 10.0
"""After a trial that brought nothing, until the next."""
_WEIGHT = 0.3
"""Weight of the newest rate in its moving average."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a model is doing.

    Attributes:
        answering: Answers that have begun: the rows of a step.
        unanswered: Requests whose prompts are being read or wait; steps are longer meanwhile.
        steps: Steps so far.
        threads: Those that it is fastest with alone, as it was loaded.
    """

    answering: int
    unanswered: int
    steps: int
    threads: int


class Cores:
    """The cores of one machine.

    Args:
        threads: Cores to share, as threads.
        cpus: CPUs that this process may run on.

    Attributes:
        taken: Cores that neighbours took of ours when last measured.
        contended: Neighbours are felt.
    """

    def __init__(self, threads: int, cpus: int) -> None:
        self.taken = 0.0
        self.contended = False
        self._threads = threads
        self._spare = max(0, cpus - threads)
        self._watches: dict[int, _Watch] = {}

    def measure(self, foreign_cores: float) -> None:
        """Take how many cores other programs used since the last time."""
        self.taken = max(0.0, foreign_cores - self._spare)
        self.contended = self.taken > (CALM if self.contended else BUSY)

    def share(self, work: Mapping[int, Work], now: float) -> dict[int, ThreadCounts]:
        """Thread counts of every model that computes.

        Args:
            work: What each is doing, by a number of the caller's choice.
            now: Seconds of a clock that never goes back.
        """
        each = max(1, self._threads // len(work)) if len(work) > 1 else None
        return {model: self._share_of(model, doing, each, now) for model, doing in work.items()}

    def forget(self, model: int) -> None:
        """A model is gone, and its number may be another's."""
        self._watches.pop(model, None)

    def _share_of(self, model: int, doing: Work, most: int | None, now: float) -> ThreadCounts:
        watch = self._watches.setdefault(model, _Watch())
        if watch.wants_one(doing, now, felt=self.taken > CALM):
            return ThreadCounts(1, 1)
        batch = doing.threads if most is None else min(doing.threads, most)
        return ThreadCounts(1 if self.contended else batch, batch)


class _Watch:
    """Finds the collapses of one model, and whether one thread ends them."""

    def __init__(self) -> None:
        self._usual: dict[int, float] = {}  # steps per second by rows
        self._collapsed_rate: float | None = None  # while one thread is tried or kept
        self._kept = False
        self._rest_until = 0.0
        self._since = 0.0
        self._doing = Work(0, 0, 0, 0)

    def wants_one(self, doing: Work, now: float, *, felt: bool) -> bool:
        """Whether everything should run on one thread until asked again.

        Args:
            doing: What the model is doing.
            now: Seconds.
            felt: Neighbours take something; without, nothing is ever wrong.
        """
        if not felt:
            self._collapsed_rate, self._kept = None, False
        if doing.unanswered or doing.answering != self._doing.answering or not doing.answering:
            self._begin_window(doing, now)
        elif now - self._since >= _WINDOW_S:
            rate = (doing.steps - self._doing.steps) / (now - self._since)
            self._begin_window(doing, now)
            self._judge(doing.answering, rate, now, felt=felt)
        return self._collapsed_rate is not None

    def _begin_window(self, doing: Work, now: float) -> None:
        self._doing, self._since = doing, now

    def _judge(self, rows: int, rate: float, now: float, *, felt: bool) -> None:
        if self._kept:
            return
        if self._collapsed_rate is not None:  # the trial is over
            self._kept = rate >= self._collapsed_rate * _WORTH_KEEPING
            if not self._kept:
                self._collapsed_rate, self._rest_until = None, now + _REST_S
            return
        usual = self._usual.setdefault(rows, rate)
        if rate >= usual * _COLLAPSED:
            self._usual[rows] = usual + _WEIGHT * (rate - usual)
        elif felt and now >= self._rest_until:
            self._collapsed_rate = rate
