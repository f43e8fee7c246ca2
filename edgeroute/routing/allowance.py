"""What a budget will still allow today: as it does now, or as much as on days before.

Owns that forecast. A budget that is the same in every hour is taken as it is; one that follows a
battery tells little of the evening in the morning, while days are much alike in all that they
allow. Which of the two was nearer at this hour is learnt, and they are weighed by it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edgeroute.routing.usual_day import DAY_S, HOUR_S, HOURS, is_weekend

_WEIGHT = 0.25
"""Of the newest day, once there were as many."""
_UNLIKE = 0.05
"""Days differ by so much at least, even if they did not yet: where both forecasts were right so
far, a budget that has just changed is believed."""
_CAUTION = 0.5
"""Of what forecasts are usually off by, so much is not counted on: what is missing in the evening
is overdrawn, what is over is only late."""

Floats = NDArray[np.float64]


class _Known:
    """Of days of one kind.

    Attributes:
        total_j: What such a day allows.
        off: Mean square of how far off each forecast was at each hour, shape (2, hours): by the
            rate, by the day.
    """

    def __init__(self) -> None:
        self.days = 0
        self.total_j = 0.0
        self.off = np.zeros((2, HOURS))

    def learn(self, total_j: float, off: Floats | None) -> None:
        """Take a day: what it allowed, and the squares of what forecasts were off by on it."""
        self.days += 1
        weight = max(_WEIGHT, 1.0 / self.days)
        if off is not None:
            self.off += max(_WEIGHT, 1.0 / max(1, self.days - 1)) * (off - self.off)
        self.total_j += weight * (total_j - self.total_j)


class Allowance:
    """What is allowed until midnight.

    Days at work and weekends are learnt apart; one kind stands for the other until that was seen.
    """

    def __init__(self) -> None:
        self._known: dict[bool, _Known] = {}
        self._day: int | None = None
        self._given_j = 0.0
        self._told: dict[int, tuple[float, float, float]] = {}  # by hour: given, both forecasts

    def grant(self, joules: float, now: float) -> None:
        """So much was allowed until now, seconds since a local midnight."""
        day = int(now // DAY_S)
        if day != self._day:
            if self._day is not None:
                self._end_day(self._day)
            self._day, self._given_j, self._told = day, 0.0, {}
        self._given_j += joules

    def to_come(self, per_hour: float, now: float) -> float:
        """Joules that the rest of the day should still allow, where so much per hour is now."""
        by_rate = per_hour * (DAY_S - now % DAY_S) / HOUR_S
        known = self._of(int(now // DAY_S))
        if known is None:
            return by_rate
        by_day = max(0.0, known.total_j - self._given_j)
        hour = int(now % DAY_S // HOUR_S)
        self._told.setdefault(hour, (self._given_j, by_rate, by_day))
        rate_off, day_off = known.off[:, hour] + [0.0, (_UNLIKE * known.total_j) ** 2]
        if not rate_off + day_off > 0:
            return by_rate
        trust = rate_off / (rate_off + day_off)
        off = math.sqrt(trust * day_off)  # of both together, as far as they err independently
        return max(0.0, float(trust * by_day + (1.0 - trust) * by_rate) - _CAUTION * off)

    def _of(self, day: int) -> _Known | None:
        weekend = is_weekend(day)
        return self._known.get(weekend) or self._known.get(not weekend)

    def _end_day(self, day: int) -> None:
        known, before = self._known.setdefault(is_weekend(day), _Known()), self._of(day)
        off = None
        if self._told and before is not None and before.days:
            off = before.off.copy()
            for hour, (given, *forecasts) in self._told.items():
                rest = self._given_j - given
                off[:, hour] = [(each - rest) ** 2 for each in forecasts]
        known.learn(self._given_j, off)
