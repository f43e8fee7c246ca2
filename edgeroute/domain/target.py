"""Where a query could run, and how ready that place is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from edgeroute.domain.capability import Capability
from edgeroute.domain.energy import EnergyRates, RemoteEnergy
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.units import Bytes, ModelId


class Warmth(IntEnum):
    """State of a model in memory (see `residency/pool` for the transitions)."""

    COLD = 0
    LOADING = 1
    WARM = 2
    DRAINING = 3
    RECLAIMING = 4
    FAILED = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast and how costly a target is, measured where `measured`, else from its size.

    Attributes:
        load_s: Seconds from cold to ready.
        prefill_tok_s: Prompt tokens per second.
        decode_tok_s: Generated tokens per second of one stream.
        watts: Device watts while it computes.
        latency_s: Seconds before the first token that no prompt's length explains: the network,
            and whoever else is served there.
    """

    load_s: float
    prefill_tok_s: float
    decode_tok_s: float
    watts: float
    measured: bool = False
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """A candidate as the roster lists it.

    Attributes:
        context: Tokens that one conversation may hold, prompt and answer.
        scores: Prior P(acceptable) per task.
        parameters: Model size; the quality prior where a task has no score.
        bytes_needed: What must be booked to run it, 0 for what holds no memory here.
        max_label: The most private label this target may see.
        queued_tokens: Tokens waiting before a new request would start.
        retry_in_s: Seconds until a failed target may be tried again.
        trouble: Why it may not be tried until then; empty where it failed, and no more is known.
        displaces_s: Seconds of loading that others will wait for, since models have to go for it.
        tasks: What it may be used for; empty is anything.
        arithmetic_only: It answers pure arithmetic and nothing else.
        energy: What a query takes of this device, as metered; `None` leaves it to watts and
            seconds.
        remote: What it takes of others' computers; `None` for what runs on this device.
        capabilities: What it can be asked for.
        identity: What it is called on every machine: the model's hash, or provider and model;
            empty where that is `id`.
        family: Models that are trained alike, as far as that is known.
        slots: Requests that it works on at once; 0 where that is not known.
        lent: Of those of a peer, how many this machine may count on, what it asks there already
            among them.
    """

    id: ModelId
    zone: Zone
    context: int
    parameters: int
    rates: Rates
    bytes_needed: Bytes = Bytes(0)
    warmth: Warmth = Warmth.COLD
    max_label: Label = Label.SECRET
    usd_in_per_mtok: float = 0.0
    usd_out_per_mtok: float = 0.0
    queued_tokens: int = 0
    retry_in_s: float = 0.0
    trouble: str = ""
    displaces_s: float = 0.0
    scores: Mapping[Task, float] = field(default_factory=dict)
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    tasks: frozenset[Task] = frozenset()
    arithmetic_only: bool = False
    energy: EnergyRates | None = None
    remote: RemoteEnergy | None = None
    identity: str = ""
    family: str = ""
    slots: int = 0
    lent: int = 0
