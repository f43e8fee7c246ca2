"""The daemon's own state machine as a policy of the replay, in virtual time.

Owns the shell's part: it carries out what `PoolState` wants on the machine of the replay, where
ends of workers take no time and all that is booked comes back at once.
"""

import math
from collections import deque

from edgeroute.domain.card import ModelCard, ModelShape
from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import Bytes, LeaseId, ModelId
from edgeroute.evaluation.residency_machine import Job, Machine, SpeedCard
from edgeroute.residency.messages import (
    ConditionsChanged,
    Deny,
    Event,
    Exited,
    Grant,
    LeaseAsked,
    LeaseDropped,
    Loaded,
    ModelSpec,
    Reclaimed,
    Start,
    Stop,
    Tick,
    WakeAt,
)
from edgeroute.residency.placement import Placement, PlanOptions, place
from edgeroute.residency.pool import PoolState
from edgeroute.residency.settings import Settings

_OPTIONS = PlanOptions(threads=1)
_ENDLESS = Budget(Bytes(1 << 60))


class Daemon:
    """`PoolState` and a shell that carries out its word at once.

    Attributes:
        alarm: When it wants to be asked next, whatever happens.
        refused: Requests that it turned away.
    """

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self.alarm = math.inf
        self.refused = 0
        self._machine = machine
        self._jobs: dict[LeaseId, Job] = {}
        specs = [spec_of(model, card) for model, card in machine.cards.items()]
        self._state = PoolState(specs, Budget(machine.budget), settings=settings)
        self._events: deque[Event] = deque()
        self._tell(ConditionsChanged(may_prewarm=True))

    def ask(self, job: Job) -> None:
        """A request has come."""
        lease = LeaseId(job.number)
        self._jobs[lease] = job
        self._tell(LeaseAsked(lease, job.model))

    def note_loaded(self, model: ModelId) -> None:
        """A model is warm."""
        card = self._machine.cards[model]
        self._tell(Loaded(model, _footprint(card), card.load_s))

    def note_done(self, job: Job) -> None:
        """An answer is complete."""
        self._tell(LeaseDropped(LeaseId(job.number)))

    def settle(self) -> None:
        """Ring the alarm where it is due."""
        if self._machine.now >= self.alarm:
            self.alarm = math.inf
            self._tell(Tick())

    def _tell(self, event: Event) -> None:
        """Tell the event, and then what carrying out its instructions has brought about."""
        self._events.append(event)
        while self._events:
            for instruction in self._state.handle(self._events.popleft(), self._machine.now):
                match instruction:
                    case Start(plan=plan):
                        self._machine.load(plan.model)
                    case Stop(model=model):
                        self._machine.evict(model)
                        self._events += (Exited(model), Reclaimed(model))
                    case Grant(lease=lease):
                        self._machine.run(self._jobs.pop(lease))
                    case Deny(lease=lease):
                        del self._jobs[lease]
                        self.refused += 1
                    case WakeAt(at=at):
                        self.alarm = at


def spec_of(model: ModelId, card: SpeedCard) -> ModelSpec:
    """A model whose one plan was measured to take what the card says."""
    drawn = ModelCard(model, path=model, sha256=model, shape=_shape(card))
    placed = place(drawn, _OPTIONS, _ENDLESS, (), {})
    assert isinstance(placed, Placement)  # noqa: S101  (in memory without end)
    measured = {placed.plan.key: _footprint(card)}
    return ModelSpec(drawn, _OPTIONS, card.load_s, measured)


def _footprint(card: SpeedCard) -> Footprint:
    return Footprint(Bytes(card.weights_bytes), card.kv_bytes)


def _shape(card: SpeedCard) -> ModelShape:
    """A header with the two numbers that a card of a trace has; none other is looked at."""
    return ModelShape(
        architecture="trace",
        name="trace",
        parameters=card.weights_bytes,
        file_bytes=Bytes(card.weights_bytes),
        n_layers=1,
        n_embd=1,
        n_vocab=1,
        context_train=_OPTIONS.context,
        block_bytes=Bytes(card.weights_bytes),
        other_bytes=Bytes(0),
        kv_bytes_per_token=Bytes(card.kv_bytes_per_token),
        repack_bytes=Bytes(0),
        quantisation="trace",
        chat_template=False,
        embeds=False,
    )
