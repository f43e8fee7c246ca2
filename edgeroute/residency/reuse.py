"""How likely a model is asked for again, and how soon.

Owns what is learned of every model: its pauses (`habit`), what it follows (`sequence`) and its
hours (`daytime`); and how these are put together. Pure and deterministic; bounded by the number of
models.
"""

import math

from edgeroute.domain.units import ModelId
from edgeroute.residency.daytime import DAY_S, SLOT_S, Daytime
from edgeroute.residency.habit import Habit
from edgeroute.residency.sequence import WINDOW_S, Sequence

_TRAFFIC_KEPT = 0.98
_PRIOR = 6.0
"""Pauses that a model's plain rate counts for beside those that it was seen to make."""
_STANDS = 0.125
"""Of the present pause, for how long a rate stands before it is worked out again."""
_NEVER = 1e-9
_UNKNOWN = -math.inf, _NEVER
_NEWS = 4.0
_CERTAIN = 0.99


class Reuse:
    """What is known of when models are asked for."""

    def __init__(self) -> None:
        self._midnight = 0.0
        self._habits: dict[ModelId, Habit] = {}
        self._daytimes: dict[ModelId, Daytime] = {}
        self._sequence = Sequence()
        self._plain: dict[ModelId, tuple[float, float]] = {}  # a rate, and until when it stands
        self._rates: dict[ModelId, tuple[float, float]] = {}  # the same with all else that is known
        self._asks = 0.0
        self._seconds = 0.0
        self._last: float | None = None

    @property
    def midnight(self) -> float:
        """A moment at which a local day began, on the clock that `now` is of."""
        return self._midnight

    @midnight.setter
    def midnight(self, at: float) -> None:
        self._midnight = at
        self._rates.clear()

    def note_ask(self, model: ModelId, app: str, now: float) -> None:
        """A request wants a model; who asks may be empty."""
        if self._last is not None:
            self._asks = self._asks * _TRAFFIC_KEPT + 1.0
            self._seconds = self._seconds * _TRAFFIC_KEPT + max(0.0, now - self._last)
        self._last = now
        habit = self._habits.get(model)
        if habit is None:
            self._habits[model] = Habit(now)
            self._daytimes[model] = Daytime(int((now - self.midnight) // DAY_S))
        else:
            habit.ask(now)
        self._unsettle(model)
        self._daytimes[model].note(now - self.midnight)
        for other in self._sequence.note(model, app, now):
            self._rates.pop(other, None)

    def note_use(self, model: ModelId, now: float) -> None:
        """A request has ended on a model."""
        habit = self._habits.get(model)
        if habit is not None:
            habit.last = now
            self._unsettle(model)

    def forget(self, model: ModelId) -> None:
        """The model was removed."""
        self._habits.pop(model, None)
        self._unsettle(model)
        self._daytimes.pop(model, None)
        self._sequence.forget(model)

    def _unsettle(self, model: ModelId) -> None:
        """Its rate is to be worked out anew."""
        self._plain.pop(model, None)
        self._rates.pop(model, None)

    def rate(self, model: ModelId, now: float) -> float:
        """Requests per second that are to be expected next; hardly any where it never had one.

        The greatest of what three things say: 1 / the seconds that are left of the pauses that
        lasted as long as the present one, what follows what, and the time of day.
        """
        until, rate = self._rates.get(model, _UNKNOWN)
        if now >= until and model in self._habits:
            until, rate = self._rates[model] = self._work_out(model, now)
        return rate

    def _work_out(self, model: ModelId, now: float) -> tuple[float, float]:
        """Until when a rate stands unless its model is asked for or foretold anew; and the rate."""
        until, rate = self._plain.get(model, _UNKNOWN)
        if now >= until:
            habit = self._habits[model]
            rate = self._plain_rate(habit, now)
            until = now + _STANDS * (now - habit.last)
            self._plain[model] = until, rate
        foretold_until = self._sequence.expects_until(model, now)
        if foretold_until is not None:
            until = min(until, foretold_until)
            plain = 1.0 - math.exp(-rate * WINDOW_S)
            follows = self._sequence.chance(model, now, plain)
            if follows > _NEWS * plain:  # else it says no more, and does not say when
                rate = _rate(follows, WINDOW_S)
        at = now - self.midnight
        by_hour = self._daytimes[model].chance(at)
        if by_hour:
            rate = max(rate, _rate(by_hour, SLOT_S))
        return min(until, self.midnight + (at // SLOT_S + 1.0) * SLOT_S), rate

    def chance(self, model: ModelId, now: float, horizon_s: float) -> float:
        """P(asked for within the horizon); 0 where it never was."""
        habit = self._habits.get(model)
        if habit is None:
            return 0.0
        n, _ = habit.survivors(now)
        plain = 1.0 - math.exp(-horizon_s / max(1e-3, habit.typical_s(now, self._usual_s)))
        by_pause = (habit.ended(now, horizon_s) + _PRIOR * plain) / (n + _PRIOR)
        soon = now - self.midnight + min(horizon_s, SLOT_S) / 2
        by_hour = self._daytimes[model].chance(soon) * min(1.0, horizon_s / SLOT_S)
        return max(by_hour, self._sequence.chance(model, now, by_pause))

    def _plain_rate(self, habit: Habit, now: float) -> float:
        n, left_s = habit.survivors(now)
        wait_s = (left_s + _PRIOR * habit.typical_s(now, self._usual_s)) / (n + _PRIOR)
        return 1.0 / max(1e-3, wait_s)

    @property
    def _usual_s(self) -> float:
        """Seconds from request to request of a model, over all that were ever asked for."""
        if not self._asks:
            return SLOT_S
        return self._seconds / self._asks * len(self._habits)


def _rate(chance: float, within_s: float) -> float:
    """Of a Poisson process that has this chance to bring a request within so many seconds."""
    return -math.log1p(-min(chance, _CERTAIN)) / within_s
