"""What a joule is worth now, so that what is left lasts and is used.

Owns the price. Who asks when (`usual_day`), and what there was to choose from then, is learnt by
the hour of the day. For all who are still expected a plan is made with what is left: first
everybody gets the cheapest target, then the upgrades that give most for a joule, as far as the
joules go. The price is what the first upgrade gives per joule that is not in the plan, so whoever
pays it keeps to the plan. It is made again for every request: what was misjudged is spread over all
that is left of the day. It only weighs: at any price the cheapest target answers, so nobody is
starved, and what nobody waits for pays more than what somebody does. How much is left, `account`
says.

The plan is the linear relaxation of the multiple-choice knapsack (Sinha and Zoltners 1979), which
is off by at most one upgrade.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.decision import Decision
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


def weight(price: float, *, background: bool) -> float:
    """What a joule weighs for a request."""
    return price * (_BACKGROUND if background else 1.0)
