"""The live list of targets: what can answer, how fast it has proved to be, how busy it is.

Owns measured rates and requests in flight; hands `routing` its arrays, built again only when
something that they hold has changed.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from edgeroute.domain.card import ModelCard
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.privacy import Zone
from edgeroute.domain.target import Rates, Target
from edgeroute.domain.units import ModelId
from edgeroute.residency.pool import ModelStatus
from edgeroute.routing.candidates import Roster
from edgeroute.runtime.pool import Pool

_WEIGHT = 0.3
"""Weight of the newest measurement in a rate's moving average. The prior is where it starts, so
that one answer on a busy machine does not shut a model out for good."""


class LiveRoster:
    """Every target of this machine.

    Args:
        pool: Says how every model stands, and grows its version when that changes.
        slots: Requests that one model answers at once.
        prior: Rates of a model that was not measured yet.
    """

    def __init__(
        self,
        pool: Pool,
        slots: int,
        prior: Callable[[ModelCard], Rates],
    ) -> None:
        self._pool = pool
        self._slots = slots
        self._prior = prior
        self._cards: Mapping[ModelId, ModelCard] = {}
        self._rates: dict[ModelId, Rates] = {}
        self._expected: dict[ModelId, list[int]] = defaultdict(list)
        self._changes = 0
        self._built: tuple[tuple[int, int], Roster] | None = None

    def replace_cards(self, cards: Sequence[ModelCard], measured: Mapping[ModelId, Rates]) -> None:
        """Take a new catalog and what was measured of its models before."""
        self._cards = {card.id: card for card in cards}
        self._rates = {card.id: measured.get(card.id) or self._prior(card) for card in cards}
        self._changes += 1

    def rates(self, model: ModelId) -> Rates:
        """Rates of a model as routing sees them."""
        return self._rates[model]

    def queue_s(self, model: ModelId) -> float:
        """Seconds until a slot of a busy model should be free."""
        return self._queued_tokens(model) / self._rates[model].decode_tok_s

    def current(self) -> Roster:
        """The roster as it stands."""
        key = (self._pool.version, self._changes)
        if self._built is None or self._built[0] != key:
            self._built = (
                key,
                Roster.of([self._target(status) for status in self._pool.snapshot()]),
            )
        return self._built[1]

    @contextmanager
    def in_flight(self, target: ModelId, expected_tokens: int) -> Iterator[None]:
        """Count a request against a target while it runs."""
        running = self._expected[target]
        running.append(expected_tokens)
        self._note_queue(running)
        try:
            yield
        finally:
            self._note_queue(running)
            running.remove(expected_tokens)

    def learn(self, outcome: Outcome) -> None:
        """Take the rates that a finished request showed."""
        if outcome.target is None or outcome.target not in self._rates:
            return
        old = self._rates[outcome.target]
        self._rates[outcome.target] = replace(
            old,
            prefill_tok_s=_blend(old.prefill_tok_s, outcome.prefill_tok_s),
            decode_tok_s=_blend(old.decode_tok_s, outcome.decode_tok_s),
            measured=old.measured or outcome.decode_tok_s is not None,
        )
        self._changes += 1

    def learn_load(self, model: ModelId, load_s: float) -> None:
        """Take the seconds that a load took."""
        self._rates[model] = replace(self._rates[model], load_s=load_s)
        self._changes += 1

    def _note_queue(self, running: Sequence[int]) -> None:
        if len(running) > self._slots:  # only a queue is seen by routing
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
            retry_in_s=status.retry_in_s,
            scores=card.scores,
            capabilities=card.capabilities,
        )

    def _queued_tokens(self, model: ModelId) -> int:
        """Tokens until a slot is free: what waits, shared among the slots that work it off."""
        running = self._expected.get(model, [])
        waiting = len(running) - self._slots + 1
        return round(waiting * statistics.mean(running) / self._slots) if waiting > 0 else 0


def _blend(old: float, new: float | None) -> float:
    return old if new is None else old + _WEIGHT * (new - old)
