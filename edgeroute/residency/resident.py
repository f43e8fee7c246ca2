"""One model as the pool knows it: its state, who holds it, who waits, how it failed.

Owns what is remembered per model and when it may be tried again. Knows no other model.
"""

import math
from dataclasses import dataclass, field

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import LeaseId, ModelId
from edgeroute.residency.messages import DenyCode, ModelSpec
from edgeroute.residency.placement import Placement, TooLarge
from edgeroute.residency.settings import Settings


@dataclass(frozen=True, slots=True)
class Failure:
    """The last of `count` failures in a row.

    Attributes:
        retry_at: When it may be tried again.
        denies: Whether askers are refused until then, rather than kept waiting.
    """

    code: DenyCode
    message: str
    count: int
    retry_at: float
    denies: bool


@dataclass(slots=True, eq=False)
class Resident:
    """A model's record; changed by the pool alone.

    Attributes:
        retiring: The worker no longer matches the spec, or the model was removed: it takes no
            new leases and ends when its last one does.
        removed: The model is to be forgotten when its bytes are back.
        guessed: It was loaded on a guess and has served nobody yet.
        shrunk: Memory ran out for its last plan, and it is being tried with a smaller one.
        leases: Requests that run on it.
        waiters: Requests that wait for it, and since when; oldest first.
        warm_since: Since when its worker has been ready; in no time to come without one.
        last_used: When a lease last began or ended, or it became warm.
        measured: What earlier loads took at most, by `LoadPlan.key`; see `footprint.learned`.
        placed: Where it would go, and the budget for which that was worked out.
    """

    spec: ModelSpec
    id: ModelId = field(init=False)
    measured: dict[str, Footprint] = field(init=False)
    load_s: float = field(init=False)
    state: Warmth = Warmth.COLD
    retiring: bool = False
    removed: bool = False
    guessed: bool = False
    shrunk: bool = False
    leases: set[LeaseId] = field(default_factory=set)
    waiters: dict[LeaseId, float] = field(default_factory=dict)
    started_at: float = 0.0
    warm_since: float = math.inf
    last_used: float = -math.inf
    reclaim_by: float = 0.0
    failure: Failure | None = None
    placed: tuple[Budget, Placement | TooLarge] | None = None

    def __post_init__(self) -> None:
        self.id = self.spec.id
        self.measured = dict(self.spec.measured)
        self.load_s = self.spec.load_s

    @property
    def pinned(self) -> bool:
        """Whether it is never evicted."""
        return self.spec.card.pinned

    @property
    def load_ends_at(self) -> float:
        """When its load should be over, if it loads."""
        return self.started_at + self.load_s

    @property
    def waiting_since(self) -> float:
        """When its oldest waiter came; there must be one."""
        return next(iter(self.waiters.values()))

    def overdue_at(self, settings: Settings, *, storms: bool) -> float:
        """When its oldest waiter has waited too long; there must be one."""
        patience_s = settings.max_wait_s
        if storms:
            patience_s = max(patience_s, settings.storm_patience * self.load_s)
        return self.waiting_since + patience_s

    @property
    def refuses_until(self) -> float:
        """When askers are no longer refused; the distant past where they are not."""
        return self.retry_at if self.failure is not None and self.failure.denies else -math.inf

    @property
    def retry_at(self) -> float:
        """When it may be tried again; long ago where it never failed."""
        return -math.inf if self.failure is None else self.failure.retry_at

    def backs_off(self, now: float) -> bool:
        """Whether a failure still keeps it from being tried."""
        return now < self.retry_at

    def forgive(self, now: float, settings: Settings) -> None:
        """Forget earlier failures where the worker that ends now was healthy."""
        if now - self.warm_since >= settings.healthy_s:
            self.failure = None

    def note_failed_load(self, message: str, now: float, settings: Settings) -> Failure:
        """Remember that it did not load."""
        retry_at = now + self._backoff(settings.load_backoff_s, settings)
        self.failure = Failure("load_failed", message, self._failures, retry_at, denies=True)
        return self.failure

    def note_death(self, now: float, settings: Settings) -> Failure:
        """Remember that its worker ended unasked."""
        retry_at = now + self._backoff(settings.restart_backoff_s, settings)
        count = self._failures
        self.failure = Failure(
            "worker_died",
            f"the worker of {self.id} died{f' {count} times in a row' if count > 1 else ''}",
            count,
            retry_at,
            denies=count >= settings.crash_limit,
        )
        return self.failure

    @property
    def _failures(self) -> int:
        return 1 if self.failure is None else self.failure.count + 1

    def _backoff(self, first: float, settings: Settings) -> float:
        doublings = min(self._failures - 1, 16)  # beyond, any limit has been reached
        return min(first * 2.0**doublings, settings.backoff_limit_s)
