"""Days on battery: a trace of requests decided under budgets of joules.

Owns the replay and its figures. Which models there are and how fast they are is told by cards, what
an answer is worth by the size prior; the account is the router's own. Models may take a share of
what the day would take without a budget. Either that is a share of a battery, whose charge falls
with what is drawn for everybody else, or so much is allowed in each hour. Who decides sees what the
battery holds at that moment, or what this hour allows, and nothing of what is to come.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from edgeroute.domain.features import Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.profile import Profile
from edgeroute.routing import prior
from edgeroute.routing.account import Account
from edgeroute.routing.price import Choice

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_HOURS = 24
_BEGINS_H, _ENDS_H = 7, 24
_MONDAY = 4
"""1970-01-05 was one."""
_WEIGHTS = 40
"""Fixed weights that are tried."""
_ROUGHNESS = 0.15
"""Standard deviation of the logarithm by which one hour's amount differs from the next."""
_SHARE = 0.1
"""Of the battery, for models: 60% of what the week's days take is a tenth of a laptop's 50 Wh."""
_OTHERS = (0.6, 1.0)
"""Of the rest, what everybody else takes in a day."""
_CHARGE = 0.25
"""Standard deviation of the logarithm of what nights charge, where they differ."""
_GAUGE_J = 36.0
"""Gauges count in steps of 10 mWh."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, with what each model would give and take.

    Attributes:
        at_s: Seconds since the first day's midnight.
        quality: P(acceptable) of each.
        worth: Utility of each without its energy.
        joules: Of each.
        background: Nobody waits for it.
    """

    at_s: float
    quality: tuple[float, ...]
    worth: tuple[float, ...]
    joules: tuple[float, ...]
    background: bool = False


@dataclass(frozen=True, slots=True)
class Speeds:
    """A model of the trace's machine.

    Attributes:
        parameters: Its size.
        watts: Of the machine while it computes.
    """

    parameters: float
    prefill_tok_s: float
    decode_tok_s: float
    watts: float


def ask(
    at_s: float, task: Task, tokens: tuple[int, int], models: Sequence[Speeds], profile: Profile
) -> Asked:
    """A request of a task, with so many tokens of prompt and answer, to these models, all warm."""
    quality = prior.quality_by_size(np.array([model.parameters for model in models]))
    quality = quality[:, prior.COLUMN[task]]
    seconds = np.array(
        [tokens[0] / model.prefill_tok_s + tokens[1] / model.decode_tok_s for model in models]
    )
    joules = seconds * np.array([model.watts for model in models])
    worth = profile.value * quality - profile.per_second * seconds
    return Asked(at_s, tuple(quality.tolist()), tuple(worth.tolist()), tuple(joules.tolist()))


@dataclass(frozen=True, slots=True)
class Day:
    """What a day came to.

    Attributes:
        capacity: Joules that were allowed.
        taken: Joules.
        quality: Expected good answers.
        alive: Those of them before the battery was empty.
    """

    capacity: float
    taken: float
    quality: float
    alive: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all days together, in percent but for the shares.

    Attributes:
        overshoot: Worst day: taken beyond the capacity.
        used: Median of what was taken of the capacity.
        least_used: Worst day.
        share: Quality against the best fixed weight on the same batteries, where none answers once
            they are empty.
        hindsight: Quality against the fixed weight that would have taken as much, each day its own,
            found when the day was over. No rule that does not know the day can exceed 1.
    """

    overshoot: float
    used: float
    least_used: float
    share: float
    hindsight: float


def fixed(day: Sequence[Asked], per_joule: float, capacity: float = math.inf) -> Day:
    """A day with one weight throughout."""
    return _sum(day, [_choose(asked, per_joule) for asked in day], capacity)


def _sum(day: Sequence[Asked], chosen: Sequence[int], capacity: float) -> Day:
    taken = quality = alive = 0.0
    for asked, at in zip(day, chosen, strict=True):
        taken += asked.joules[at]
        quality += asked.quality[at]
        alive += asked.quality[at] if taken <= capacity else 0.0
    return Day(capacity, taken, quality, alive)


class Times(NamedTuple):
    """Moments of a day: its midnight, when it was looked at last, and now."""

    midnight: float
    before: float
    now: float


class Supply(Protocol):
    """What a day gives to models, as far as it is known at each moment of it."""

    @property
    def capacity(self) -> float:
        """Joules that they may take of the whole day."""
        ...

    def begin(self, account: Account, midnight: float) -> None:
        """The day begins."""
        ...

    def go_on(self, account: Account, times: Times, taken: float) -> Profile:
        """Have the account see what there is to see now, after models took so much today.

        Returns:
            The profile whose budget holds, its weight of a joule still without it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Hours:
    """So many joules in each hour; who decides sees what this one allows.

    Attributes:
        base: Weight of a joule without a budget.
        allowed: Joules of each hour of the day.
    """

    base: float
    allowed: tuple[float, ...]

    @property
    def capacity(self) -> float:
        """See `Supply`."""
        return sum(self.allowed)

    def begin(self, account: Account, midnight: float) -> None:
        """See `Supply`."""
        account.accrue(0.0, midnight)

    def go_on(self, account: Account, times: Times, taken: float) -> Profile:
        """See `Supply`."""
        before, now = (int((at - times.midnight) // _HOUR_S) for at in (times.before, times.now))
        for hour in range(before, now):
            account.accrue(self.allowed[hour], times.midnight + (hour + 1) * _HOUR_S)
        return _budgeted(self.base, joules_per_hour=self.allowed[now % _HOURS])


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery that is charged at night and drained by everybody; its gauge is what is seen.

    Attributes:
        base: Weight of a joule without a budget.
        full_j: What it holds in the morning.
        others_j: What screen, radio and programs take of it in each hour of the day.
    """

    base: float
    full_j: float
    others_j: tuple[float, ...]

    @property
    def capacity(self) -> float:
        """See `Supply`."""
        return _SHARE * self.full_j

    def begin(self, account: Account, midnight: float) -> None:
        """See `Supply`."""
        full = Power("ac", stored_j=_shown(self.full_j))
        account.observe(full, midnight, on_battery=False)
        account.observe(replace(full, state="discharging"), midnight, on_battery=True)

    def go_on(self, account: Account, times: Times, taken: float) -> Profile:
        """See `Supply`."""
        hour, part = divmod((times.now - times.midnight) / _HOUR_S, 1.0)
        others = sum(self.others_j[: int(hour)]) + part * self.others_j[int(hour) % _HOURS]
        left = Power("discharging", stored_j=_shown(max(0.0, self.full_j - others - taken)))
        account.observe(left, times.now, on_battery=True)
        return _budgeted(self.base, battery_share=_SHARE)


def _shown(joules: float) -> float:
    return joules // _GAUGE_J * _GAUGE_J


def _budgeted(
    base: float, *, joules_per_hour: float | None = None, battery_share: float | None = None
) -> Profile:
    return Profile(
        "budgeted",
        "",
        per_joule=base,
        joules_per_hour=joules_per_hour,
        battery_share=battery_share,
    )


def replay(days: Sequence[Sequence[Asked]], supplies: Sequence[Supply]) -> list[Day]:
    """Days under a budget, one after the other, with all that is learnt from day to day.

    Args:
        days: Requests of each day of a week that begins on a Monday; it comes again and again.
        supplies: Of as many days as are replayed.
    """
    account = Account([_budgeted(0.0, battery_share=_SHARE)], _MONDAY * _DAY_S)
    found = []
    for number, supply in enumerate(supplies):
        day, midnight = days[number % len(days)], (_MONDAY + number) * _DAY_S
        supply.begin(account, midnight)
        chosen: list[int] = []
        taken, before = 0.0, midnight
        for asked in day:
            now = midnight + asked.at_s % _DAY_S
            profile = supply.go_on(account, Times(midnight, before, now), taken)
            left = account.left(profile, now)
            profile = account.priced(profile, left, background=asked.background)
            before = now
            at = _choose(asked, profile.per_joule)
            account.note(Choice(asked.worth, asked.joules, asked.background), now)
            account.spend(asked.joules[at])
            taken += asked.joules[at]
            chosen.append(at)
        supply.go_on(account, Times(midnight, before, midnight + _DAY_S), taken)
        found.append(_sum(day, chosen, supply.capacity))
    return found


def _walk(draw: np.random.Generator) -> tuple[float, ...]:
    """Shares of the hours of a day: a random walk between waking and midnight."""
    steps = draw.normal(0.0, _ROUGHNESS, _ENDS_H - _BEGINS_H)
    amounts = np.exp(np.cumsum(steps - steps.mean()))
    return (*[0.0] * _BEGINS_H, *(amounts / amounts.sum()).tolist())


def charged(capacity: float, base: float, draw: np.random.Generator) -> Battery:
    """A battery of which models may take `capacity`, and a drawn curve down to the evening."""
    full_j = capacity / _SHARE
    others_j = (full_j - capacity) * draw.uniform(*_OTHERS)
    return Battery(base, full_j, tuple(others_j * share for share in _walk(draw)))


def topped_up(capacity: float, base: float, draw: np.random.Generator) -> Battery:
    """The same, charged to more or less each night."""
    return charged(capacity * math.exp(draw.normal(0.0, _CHARGE)), base, draw)


def hourly(capacity: float, base: float, draw: np.random.Generator) -> Hours:
    """Hourly amounts that sum to `capacity`, as if no battery told what it holds."""
    return Hours(base, tuple(capacity * share for share in _walk(draw)))


def even(capacity: float, base: float, _draw: np.random.Generator) -> Hours:
    """The same in every hour: what a profile's joules per hour say."""
    return Hours(base, (capacity / _HOURS,) * _HOURS)


def evaluate(
    days: Sequence[Sequence[Asked]],
    capacity: float,
    curves: int,
    base: float,
    supply: Callable[[float, float, np.random.Generator], Supply],
    seed: int,
) -> Figures:
    """Replay drawn days, after a week that is not counted.

    Args:
        days: Requests of each day of a week that begins on a Monday.
        capacity: As a share of what the day takes without a budget.
        curves: How many are drawn.
        base: Weight of a joule without a budget.
        supply: Draws a day that gives a capacity, from that, the base weight and a generator.
        seed: Of the draws.
    """
    draw = np.random.default_rng(seed)
    whole = [capacity * fixed(day, base).taken for day in days]
    drawn = [supply(whole[number % len(days)], base, draw) for number in range(len(days) + curves)]
    lived = list(enumerate(replay(days, drawn)))[len(days) :]
    found = [(number % len(days), day) for number, day in lived]
    taken = [day.taken / day.capacity for _, day in found]
    weights = np.geomspace(max(base, 1e-6), 0.1, _WEIGHTS).tolist()
    best = max(
        sum(fixed(days[at], per_joule, day.capacity).alive for at, day in found)
        for per_joule in weights
    )
    hindsight = sum(_fixed_at(days[at], day.taken, base) for at, day in found)
    quality = sum(day.quality for _, day in found)
    return Figures(
        overshoot=100 * (max(taken) - 1),
        used=100 * statistics.median(taken),
        least_used=100 * min(taken),
        share=sum(day.alive for _, day in found) / best,
        hindsight=quality / hindsight,
    )


def _fixed_at(day: Sequence[Asked], joules: float, base: float) -> float:
    """Quality of the fixed weight that takes as much: between two, as far as it lies between."""
    low, high = math.log(max(base, 1e-9)), math.log(10.0)
    for _ in range(30):
        middle = (low + high) / 2
        if fixed(day, math.exp(middle)).taken > joules:
            low = middle
        else:
            high = middle
    more, less = (fixed(day, math.exp(at)) for at in (low, high))
    apart = more.taken - less.taken
    part = (joules - less.taken) / apart if apart > 0 else 0.0
    return less.quality + min(1.0, max(0.0, part)) * (more.quality - less.quality)


def _choose(asked: Asked, per_joule: float) -> int:
    utilities = [w - per_joule * j for w, j in zip(asked.worth, asked.joules, strict=True)]
    return max(range(len(utilities)), key=utilities.__getitem__)
