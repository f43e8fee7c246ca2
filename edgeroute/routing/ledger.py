"""What has been spent today, and what is held for answers that are on their way.

Owns that no limit is passed, however many ask at once: what an answer may cost at most is held
before it is asked for, and what it did cost is booked in its place. Amounts are whole billionths of
a dollar, so that sums are exact.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgeroute.domain.spending import REMEMBERED_DAYS, Spending, SpendLimits, Today
from edgeroute.domain.units import Usd

_PER_USD = 10**9

Nanos = int
"""Billionths of a dollar."""


def nanos(usd: float) -> Nanos:
    """An amount, rounded up."""
    return math.ceil(usd * _PER_USD)


def dollars(amount: Nanos) -> Usd:
    """An amount in dollars."""
    return Usd(amount / _PER_USD)


@dataclass(frozen=True, slots=True)
class Hold:
    """What one answer may cost at most.

    Attributes:
        number: Names it, in this life of the daemon.
        day: When it was asked for; it is booked on that day.
        amount: Held, not yet spent.
    """

    number: int
    day: str
    app: str
    amount: Nanos


class Ledger:
    """The account of one machine.

    Args:
        limits: Per day.
        spent: What had been spent before, by day and app.
    """

    def __init__(self, limits: SpendLimits, spent: Mapping[tuple[str, str], Nanos]) -> None:
        self._limits = limits
        self._spent: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by day, then app
        for (day, app), amount in spent.items():
            self._spent[day][app] = amount
        self._holds: dict[int, Hold] = {}
        self._numbers = 0

    def is_limited(self, app: str) -> bool:
        """Whether any limit holds for an app."""
        return self._limits.per_day is not None or app in self._limits.apps

    def standing(self, app: str, today: Today) -> Spending | None:
        """The limit with the least left that holds for an app; `None` where none does."""
        return min(self._standings(app, today), key=lambda each: each.left, default=None)

    def reserve(self, app: str, amount: Nanos, today: Today) -> Hold | Spending:
        """Hold an amount, or the limit that it would pass."""
        standing = self.standing(app, today)
        if standing is not None and amount > nanos(standing.left):
            return standing
        self._numbers += 1
        hold = Hold(self._numbers, today.day, app, amount)
        self._holds[hold.number] = hold
        return hold

    def settle(self, hold: Hold, amount: Nanos) -> None:
        """Book what an answer did cost, in place of what was held for it."""
        del self._holds[hold.number]
        if amount:
            self._spent[hold.day][hold.app] += amount
        if len(self._spent) > REMEMBERED_DAYS:
            del self._spent[min(day for day in self._spent if day != hold.day)]

    def spent(self, today: Today) -> dict[str, Usd]:
        """What each app has spent today."""
        return {app: dollars(sum_) for app, sum_ in self._spent[today.day].items()}

    def held(self, today: Today) -> Usd:
        """What is held for answers that are on their way."""
        return dollars(sum(hold.amount for hold in self._holds.values() if hold.day == today.day))

    def standings(self, today: Today) -> list[Spending]:
        """Every limit."""
        return [*self._of_all(today), *self._of_apps(self._limits.apps, today)]

    def _standings(self, app: str, today: Today) -> list[Spending]:
        return [*self._of_all(today), *self._of_apps({app} & set(self._limits.apps), today)]

    def _of_all(self, today: Today) -> Iterable[Spending]:
        if self._limits.per_day is not None:
            yield self._left(None, self._limits.per_day, today)

    def _of_apps(self, apps: Iterable[str], today: Today) -> Iterable[Spending]:
        for app in apps:
            yield self._left(app, self._limits.apps[app], today)

    def _left(self, of: str | None, limit: Usd, today: Today) -> Spending:
        of_apps = self._spent[today.day]
        spent = of_apps.total() if of is None else of_apps[of]
        held = sum(
            hold.amount
            for hold in self._holds.values()
            if hold.day == today.day and of in {None, hold.app}
        )
        # The limit is rounded down, as amounts are rounded up.
        left = math.floor(limit * _PER_USD) - spent - held
        return Spending(of, limit, dollars(max(left, 0)), today.ends_in_s)
