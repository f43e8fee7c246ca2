"""Everything that one decision depends on, and nothing of the prompt's text.

Owns the view in its two forms: with the roster's arrays for deciding, and as plain data for the
journal. The same record gives the same decision, on any machine and at any time.
"""

import math
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

from edgeroute.domain.belief import Belief
from edgeroute.domain.features import Features
from edgeroute.domain.hardware import Power
from edgeroute.domain.policy import Rule
from edgeroute.domain.prefix import Held
from edgeroute.domain.privacy import Label, LabelReason
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.spending import Spending
from edgeroute.domain.target import Target
from edgeroute.domain.task_settings import Settled
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.routing import policy
from edgeroute.routing.beliefs import Evidence
from edgeroute.routing.candidates import Roster


@dataclass(frozen=True, slots=True)
class Facts:
    """What both forms of a view share: everything but the candidates.

    Attributes:
        app: Who asks.
        label: How private the request is, after everything that may tighten it.
        pinned_model: The only target that may answer, where the caller named one.
        profile_reason: Why this profile is in force.
        power: As it was; weights come from the profile alone.
        budget_bytes: What one model may need at most.
        now: Seconds on the daemon's clock.
        draw: One random number, 0..1, the only randomness that a decision may use.
        label_reasons: What makes it so private, the strongest first; empty where its caller does.
        rules: The owner's rules that hold for it.
        streamed: Whether its caller sees pieces as they come.
        settled: What the request left open and its task's settings say.
        spending: The spend limit with the least left that holds; `None` where none does.
        held: What targets have in memory of the prompt.
    """

    id: RequestId
    app: str
    features: Features
    limits: Limits
    label: Label
    pinned_model: ModelId | None
    profile: Profile
    profile_reason: str
    power: Power
    budget_bytes: Bytes
    now: float
    draw: float
    _: KW_ONLY
    label_reasons: tuple[LabelReason, ...] = ()
    rules: tuple[Rule, ...] = ()
    streamed: bool = False
    settled: Settled = field(default_factory=dict)
    spending: Spending | None = None
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class View(Facts):
    """A request as `decide` sees it.

    Attributes:
        evidence: What was learnt of the candidates; `None` leaves what was promised of them.
    """

    roster: Roster
    evidence: Evidence | None = None

    @property
    def hold_s(self) -> float:
        """Seconds for which drafts may be held back in all; no bound where nothing is streamed."""
        return self.profile.hold_s if self.streamed else math.inf

    @property
    def asked(self) -> policy.Asked:
        """What the policy looks at of the request."""
        reasons = self.label_reasons or (policy.said(self.label),)
        return policy.Asked(self.app, reasons, self.rules, self.limits, self.profile)

    def record(self) -> "ViewRecord":
        """Plain data that decides the same."""
        beliefs = None if self.evidence is None else self.evidence.record()
        return ViewRecord(**_facts(self), targets=self.roster.targets, beliefs=beliefs)


@dataclass(frozen=True, slots=True)
class ViewRecord(Facts):
    """A view as it is journalled: nested dataclasses, enums, numbers and strings only."""

    targets: tuple[Target, ...]
    beliefs: tuple[Belief, ...] | None = None

    def view(self) -> View:
        """The view again."""
        evidence = None if self.beliefs is None else Evidence.of(self.beliefs)
        return View(**_facts(self), roster=Roster.of(self.targets), evidence=evidence)


def _facts(view: Facts) -> dict[str, Any]:
    return {fact.name: getattr(view, fact.name) for fact in fields(Facts)}
