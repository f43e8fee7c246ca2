"""Days on battery: a trace of requests decided under a joule budget that follows the charge.

Owns the replay and its figures. Which models there are and how fast they are is told by cards, what
an answer is worth by the size prior; the budget's rules are the router's own. The battery gives
a share of what the day would take without a budget, in drawn hourly amounts; who decides sees only
what this hour gives.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeroute.domain.features import Task
from edgeroute.domain.profile import Profile
from edgeroute.routing import prior
from edgeroute.routing.price import Account, Choice, weight

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


def replay(
    days: Sequence[Sequence[Asked]], hourly: Sequence[Sequence[float]], base: float
) -> list[Day]:
    """Days under a budget, one after the other, with all that is learnt from day to day.

    Args:
        days: Requests of each day of a week that begins on a Monday; it comes again and again.
        hourly: Joules that each hour allows, of as many days as are replayed.
        base: Weight of a joule without a budget.
    """
    account = Account(_MONDAY * _DAY_S)
    found = []
    for number, allowed in enumerate(hourly):
        day, midnight = days[number % len(days)], (_MONDAY + number) * _DAY_S
        account.accrue(0.0, midnight)
        chosen = []
        hour = 0
        for asked in day:
            now = midnight + asked.at_s % _DAY_S
            while (hour + 1) * _HOUR_S + midnight <= now:
                account.accrue(allowed[hour], midnight + (hour + 1) * _HOUR_S)
                hour += 1
            account.accrue(allowed[hour], now)
            price = account.now(allowed[hour], base)
            at = _choose(asked, weight(price, background=asked.background))
            account.price.note(Choice(asked.worth, asked.joules, asked.background), now)
            account.spend(asked.joules[at])
            chosen.append(at)
        for later in range(hour, _HOURS):
            account.accrue(allowed[later], midnight + (later + 1) * _HOUR_S)
        found.append(_sum(day, chosen, sum(allowed)))
    return found


def curve(capacity: float, draw: np.random.Generator) -> tuple[float, ...]:
    """Hourly amounts of a day that sum to `capacity`, a random walk between waking and midnight."""
    steps = draw.normal(0.0, _ROUGHNESS, _ENDS_H - _BEGINS_H)
    amounts = np.exp(np.cumsum(steps - steps.mean()))
    return (*[0.0] * _BEGINS_H, *(capacity * amounts / amounts.sum()).tolist())


def even(capacity: float, _draw: np.random.Generator) -> tuple[float, ...]:
    """The same in every hour: what a profile's joules per hour say."""
    return (capacity / _HOURS,) * _HOURS


def evaluate(
    days: Sequence[Sequence[Asked]],
    capacity: float,
    curves: int,
    base: float,
    hourly: Callable[[float, np.random.Generator], tuple[float, ...]],
    seed: int,
) -> Figures:
    """Replay drawn days, after a week that is not counted.

    Args:
        days: Requests of each day of a week that begins on a Monday.
        capacity: As a share of what the day takes without a budget.
        curves: How many are drawn.
        base: Weight of a joule without a budget.
        hourly: Draws what each hour allows of a capacity.
        seed: Of the draws.
    """
    draw = np.random.default_rng(seed)
    whole = [capacity * fixed(day, base).taken for day in days]
    drawn = [hourly(whole[number % len(days)], draw) for number in range(len(days) + curves)]
    lived = list(enumerate(replay(days, drawn, base)))[len(days) :]
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
