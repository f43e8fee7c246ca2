"""What was decided, and why: every number that led there, and every reason against the others."""

from dataclasses import dataclass
from enum import StrEnum

from edgeroute.domain.energy import NOTHING, Energy
from edgeroute.domain.privacy import Zone
from edgeroute.domain.units import Joules, ModelId, Usd
from edgeroute.domain.verification import Grade


class RejectionCode(StrEnum):
    """Why a candidate may not serve a request, in the order in which filters are applied."""

    NOT_NAMED = "not_named"
    CAPABILITY = "capability"
    TASK = "task"
    ZONE = "zone"
    LABEL = "label"
    RULE = "rule"
    CONTEXT = "context"
    MEMORY = "memory"
    HEALTH = "health"
    LOAD_TIME = "load_time"
    DEADLINE = "deadline"
    ENERGY = "energy"
    MONEY = "money"
    SPENDING = "spending"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One candidate that was filtered out.

    Attributes:
        reason: A sentence with the numbers.
        change: What would have to change for it to be eligible.
    """

    target: ModelId
    code: RejectionCode
    reason: str
    change: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What running the request on a target is expected to take.

    Attributes:
        p_ok: P(acceptable answer), 0..1.
        ttft_s: Queue, load if cold, and prefill.
        total_s: Until the last token.
        device_joules: Energy of this device.
        device: Likewise, with its interval and what it was learnt from.
        system: Energy of this device and of whoever else would compute.
        displaced_s: Seconds that others will wait for models which have to go for this one.
        held_tokens: Of the prompt, that the target has in memory and need not read.
    """

    p_ok: float
    ttft_s: float
    total_s: float
    device_joules: Joules
    usd: Usd
    device: Energy = NOTHING
    system: Energy = NOTHING
    displaced_s: float = 0.0
    held_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """One addend of a utility: `quality`, `money`, `energy` or `time`."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """An eligible candidate with its utility, itemised: the terms sum to it."""

    target: ModelId
    zone: Zone
    utility: float
    terms: tuple[Term, ...]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class CascadeStep:
    """One target of a chain.

    Attributes:
        accepts: Grades at which its answer is given; at any other the next step is asked.
        reached: P(it is asked at all).
    """

    target: ModelId
    accepts: tuple[Grade, ...]
    reached: float


@dataclass(frozen=True, slots=True)
class Cascade:
    """Drafts of smaller models that are checked, and a bigger one where they fail.

    Attributes:
        steps: All but the last are drafts; the last accepts whatever it says.
        p_ok: P(acceptable answer) of all of it.
        total_s: Expected, as are the amounts below.
    """

    steps: tuple[CascadeStep, ...]
    utility: float
    p_ok: float
    total_s: float
    device_joules: Joules
    usd: Usd


@dataclass(frozen=True, slots=True)
class Decision:
    """The plan for one request: eligible targets, best first.

    Attributes:
        flip: What would make the runner-up win, one sentence; empty where there is none.
        cascade: The chain that comes before the plan, where one is worth more than any target
            alone; its targets are in the plan.
        explored: The first of the plan is asked to learn of it, before the best.
        propensity: P(this target is asked first), over the draw of who is explored; 1 where only
            one could be.
    """

    plan: tuple[Ranked, ...]
    reason: str
    flip: str = ""
    cascade: Cascade | None = None
    explored: bool = False
    propensity: float = 1.0

    @property
    def chosen(self) -> Ranked:
        """Who is asked first: the chain's first, or the first of the plan."""
        if self.cascade is None:
            return self.plan[0]
        first = self.cascade.steps[0].target
        return next(ranked for ranked in self.plan if ranked.target == first)


@dataclass(frozen=True, slots=True)
class Refusal:
    """No candidate was eligible; `change` is the least that would have to change."""

    reason: str
    change: str
    rejections: tuple[Rejection, ...]
