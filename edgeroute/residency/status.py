"""How the models stand, as plain data for the roster, for metrics and for people.

Owns the words on why a model is warm, and the estimate of what would go next and what that would
cost. Decides nothing: who really goes is `turn`'s, which values models alike.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId, format_seconds
from edgeroute.residency.demand import Demand
from edgeroute.residency.placement import Placement
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.room import more, shortage

HORIZON_S = 1800.0
"""How far ahead the chance of being asked for looks."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How a model stands, for the roster and for people.

    Attributes:
        booked: What it holds, or has left behind and not given back.
        needed: What must be booked to run it, over all domains; the least there is where it
            does not fit.
        fits: Whether it could be brought into memory with every model gone that may go.
        context: Tokens per slot, as loaded or as it would be.
        leases: Requests that run on it.
        waiting: Requests that wait for it.
        last_used: When a lease last began or ended, or it became warm; `None` for never.
        load_s: Seconds that a load takes, measured where there was one.
        retry_in_s: Seconds for which askers are refused after failures, else 0. A worker that died
            once or twice is waited for and refuses nobody.
        guessed: It was loaded on a guess and has served nobody yet.
        chance: P(it is asked for within half an hour).
        goes: Its place in the order in which idle models would go, 1 first; `None` where it is not
            warm or may not go.
        displaces_s: Seconds of loading that others are expected to wait for later, if it were
            loaded now; 0 where it is warm or nobody has to go for it.
        why: Why it is where it is, in words.
    """

    model: ModelId
    warmth: Warmth
    booked: Footprint
    needed: Bytes
    fits: bool
    context: int
    leases: int
    waiting: int
    last_used: float | None
    load_s: float
    retry_in_s: float
    pinned: bool
    guessed: bool
    chance: float
    goes: int | None
    displaces_s: float
    why: str

    @property
    def reload_s(self) -> float:
        """Seconds of loading that its going is expected to cost within half an hour."""
        return self.chance * self.load_s


def statuses(models: Registry, demand: Demand, now: float) -> tuple[ModelStatus, ...]:
    """How every model stands, in the order in which they became known.

    Without those that were removed, even if their worker has yet to end: nobody can ask for them.
    """
    view = _View(models, demand, now)
    return tuple(view.status(each) for each in models if not each.removed)


class _View:
    """What all statuses of one moment have in common."""

    def __init__(self, models: Registry, demand: Demand, now: float) -> None:
        self._models = models
        self._demand = demand
        self._now = now
        self._chances: dict[ModelId, float] = {}
        self._obtainable = models.obtainable
        self._free = more(models.free, models.coming)
        queue = self._in_order_of_going()
        self._places = {resident.id: place for place, resident in enumerate(queue, 1)}
        self._freed = list(accumulate(models.ledger.live(r.id).size for r in queue))
        missed_s = (self._chance(r) * demand.missed_s(r.id, r.load_s) for r in queue)
        self._missed_s = list(accumulate(missed_s))

    def status(self, resident: Resident) -> ModelStatus:
        """One model."""
        models, now = self._models, self._now
        plan = models.plans.get(resident.id)
        fits, needed, displaces_s = True, models.ledger.live(resident.id), 0.0
        if plan is None:
            placed = models.place(resident, self._obtainable)
            fits, plan, needed = isinstance(placed, Placement), placed.plan, placed.footprint
            if fits:
                displaces_s = self._displaced_s(shortage(needed, self._free))
        return ModelStatus(
            model=resident.id,
            warmth=resident.state,
            booked=models.ledger.booked(resident.id),
            needed=needed.size,
            fits=fits,
            context=plan.context,
            leases=len(resident.leases),
            waiting=len(resident.waiters),
            last_used=resident.last_used if resident.last_used > -math.inf else None,
            load_s=resident.load_s,
            retry_in_s=max(0.0, resident.refuses_until - now),
            pinned=resident.pinned,
            guessed=resident.guessed,
            chance=self._chance(resident),
            goes=self._places.get(resident.id),
            displaces_s=displaces_s,
            why=self._why(resident),
        )

    def _in_order_of_going(self) -> Sequence[Resident]:
        """Idle models, those first that are worth least per byte."""
        idle = [r for r in self._models.of(Warmth.WARM) if not (r.leases or r.pinned)]

        def per_byte(resident: Resident) -> tuple[float, ModelId]:
            worth = self._demand.worth(resident.id, resident.load_s, self._now)
            return worth / max(1, self._models.ledger.live(resident.id).size), resident.id

        return sorted(idle, key=per_byte)

    def _displaced_s(self, short: Budget) -> float:
        if short.size <= 0 or not self._freed:
            return 0.0
        return self._missed_s[min(bisect_left(self._freed, short.size), len(self._freed) - 1)]

    def _chance(self, resident: Resident) -> float:
        chance = self._chances.get(resident.id)
        if chance is None:
            chance = self._demand.reuse.chance(resident.id, self._now, HORIZON_S)
            self._chances[resident.id] = chance
        return chance

    def _why(self, resident: Resident) -> str:
        if resident.failure is not None and resident.backs_off(self._now):
            again = format_seconds(resident.retry_at - self._now)
            return f"{resident.failure.message}; tried again in {again}"
        if resident.state is not Warmth.WARM:
            return f"{len(resident.waiters)} wait for it" if resident.waiters else ""
        if resident.leases:
            return f"{len(resident.leases)} run on it"
        if resident.pinned:
            return "pinned"
        likely = f"{self._chance(resident):.0%} likely to be asked for within half an hour"
        if resident.guessed:
            return f"loaded on a guess: {likely}"
        return f"idle for {format_seconds(self._now - resident.last_used)}, {likely}"
