"""When a model is asked for again after it was last used, learned from the pauses so far.

Owns the distribution of one model's pauses: how often and how long, the newest counting most.
Knows no other model and no time of day.
"""

import math
from dataclasses import dataclass, field

_SHORTEST_S = 0.25
_PER_OCTAVE = 2
_BINS = 22 * _PER_OCTAVE
"""From a quarter of a second to twelve days."""
_KEPT = 0.9
"""Of what a pause counts, when the next one has come: about the last ten matter."""
_RATE_KEPT = 0.7
"""The same for the plain rate, which has to follow a drifting popularity: about the last three.
On drifting Zipf traffic 0.7 to 0.8 lose least, 0.9 and windows of two hours 10% more."""
_GREATEST = 1e100


@dataclass(slots=True)
class Habit:
    """Pauses between the end of one use of a model and the next request for it.

    Kept as sums over all pauses of at least a certain length, in bins of half an octave: how many
    and how many seconds. A new pause weighs more than all before it instead of these being made
    lighter one by one.

    Attributes:
        last: When it was last asked for or in use.
    """

    last: float
    _pauses: float = 0.0
    _seconds: float = 0.0
    _weight: float = 1.0
    _longer: list[float] = field(default_factory=lambda: [0.0] * (_BINS + 1))
    _longer_s: list[float] = field(default_factory=lambda: [0.0] * (_BINS + 1))

    def ask(self, now: float) -> None:
        """It is asked for again."""
        pause = max(0.0, now - self.last)
        self.last = now
        self._pauses = self._pauses * _RATE_KEPT + 1.0
        self._seconds = self._seconds * _RATE_KEPT + pause
        self._weight /= _KEPT
        if self._weight > _GREATEST:
            self._rescale()
        for i in range(_bin(pause) + 1):
            self._longer[i] += self._weight
            self._longer_s[i] += self._weight * pause

    def typical_s(self, now: float, usual_s: float) -> float:
        """Seconds from request to request at its rate of late, the present pause counted in.

        Args:
            now: Seconds.
            usual_s: What is usual among all models; counts as half a pause.
        """
        seconds = self._seconds + max(0.0, now - self.last) + 0.5 * usual_s
        return seconds / (self._pauses + 0.5)

    def survivors(self, now: float) -> tuple[float, float]:
        """Of the pauses that lasted at least as long as the present one.

        Returns:
            Their number, and the seconds that were left of all of them together; weighted, the
            newest pause being 1.
        """
        idle_s = max(0.0, now - self.last)
        at = _bin(idle_s)
        n, seconds = self._longer[at], self._longer_s[at]
        rest, rest_s = self._longer[at + 1], self._longer_s[at + 1]
        if seconds - rest_s < (n - rest) * idle_s:  # those of its own bin are over, on average
            n, seconds = rest, rest_s
        return n / self._weight, max(0.0, seconds - n * idle_s) / self._weight

    def ended(self, now: float, horizon_s: float) -> float:
        """How many of the survivors ended within the horizon from now, in the same weights."""
        n, _ = self.survivors(now)
        idle_s = max(0.0, now - self.last)
        later = self._longer[min(_BINS, _bin(idle_s + horizon_s) + 1)]
        return max(0.0, n - later / self._weight)

    def _rescale(self) -> None:
        self._longer = [n / self._weight for n in self._longer]
        self._longer_s = [seconds / self._weight for seconds in self._longer_s]
        self._weight = 1.0


def _bin(pause_s: float) -> int:
    if pause_s <= _SHORTEST_S:
        return 0
    return min(_BINS - 1, int(math.log2(pause_s / _SHORTEST_S) * _PER_OCTAVE))
