"""The live list of targets: what can answer, how fast it has proved to be, how busy it is.

Owns measured rates and requests in flight; hands `routing` its arrays, built again only when
something that they hold has changed.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from edgeroute.domain.calibration import Calibration
from edgeroute.domain.card import ModelCard
from edgeroute.domain.energy import RemoteEnergy
from edgeroute.domain.hardware import Telemetry
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.privacy import Zone
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.ports import Runner
from edgeroute.residency.pool import ModelStatus
from edgeroute.routing.candidates import Roster
from edgeroute.runtime.bills import Bill
from edgeroute.runtime.consumption import Consumptions
from edgeroute.runtime.metering import Metering
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.providers import Providers

_USUAL_TOKENS = 64
"""Length of an answer where none is running to go by."""
_WEIGHT = 0.3
"""Weight of the newest measurement in a rate's moving average. The prior is where it starts, so
that one answer on a busy machine does not shut a model out for good."""


class LiveRoster:
    """Every target of this machine.

    Args:
        pool: Says how every model stands, and grows its version when that changes.
        providers: Say what is there besides, and grow theirs.
        slots: Requests that one model answers at once.
        prior: Rates of a model that was not measured yet.
        consumptions: What queries on a model take.
        metering: Meters them.
    """

    def __init__(
        self,
        pool: Pool,
        providers: Providers,
        slots: int,
        prior: Callable[[ModelCard], Rates],
        consumptions: Consumptions,
        metering: Metering,
    ) -> None:
        self._pool = pool
        self._providers = providers
        self._slots = slots
        self._prior = prior
        self._consumptions = consumptions
        self._metering = metering
        self._cards: Mapping[ModelId, ModelCard] = {}
        self._rates: dict[ModelId, Rates] = {}
        self._expected: dict[ModelId, list[int]] = defaultdict(list)
        self._best_tok_s: dict[ModelId, float] = {}
        self._changes = 0
        self._built: tuple[tuple[int, int, int], Roster] | None = None

    def replace_cards(
        self,
        cards: Sequence[ModelCard],
        measured: Mapping[ModelId, Rates],
        calibrated: Callable[[ModelCard], Calibration | None] = lambda _card: None,
    ) -> None:
        """Take a new catalog, and what was measured of its models before and on purpose."""
        self._cards = {card.id: card for card in cards}
        for card in cards:
            found = calibrated(card)
            if found is not None:
                self._best_tok_s[card.id] = found.decode_tok_s
        ours = {card.id: measured.get(card.id) or self._prior(card) for card in cards}
        others = {name: rates for name, rates in self._rates.items() if name in self._providers}
        self._rates = others | ours
        self._changes += 1

    def rates(self, model: ModelId) -> Rates:
        """Rates of a model as routing sees them."""
        return self._rates[model]

    def is_ready(self, target: ModelId) -> bool:
        """Whether a target could begin now: it needs no load, and failed lately in nothing."""
        found = self._elsewhere(target)
        if found is not None:
            return found.retry_in_s == 0
        return any(
            status.model == target and status.warmth is Warmth.WARM
            for status in self._pool.snapshot()
        )

    def queue_s(self, model: ModelId) -> float:
        """Seconds until a slot of a busy model should be free."""
        return self._queued_tokens(model) / self._rates[model].decode_tok_s

    def free_slots(self, model: ModelId) -> int:
        """Slots of a model of this machine's own that nobody uses."""
        return max(self._slots - len(self._expected.get(model, ())), 0)

    def current(self) -> Roster:
        """The roster as it stands."""
        if self._built is None or self._built[0] != self._version:
            ours = [self._target(status) for status in self._pool.snapshot()]
            others = [self._provided(target) for target in self._providers.targets()]
            self._built = (self._version, Roster.of([*ours, *others]))
        return self._built[1]

    def own(self) -> list[Target]:
        """The models of this machine's own."""
        return [target for target in self.current().targets if target.id not in self._providers]

    @contextmanager
    def in_flight(self, target: ModelId, expected_tokens: int) -> Iterator[None]:
        """Count a request against a target while it runs."""
        running = self._expected[target]
        running.append(expected_tokens)
        self._note_queue(target)
        try:
            yield
        finally:
            self._note_queue(target)
            running.remove(expected_tokens)

    def metered(self, runner: Runner) -> AbstractContextManager[Bill]:
        """Meter a query while its runner answers it."""
        return self._metering.query(runner)

    def remote_energy(self, target: ModelId) -> RemoteEnergy | None:
        """What a query takes of others' computers; `None` for what runs on this device."""
        found = self._elsewhere(target)
        return None if found is None else self._remote(found)

    def set_conditions(self, telemetry: Telemetry) -> None:
        """Take how the machine stands, as far as it changes what queries take."""
        if self._consumptions.set_conditions(telemetry):
            self._changes += 1

    def speed(self) -> float | None:
        """Tokens per second lately, as a share of what was calibrated, or of the best seen since.

        `None` where nothing was measured.

        Of the model that does best: one alone may be slow for other reasons than heat.
        """
        shares = [
            self._rates[model].decode_tok_s / best
            for model, best in self._best_tok_s.items()
            if model in self._rates and best > 0
        ]
        return max(shares, default=None)

    def learn(self, outcome: Outcome) -> None:
        """Take the rates that a finished request showed."""
        if outcome.target is None or outcome.target not in self._rates:
            return
        before = self._version
        old = self._rates[outcome.target]
        self._rates[outcome.target] = replace(
            old,
            prefill_tok_s=_blend(old.prefill_tok_s, outcome.prefill_tok_s),
            decode_tok_s=_blend(old.decode_tok_s, outcome.decode_tok_s),
            measured=old.measured or outcome.decode_tok_s is not None,
            latency_s=_blend(old.latency_s, self._latency_s(outcome, old)),
        )
        card = self._cards.get(outcome.target)
        if card is not None:
            self._consumptions.learn(card.sha256, self._prior(card), outcome)
            best = self._best_tok_s.get(card.id, 0.0)
            self._best_tok_s[card.id] = max(best, outcome.decode_tok_s or 0.0)
        self._changes += 1
        if self._built is not None and self._built[0] == before:
            self._built = (self._version, self._as_learnt(self._built[1], outcome.target))

    def learn_load(self, model: ModelId, load_s: float) -> None:
        """Take the seconds that a load took."""
        self._rates[model] = replace(self._rates[model], load_s=load_s)
        self._changes += 1

    @property
    def _version(self) -> tuple[int, int, int]:
        return self._pool.version, self._providers.version, self._changes

    def _as_learnt(self, roster: Roster, target: ModelId) -> Roster:
        """Where only a target's rates are news, and what queries on its file take."""
        card = self._cards.get(target)
        if card is None:
            found = self._elsewhere(target)
            return roster if found is None else roster.with_row(self._provided(found))
        energy = self._consumptions.rates(card.sha256)
        for row in roster.targets:
            if row.identity == card.sha256 and row.id in self._cards:
                row_now = replace(row, rates=self._rates[row.id], energy=energy)
                roster = roster.with_row(row_now)
        return roster

    def _note_queue(self, target: ModelId) -> None:
        found = self._elsewhere(target)
        slots = self._slots if found is None or not found.slots else found.lent
        if len(self._expected[target]) >= slots:  # only a queue is seen by routing
            self._changes += 1

    def _target(self, status: ModelStatus) -> Target:
        card = self._cards[status.model]
        return Target(
            id=card.id,
            zone=Zone.DEVICE,
            context=status.context,
            parameters=card.shape.parameters,
            rates=self._rates[card.id],
            bytes_needed=status.needed,
            warmth=status.warmth,
            queued_tokens=self._queued_tokens(card.id),
            slots=self._slots,
            retry_in_s=status.retry_in_s,
            displaces_s=status.displaces_s,
            scores=card.scores,
            identity=card.sha256,
            family="" if card.family == "unknown" else card.family,
            energy=self._consumptions.rates(card.sha256),
            capabilities=card.capabilities,
        )

    def _elsewhere(self, target: ModelId) -> Target | None:
        return next((other for other in self._providers.targets() if other.id == target), None)

    def _provided(self, target: Target) -> Target:
        rates = self._rates.setdefault(target.id, target.rates)
        if target.zone is Zone.PEER:
            # It knows itself best, and the link measures the way there: a first token waits for
            # queues and loads too, which are counted on their own.
            known = target.rates if target.rates.measured else rates
            rates = replace(known, latency_s=target.rates.latency_s)
            target = replace(target, queued_tokens=self._queued_there(target))
        return replace(target, rates=rates, remote=self._remote(target))

    def _remote(self, target: Target) -> RemoteEnergy | None:
        if target.zone is Zone.DEVICE:
            return None
        return target.remote or self._consumptions.remote(target.id)

    def _latency_s(self, outcome: Outcome, rates: Rates) -> float | None:
        """What the first token of somebody else's target took besides reading the prompt."""
        theirs = outcome.target is not None and outcome.target in self._providers
        if not theirs or outcome.ttft_s is None or len(outcome.attempts) > 1:
            return None
        return max(outcome.ttft_s - outcome.prompt_tokens / rates.prefill_tok_s, 0.0)

    def _queued_there(self, target: Target) -> int:
        """Tokens before a new request at a peer: none as long as it has lent us a slot.

        What it told of its queue holds for the moment when it did; what was sent there since, and
        what has ended, is known here.
        """
        if not target.slots:
            return max(target.queued_tokens, self._queued_tokens(target.id))
        running = self._expected.get(target.id, [])
        since = len(running) - target.lent + (0 if target.queued_tokens else 1)
        tokens = since * statistics.mean(running or [_USUAL_TOKENS]) / target.slots
        return max(0, round(target.queued_tokens + tokens))

    def _queued_tokens(self, model: ModelId) -> int:
        """Tokens until a slot is free: what waits, shared among the slots that work it off."""
        running = self._expected.get(model, [])
        waiting = len(running) - self._slots + 1
        return round(waiting * statistics.mean(running) / self._slots) if waiting > 0 else 0


def _blend(old: float, new: float | None) -> float:
    return old if new is None else old + _WEIGHT * (new - old)
