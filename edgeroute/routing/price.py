"""What a joule is worth now, so that a budget lasts and is used.

Owns the price. Who asks when (`usual_day`), and what there was to choose from then, is learnt by
the hour of the day. For all who are still expected today a plan is made with what is left: first
everybody gets the cheapest target, then the upgrades that give most for a joule, as far as the
joules go. What is left is what was not used and what the day should still allow (`allowance`).
The price is what the first upgrade gives per joule that is not in the plan, so whoever
pays it keeps to the plan. It is made again for every request: what was misjudged is spread over all
that is left of the day. In the morning a plan is little more than a guess, and what days before
came to is the better one: the price moves from theirs to the plan's as today's requests come in. It
only weighs: at any price the cheapest target answers, so nobody is starved, and what nobody waits
for pays more than what somebody does.

The plan is the linear relaxation of the multiple-choice knapsack (Sinha and Zoltners 1979), which
is off by at most one upgrade.
"""

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.decision import Decision
from edgeroute.routing.allowance import Allowance
from edgeroute.routing.usual_day import DAY_S, HOUR_S, HOURS, Demand

_REMEMBERED = 2048
"""Decisions whose choices stand for those to come: a week's. Few of them take most of the joules,
so that a day's are too small a sample."""
_TELLING = 8
"""Choices of an hour that stand for that hour alone."""
_HIGHEST = 1e3
"""A price at which a joule is worth a thousand answers; nothing is chosen for quality any more."""
_BACKGROUND = 2.0
"""What nobody waits for pays so many times the price."""
_LATER = 0.03
"""Part of what is allowed in an hour from now that is not counted on, and as much again for each
hour after it: an allowance may be cut until then, and more may be asked."""
_KEPT = 0.7
"""Of what a day before says about the price of the next one."""
_FAR = math.log(8.0)
"""Prices that are so far apart have nothing to do with each other: the budget is another one."""
_ENERGY = "energy"
"""The objective that a budget prices."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one decision could have chosen.

    Attributes:
        worth: Utility of each target without its energy.
        joules: Of this device, by each.
        background: Nobody waited for it.
    """

    worth: tuple[float, ...]
    joules: tuple[float, ...]
    background: bool = False


def choice_of(decision: Decision, *, background: bool = False) -> Choice:
    """What a decision chose from."""
    worth = tuple(
        ranked.utility - sum(term.value for term in ranked.terms if term.name == _ENERGY)
        for ranked in decision.plan
    )
    joules = tuple(ranked.estimate.device_joules for ranked in decision.plan)
    return Choice(worth, joules, background)


def upgrades(choice: Choice) -> tuple[float, list[tuple[float, float]]]:
    """Joules of the cheapest target worth choosing at any price, and what more gives more.

    Returns:
        Those joules, and for each next target that is ever the best one the price up to which it
        is, and its joules beyond the one before; prices fall.
    """
    hull: list[tuple[float, float]] = []
    for joules, worth in sorted(zip(choice.joules, choice.worth, strict=True)):
        if hull and worth <= hull[-1][1]:
            continue
        if hull and joules == hull[-1][0]:
            hull.pop()
        while len(hull) > 1 and _slope(hull[-1], (joules, worth)) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append((joules, worth))
    factor = _BACKGROUND if choice.background else 1.0
    steps = pairwise(hull)
    return hull[0][0], [(_slope(one, more) / factor, more[0] - one[0]) for one, more in steps]


def _slope(one: tuple[float, float], more: tuple[float, float]) -> float:
    return (more[1] - one[1]) / (more[0] - one[0])


class _Remembered:
    """The last choices, as upgrades in the order of what they give per joule.

    Attributes:
        counts: Choices of each hour of the day.
        least: Joules of their cheapest targets, summed up by hour.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(HOURS)
        self.least = np.zeros(HOURS)
        self._told: deque[tuple[Choice, int]] = deque(maxlen=_REMEMBERED)
        self._past: deque[tuple[int, float]] = deque()
        self._first = 0
        self._upgrades = np.empty((4, 0))  # price, joules, hour, number of the choice

    def add(self, choice: Choice, hour: int) -> None:
        """Take one; it is worked in when somebody asks, which without a budget is never."""
        self._told.append((choice, hour))

    def upgrades(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Price, joules and hour of each upgrade, those that give most for a joule first."""
        while self._told:
            self._work_in(*self._told.popleft())
        prices, joules, hours, _ = self._upgrades
        return prices, joules, hours.astype(np.intp)

    def _work_in(self, choice: Choice, hour: int) -> None:
        least, steps = upgrades(choice)
        if len(self._past) == _REMEMBERED:
            self._forget()
        new = np.array(
            [(price, joules, hour, self._first + len(self._past)) for price, joules in steps]
        ).reshape(-1, 4)
        at = np.searchsorted(-self._upgrades[0], -new[:, 0])
        self._upgrades = np.insert(self._upgrades, at, new.T, axis=1)
        self._past.append((hour, least))
        self.counts[hour] += 1.0
        self.least[hour] += least

    def _forget(self) -> None:
        hour, least = self._past.popleft()
        self.counts[hour] -= 1.0
        self.least[hour] -= least
        self._upgrades = self._upgrades[:, self._upgrades[3] != self._first]
        self._first += 1


class Price:
    """The worth of a joule under a budget.

    Attributes:
        demand: Who is expected.
    """

    def __init__(self) -> None:
        self.demand = Demand()
        self._choices = _Remembered()

    def note(self, choice: Choice, at: float) -> None:
        """Take a decision; `at` is seconds since a local midnight."""
        self.demand.note(at)
        if choice.worth:
            self._choices.add(choice, int(at % DAY_S // HOUR_S))

    def now(self, left_j: float, since: float, until: float, base: float) -> float:
        """The price from now on.

        Args:
            left_j: What may be taken until `until`.
            since: Now, seconds since a local midnight.
            until: When the budget ends.
            base: The least price: what a joule is worth without a budget.
        """
        known = self._choices
        prices, joules, hours = known.upgrades()
        if not known.counts.any():
            return base
        asking_now = np.arange(HOURS) == int(since % DAY_S // HOUR_S)
        each = _weights(self.demand.expected(since, until) + asking_now, known.counts)
        left_j -= float(each @ known.least)
        if left_j < 0:
            return max(base, _HIGHEST)
        planned = (each[hours] * joules).cumsum()
        first_out = int(np.searchsorted(planned, left_j, side="right"))
        if first_out == len(planned):
            return base
        above = float(prices[first_out]) * (1.0 + 1e-6)
        return min(max(base, above), max(base, _HIGHEST))


def _weights(awaited: Floats, counts: Floats) -> Floats:
    """For how many requests one remembered choice of each hour stands.

    An hour of which too little is remembered is as all are.
    """
    told = counts >= _TELLING
    each = np.where(told, awaited / np.maximum(counts, 1.0), 0.0)
    each += float(awaited[~told].sum()) / float(counts.sum())
    return each


class Account:
    """A budget of joules per hour, planned until the next local midnight.

    What was not used is kept until then; the rate may change with the charge, and is taken to last.

    Args:
        day_s: Now, seconds since a local midnight.
    """

    def __init__(self, day_s: float) -> None:
        self.price = Price()
        self._allowance = Allowance()
        self._left_j = 0.0
        self._at = day_s
        self._log_price = 0.0
        self._spent_j = 0.0
        self._spent_log_j = 0.0

    def accrue(self, per_hour: float, day_s: float) -> None:
        """Time has passed until `day_s`; `per_hour` was allowed in it."""
        if day_s // DAY_S != self._at // DAY_S:
            midnight = self._at - self._at % DAY_S + DAY_S
            self._grant(per_hour, midnight)
            self._left_j, self._at = 0.0, max(midnight, day_s - day_s % DAY_S)
            self._spent_j *= _KEPT
            self._spent_log_j *= _KEPT
        self._grant(per_hour, day_s)
        self._at = day_s

    def _grant(self, per_hour: float, until: float) -> None:
        allowed = per_hour * max(0.0, until - self._at) / HOUR_S
        self._left_j += allowed
        self._allowance.grant(allowed, self._at)

    def spend(self, joules: float) -> None:
        """Somebody took so much, at the last price."""
        self._left_j -= joules
        self._spent_j += joules
        self._spent_log_j += joules * self._log_price

    def now(self, per_hour: float, base: float) -> float:
        """The price, where so much is allowed per hour from now on (see `Price.now`)."""
        midnight = self._at - self._at % DAY_S + DAY_S
        hours = (midnight - self._at) / HOUR_S
        counted_on = (1.0 - math.exp(-_LATER * hours)) / (_LATER * hours)
        later_j = self._allowance.to_come(per_hour, self._at) * counted_on
        planned = self.price.now(self._left_j + later_j, self._at, midnight, base)
        price = max(base, self._usual(planned, midnight))
        self._log_price = math.log(max(price, 1e-9))
        return price

    def _usual(self, planned: float, midnight: float) -> float:
        """A planned price, moved towards what joules have mostly cost before."""
        if planned <= 0 or not self._spent_j > 0:
            return planned
        away = self._spent_log_j / self._spent_j - math.log(planned)
        open_ = 1.0 - self.price.demand.passed(self._at, midnight)
        return planned * math.exp(open_ * max(0.0, 1.0 - abs(away) / _FAR) * away)


def weight(price: float, *, background: bool) -> float:
    """What a joule weighs for a request."""
    return price * (_BACKGROUND if background else 1.0)
