"""What the pool is told (events) and what it wants done (instructions).

An instruction that takes time finishes as an event; late and duplicate events are harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgeroute.domain.card import ModelCard
from edgeroute.domain.load import Budget, Footprint, LoadPlan
from edgeroute.domain.units import LeaseId, ModelId
from edgeroute.residency.placement import PlanOptions


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that the pool may be asked for.

    Attributes:
        card: What it is; `pinned` keeps it from eviction.
        options: How it is wished to be loaded.
        load_s: Seconds that a load is expected to take, until one has been measured.
        measured: Footprints of earlier loads, by `LoadPlan.key`.
    """

    card: ModelCard
    options: PlanOptions
    load_s: float
    measured: Mapping[str, Footprint] = field(default_factory=dict)

    @property
    def id(self) -> ModelId:
        """The card's id."""
        return self.card.id

    @property
    def identity(self) -> tuple[object, ...]:
        """What a worker depends on: it serves every spec with the same."""
        return self.card.path, self.card.sha256, self.card.echo, self.options


# ---- events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseAsked:
    """A request wants to run on a model; `app` is who asks, where that is known."""

    lease: LeaseId
    model: ModelId
    app: str = ""


@dataclass(frozen=True, slots=True)
class LeaseDropped:
    """A request is done with its model, or no longer waits for it."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Loaded:
    """A worker is ready; `footprint` is measured and replaces what was booked."""

    model: ModelId
    footprint: Footprint
    load_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A worker was measured again while it serves; `footprint` is all that it holds now."""

    model: ModelId
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A worker could not load its model; its process is gone.

    The first failure with code `out_of_memory` is tried once more with a smaller plan.
    """

    model: ModelId
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Exited:
    """A worker's process is gone, asked to or not."""

    model: ModelId


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """The anonymous and GPU bytes of an exited worker were measured back."""

    model: ModelId


@dataclass(frozen=True, slots=True)
class BudgetChanged:
    """What all models together may hold has changed."""

    budget: Budget


@dataclass(frozen=True, slots=True)
class ConditionsChanged:
    """How the machine stands, as far as it bears on idle models.

    Attributes:
        may_prewarm: Whether models may be loaded on a guess (on AC).
        idle_release_s: Idle models are ended after so long; `None` keeps them.
        midnight: A moment at which a local day began, on the clock of the pool.
        warmth: What a second of each model's warmth costs, in seconds of waiting: its idle watts
            times what a joule is worth; models that cost nothing are left out.
        served: Seconds that an answer comes later from a peer that holds the same model warm and
            free, of each model of which there is such a peer.
    """

    may_prewarm: bool
    idle_release_s: float | None = None
    midnight: float = 0.0
    warmth: Mapping[ModelId, float] = field(default_factory=dict)
    served: Mapping[ModelId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; answers a `WakeAt`."""


@dataclass(frozen=True, slots=True)
class ModelsChanged:
    """These are the models now; the others were removed."""

    specs: tuple[ModelSpec, ...]


Event = (
    LeaseAsked
    | LeaseDropped
    | Loaded
    | Measured
    | LoadFailed
    | Exited
    | Reclaimed
    | BudgetChanged
    | ModelsChanged
    | ConditionsChanged
    | Tick
)

# ---- instructions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Spawn a worker by this plan; ends as `Loaded`, `LoadFailed` or `Exited`."""

    plan: LoadPlan


@dataclass(frozen=True, slots=True)
class Stop:
    """End a worker: politely, then by force; ends as `Exited`, then `Reclaimed`."""

    model: ModelId


@dataclass(frozen=True, slots=True)
class Grant:
    """The model is warm and will stay so while this lease lives."""

    lease: LeaseId
    model: ModelId


DenyCode = Literal["unknown_model", "too_large", "queue_full", "load_failed", "worker_died"]


@dataclass(frozen=True, slots=True)
class Deny:
    """The lease will not be granted; says why and, where time helps, when to ask again."""

    lease: LeaseId
    model: ModelId
    code: DenyCode
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a `Tick` at this time; the latest `WakeAt` replaces earlier ones."""

    at: float


Instruction = Start | Stop | Grant | Deny | WakeAt
