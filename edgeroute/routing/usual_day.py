"""How many requests are still to come today, by the hour: from days like it, and from today so far.

Owns what is usual. Which request it is, is never asked.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOUR_S = 3600.0
HOURS = 24
DAY_S = HOURS * HOUR_S
_WEIGHT = 0.25
"""Of the newest day in what is expected of an hour, once there were as many days."""
_TODAY = 60.0
"""Requests of today that count as much as the days before: some six sessions of ten, which come and
end together."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class _Usual:
    """Requests of each hour of a usual day of one kind, and how many such days were seen."""

    hours: Floats
    days: int = 1

    def learn(self, day: Floats) -> None:
        self.days += 1
        self.hours += max(_WEIGHT, 1.0 / self.days) * (day - self.hours)


class Demand:
    """How many requests are expected, by the hour of the day.

    Days at work and weekends are learnt apart; one kind stands for the other until that was seen.
    """

    def __init__(self) -> None:
        self._usual: dict[bool, _Usual] = {}
        self._today = np.zeros(HOURS)
        self._day: int | None = None
        self._began = 0.0

    def note(self, at: float) -> None:
        """A request came at `at`, seconds since a local midnight."""
        day = int(at // DAY_S)
        if self._day is None:
            self._day, self._began = day, at
        if day != self._day:
            self._end_day(self._day)
            self._day = day
        self._today[int(at % DAY_S // HOUR_S)] += 1.0

    def expected(self, since: float, until: float) -> Floats:
        """Requests in each hour of the day between two moments at most a day apart."""
        hours = np.arange(math.floor(since / HOUR_S), math.ceil(until / HOUR_S))
        starts = hours * HOUR_S
        parts = (np.minimum(until, starts + HOUR_S) - np.maximum(since, starts)) / HOUR_S
        usual = self._usual_on(int(since // DAY_S))
        if usual is None:  # nothing is known of the hours to come but the pace so far
            seen_h = max(1.0, (since - self._began) / HOUR_S)
            usual = np.full(HOURS, float(self._today.sum()) / seen_h)
        else:
            usual = usual * self._pace(usual, since)
        found = np.zeros(HOURS)
        np.add.at(found, hours % HOURS, usual[hours % HOURS] * parts)
        return found

    def passed(self, now: float, until: float) -> float:
        """The share of today's requests that have come, if as many follow as are expected."""
        today = float(self._today.sum()) if self._day == int(now // DAY_S) else 0.0
        return today / (today + 1.0 + float(self.expected(now, until).sum()))

    def _usual_on(self, day: int) -> Floats | None:
        weekend = is_weekend(day)
        found = self._usual.get(weekend) or self._usual.get(not weekend)
        return None if found is None else found.hours

    def _pace(self, usual: Floats, now: float) -> float:
        """Today against a usual day so far."""
        if self._day != int(now // DAY_S):
            return 1.0
        hour = now % DAY_S / HOUR_S
        whole = int(hour)
        awaited = float(usual[:whole].sum()) + float(usual[whole]) * (hour - whole)
        return (float(self._today.sum()) + _TODAY) / (awaited + _TODAY)

    def _end_day(self, day: int) -> None:
        weekend = is_weekend(day)
        if weekend in self._usual:
            self._usual[weekend].learn(self._today)
        else:
            self._usual[weekend] = _Usual(self._today.copy())
        self._today[:] = 0.0


def is_weekend(day: int) -> bool:
    """Of a day's number; 1970-01-01, the number 0, was a Thursday."""
    return (day + 3) % 7 >= 5  # noqa: PLR2004 - Saturday and Sunday
