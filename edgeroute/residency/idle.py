"""What becomes of models that nobody uses: ended after a while, or exchanged for a guess.

Owns when to end and when to look for guesses, by how the machine stands.
"""

import math
from collections.abc import Iterator

from edgeroute.domain.target import Warmth
from edgeroute.residency.demand import Demand
from edgeroute.residency.messages import ConditionsChanged
from edgeroute.residency.prewarm import Guess, Guesses, Prewarm
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.settings import Settings
from edgeroute.residency.turn import Turn

_WEIGH_S = 15.0
"""Between two looks at what warmth costs; habits hardly change in less."""
_READING_S = 30.0
"""An answer is read, and the next question written, for about so long."""


class Idle:
    """Looks after a machine that has nothing better to do.

    Args:
        models: All models.
        demand: What is known of when they are asked for.
        settings: Of the pool.

    Attributes:
        guesses: What came of guesses.
    """

    def __init__(self, models: Registry, demand: Demand, settings: Settings) -> None:
        self.guesses = Guesses()
        self._models = models
        self._demand = demand
        self._settings = settings
        self._prewarm = Prewarm()
        self._may_guess = False
        self._look_at = 0.0
        self._release_s: float | None = None
        self._release_at = math.inf
        self._weigh_at = 0.0

    def change_conditions(self, told: ConditionsChanged, now: float) -> None:
        """The machine stands differently."""
        self._demand.reuse.midnight = told.midnight
        self._demand.warmth = told.warmth
        self._demand.served = told.served
        self._may_guess = told.may_prewarm
        self._release_s = told.idle_release_s
        self._release_at = math.inf if told.idle_release_s is None else now
        self.look_again(now)

    def look_again(self, now: float) -> None:
        """Something has changed that bears on guesses."""
        self._look_at = now
        self._prewarm.begin()

    def overdue(self, now: float) -> list[Resident]:
        """Models that have been idle for too long, or whose warmth costs more than it saves."""
        expired = self._expired(now)
        return [*expired, *(each for each in self._wasted(now) if each not in expired)]

    def _wasted(self, now: float) -> list[Resident]:
        if not self._demand.warmth or now < self._weigh_at:
            return []
        self._weigh_at = now + _WEIGH_S
        return [
            resident
            for resident in self._models.of(Warmth.WARM)
            if not (resident.leases or resident.pinned)
            and now - resident.last_used >= _READING_S
            and self._demand.worth(resident.id, resident.load_s, now) < 0
        ]

    def _expired(self, now: float) -> list[Resident]:
        """Who becomes idle later is due later."""
        if self._release_s is None or now < self._release_at:
            return []
        self._release_at = now + self._release_s
        overdue = []
        for resident in self._models.of(Warmth.WARM):
            if resident.leases or resident.pinned:
                continue
            due_at = resident.last_used + self._release_s
            if now >= due_at:
                overdue.append(resident)
            else:
                self._release_at = min(self._release_at, due_at)
        return overdue

    def guess(self, now: float) -> Guess | None:
        """What to load on a guess; the caller knows that nobody holds or wants anything."""
        if now < self._look_at or not self._is_calm:
            return None
        turn = Turn(self._models, self._demand, now, self._settings)
        tenure_s = self._demand.tenure_s(self._models.budget, now)
        guess = self._prewarm.look(self._models, turn, tenure_s, now)
        if guess is None:
            self._look_at = now + self._prewarm.rest_s
        return guess

    def charge(self, resident: Resident, now: float) -> None:
        """A model is put out; where it was a guess that has served nobody, the guess was wrong."""
        if resident.guessed:
            resident.guessed = False
            self.guesses.charge(resident, now)

    def moments(self, *, anybody: bool) -> Iterator[float]:
        """When time alone changes what is to be done."""
        if self._release_s is not None:
            yield self._release_at
        if self._demand.warmth and self._models.of(Warmth.WARM):
            yield self._weigh_at
        if not anybody and self._is_calm:
            yield self._look_at

    @property
    def _is_calm(self) -> bool:
        """Whether guesses are welcome and no model is on its way in or out."""
        return self._may_guess and not self._models.of(
            Warmth.LOADING, Warmth.DRAINING, Warmth.RECLAIMING
        )
