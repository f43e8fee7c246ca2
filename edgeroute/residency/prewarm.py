"""What to load on a guess, while nobody wants the memory.

Owns the decision and the account of guesses. A guess has to be likely, and to save more than what
those will be missed for who go; where it was wrong, it is charged.
"""

from dataclasses import dataclass

from edgeroute.domain.target import Warmth
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
    gain_s: float


class Prewarm:
    """Looks through the cold models, some at a time.

    Attributes:
        rest_s: Seconds until the next look, after one that found nothing.
    """

    def __init__(self) -> None:
        self.rest_s = 0.0
        self._left: list[Resident] = []
        self._best: Resident | None = None
        self._room_made = False

    def begin(self) -> None:
        """Something has changed: look through all models again."""
        self._left = []
        self._best = None
        self._room_made = False

    def look(self, models: Registry, turn: Turn, tenure_s: float, now: float) -> Guess | None:
        """The best guess once all models were looked at; `None` before, or where there is none.

        Args:
            models: All models.
            turn: Of this moment.
            tenure_s: How long a model may be expected to stay.
            now: Seconds.
        """
        if not self._left and not self._room_made:
            self._left = models.of(Warmth.COLD)
        some, self._left = self._left[:_AT_A_TIME], self._left[_AT_A_TIME:]
        if self._best is not None:
            some.append(self._best)
        guesses = (_weigh(models, turn, each, tenure_s, now) for each in some)
        best = max(filter(None, guesses), key=lambda guess: guess.gain_s, default=None)
        self._best = None if best is None else best.resident
        if self._left:
            self.rest_s = _PAUSE_S
            return None
        self.rest_s = _REST_S
        self._room_made = best is not None and bool(best.victims)
        return best


def _weigh(
    models: Registry, turn: Turn, resident: Resident, tenure_s: float, now: float
) -> Guess | None:
    if resident.state is not Warmth.COLD or resident.removed or resident.backs_off(now):
        return None
    chance = turn.reuse.chance(resident.id, now, tenure_s)
    if chance < _SURE:
        return None
    placed = models.place(resident, models.obtainable)
    if not isinstance(placed, Placement):
        return None
    victims = turn.victims_of_guess(placed.footprint)
    if victims is None:
        return None
    missed_s = sum(turn.reuse.chance(v.id, now, tenure_s) * v.load_s for v in victims)
    gain_s = (chance - _SURE) * resident.load_s - missed_s
    return Guess(resident, placed, tuple(victims), gain_s) if gain_s > 0 else None
