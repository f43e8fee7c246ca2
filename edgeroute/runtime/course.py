"""Who is asked next: the plan in its order, then again who may come right by itself.

Owns how often one request is asked, and what failures are worth a repeat.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgeroute.domain.decision import Ranked
from edgeroute.domain.errors import (
    AuditUnavailable,
    DestinationFailed,
    DestinationRefused,
    DestinationUnreachable,
    EdgeRouteError,
    Overloaded,
    PolicyRefused,
    Resting,
    SpendLimit,
    UnknownModel,
    Unrecorded,
    WorkerDied,
)
from edgeroute.domain.outcome import Reason
from edgeroute.domain.units import ModelId
from edgeroute.runtime.asking import Means

_ASKINGS = 3
"""Of one request: the first and two more."""
_NOT_ASKED = (
    AuditUnavailable, PolicyRefused, Resting, SpendLimit, UnknownModel, Unrecorded,
)  # fmt: skip
"""Nothing was sent: the next target is asked as if this one had not been in the plan."""
_FINAL = (DestinationRefused, DestinationUnreachable)


@dataclass(frozen=True, slots=True)
class Step:
    """A target to ask.

    Attributes:
        at: Not before then, on the daemon's clock.
    """

    ranked: Ranked
    reason: Reason = "planned"
    at: float = -math.inf

    @property
    def target(self) -> ModelId:
        """Who it is."""
        return self.ranked.target


class Course:
    """The way of one request.

    Args:
        plan: Eligible targets, best first.
        left_s: Tells the seconds until its deadline, where it has one.
    """

    def __init__(
        self, plan: tuple[Ranked, ...], means: Means, left_s: Callable[[], float | None]
    ) -> None:
        self._waiting = deque(Step(ranked) for ranked in plan)
        self._means = means
        self._left_s = left_s
        self._asked: Counter[ModelId] = Counter()
        means.second_tries.began(plan[0].target)

    @property
    def goes_on(self) -> bool:
        """Whether somebody else could be asked, if this one fails."""
        return bool(self._waiting) and self._asked.total() < _ASKINGS

    def next(self) -> Step | None:
        """Who is to be asked, or nobody any more."""
        if not self.goes_on:
            return None
        step = self._of_this_machine() or self._waiting[0]
        self._waiting.remove(step)
        self._asked[step.target] += 1
        return step

    def hedges(self, step: Step) -> Iterator[Step | None]:
        """Who is asked besides, where one target is late: as near, warm, and within the budget.

        `None` while the budget is used up; nothing where there is nobody. Whoever waits for one
        that turns out to be gone needs no budget: all else would wait until it is given up.
        """
        while self.goes_on and (other := self._as_good_as(step.ranked)) is not None:
            is_there = self._means.places.is_there(step.target)
            if is_there and not self._means.second_tries.may_hedge():
                yield None
                continue
            self._waiting.remove(other)
            self._asked[other.target] += 1
            yield Step(other.ranked, "hedge")
            return

    def failed(self, step: Step, error: EdgeRouteError) -> None:
        """Take that a target failed: it may be asked again, after the others."""
        if isinstance(error, _NOT_ASKED):
            self._asked[step.target] -= 1
            return
        pause_s = self._pause_s(step.target, error)
        if pause_s is not None and pause_s < (self._left_s() or math.inf):
            self._waiting.append(Step(step.ranked, "repeat", self._means.clock() + pause_s))

    def _of_this_machine(self) -> Step | None:
        """Who is asked last where all others were elsewhere: the network may be the reason."""
        elsewhere = self._means.places.elsewhere
        asked = [target for target, times in self._asked.items() if times]
        if self._asked.total() < _ASKINGS - 1 or not all(map(elsewhere, asked)):
            return None
        return next((step for step in self._waiting if not elsewhere(step.target)), None)

    def _as_good_as(self, late: Ranked) -> Step | None:
        """Who sees no more of the request than the late one, and needs no load."""
        for step in self._waiting:
            near = step.ranked.zone <= late.zone and step.target != late.target
            if step.reason == "planned" and near and self._means.roster.is_ready(step.target):
                return step
        return None

    def _pause_s(self, target: ModelId, error: EdgeRouteError) -> float | None:
        if self._asked.total() >= _ASKINGS:
            return None
        if isinstance(error, WorkerDied):
            return 0.0  # the pool starts it again, in its own time
        passing = isinstance(error, DestinationFailed | Overloaded)
        if not passing or isinstance(error, _FINAL) or not self._means.places.elsewhere(target):
            return None
        tries = self._means.second_tries
        return tries.pause_s(target, self._asked[target] - 1, error.retry_after_s)
