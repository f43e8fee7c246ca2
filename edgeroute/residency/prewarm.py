"""What to load on a guess, while nobody wants the memory.

Owns the decision and the account of guesses. A guess has to be likely, and to save more than what
those will be missed for who go; where it was wrong, it is charged.
"""

from dataclasses import dataclass

from edgeroute.domain.target import Warmth
from edgeroute.domain.units import ModelId
from edgeroute.residency.placement import Placement
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.turn import Turn

_AT_A_TIME = 8
"""Models that are looked at per event, so that no event takes long however many there are."""
_SURE = 0.2
"""P(asked for while it is there) from which on a guess is made: the price of a load in loads."""
_PAUSE_S = 0.2
_REST_S = 60.0
"""After all were looked at in vain: hours pass and chances change."""


@dataclass(slots=True)
class Guesses:
    """What came of guesses.

    Attributes:
        loads: Guesses.
        used: Those that served somebody.
        wasted_bytes: Read of files for those that were put out before they did.
        wasted_s: Seconds that loading them took.
    """

    loads: int = 0
    used: int = 0
    wasted_bytes: int = 0
    wasted_s: float = 0.0

    def charge(self, resident: Resident, now: float) -> None:
        """A guess is put out, or its worker ends, before it has served anybody."""
        share = 1.0
        if resident.state is Warmth.LOADING and resident.load_s > 0:
            share = min(1.0, (now - resident.started_at) / resident.load_s)
        self.wasted_bytes += int(share * resident.spec.card.shape.file_bytes)
        self.wasted_s += share * resident.load_s


@dataclass(frozen=True, slots=True)
class Guess:
    """A model to load, and who has to go first; it is guessed again once they are gone."""

    resident: Resident
    placement: Placement
    victims: tuple[Resident, ...]


class Prewarm:
    """Looks through the cold models, some at a time, then weighs the likeliest, one at a time.

    Attributes:
        rest_s: Seconds until the next look, after one that found nothing.
    """

    def __init__(self) -> None:
        self.rest_s = 0.0
        self._unseen: list[Resident] | None = None
        self._hopes: list[tuple[float, ModelId]] = []

    def begin(self) -> None:
        """Something has changed: look through all models again."""
        self._unseen = None
        self._hopes = []

    def look(self, models: Registry, turn: Turn, tenure_s: float, now: float) -> Guess | None:
        """The guess that promises most and is worth its victims; `None` before, or without one.

        Args:
            models: All models.
            turn: Of this moment.
            tenure_s: How long a model may be expected to stay.
            now: Seconds.
        """
        if self._unseen is None:
            self._unseen = models.of(Warmth.COLD)
        some, self._unseen = self._unseen[:_AT_A_TIME], self._unseen[_AT_A_TIME:]
        promises = ((_promise_s(each, turn, tenure_s), each.id) for each in some)
        self._hopes += [promise for promise in promises if promise[0] > 0]
        self.rest_s = _PAUSE_S
        if self._unseen:
            return None
        if not self._hopes:
            self.begin()
            self.rest_s = _REST_S
            return None
        best = max(self._hopes)
        guess = _weigh(models, turn, best[1], tenure_s, now)
        if guess is None:
            self._hopes.remove(best)
        return guess


def _promise_s(resident: Resident, turn: Turn, tenure_s: float) -> float:
    """Seconds of waiting that a load saves, less its price; nobody else counted.

    What a peer serves is as good as never loaded: the way there takes less than the price.
    """
    return turn.missed_s(resident, tenure_s) - _SURE * resident.load_s


def _weigh(
    models: Registry, turn: Turn, model: ModelId, tenure_s: float, now: float
) -> Guess | None:
    resident = models.get(model)
    if resident is None or resident.state is not Warmth.COLD or resident.backs_off(now):
        return None
    placed = models.place(resident, models.obtainable)
    if not isinstance(placed, Placement):
        return None
    victims = turn.victims_of_guess(placed.footprint)
    if victims is None:
        return None
    missed_s = sum(turn.missed_s(victim, tenure_s) for victim in victims)
    if _promise_s(resident, turn, tenure_s) <= missed_s:
        return None
    return Guess(resident, placed, tuple(victims))
