"""How the models stand, as plain data for the roster, for metrics and for people."""

import math
from dataclasses import dataclass

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.residency.placement import Placement
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident


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


def statuses(models: Registry, now: float) -> tuple[ModelStatus, ...]:
    """How every model stands, in the order in which they became known.

    Without those that were removed, even if their worker has yet to end: nobody can ask for them.
    """
    obtainable = models.obtainable
    return tuple(_status(models, each, obtainable, now) for each in models if not each.removed)


def _status(models: Registry, resident: Resident, obtainable: Budget, now: float) -> ModelStatus:
    plan = models.plans.get(resident.id)
    fits, needed = True, models.ledger.live(resident.id)
    if plan is None:
        placed = models.place(resident, obtainable)
        fits, plan, needed = isinstance(placed, Placement), placed.plan, placed.footprint
    return ModelStatus(
        model=resident.id,
        warmth=resident.state,
        booked=models.ledger.booked(resident.id),
        needed=Bytes(needed.ram + sum(needed.gpu)),
        fits=fits,
        context=plan.context,
        leases=len(resident.leases),
        waiting=len(resident.waiters),
        last_used=resident.last_used if resident.last_used > -math.inf else None,
        load_s=resident.load_s,
        retry_in_s=max(0.0, resident.refuses_until - now),
        pinned=resident.pinned,
    )
