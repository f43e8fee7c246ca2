"""The budgets of profiles: what models may still take, and what a joule is worth by it.

Owns the books. An hourly budget is planned until the next local midnight, with what was not used
and what the day should still allow (`allowance`); a share of a battery's charge, which says itself
what is left (`charge`), until that has to have lasted. Where a profile has both, the dearer joule
holds. In the morning a plan (`price`) is little more than a guess, and what days before came to is
the better one: the price moves from theirs to the plan's as today's requests come in.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from edgeroute.domain.hardware import Power
from edgeroute.domain.profile import Profile
from edgeroute.domain.units import format_seconds
from edgeroute.routing.allowance import Allowance
from edgeroute.routing.charge import Charge
from edgeroute.routing.price import Choice, Price, weight
from edgeroute.routing.usual_day import DAY_S, HOUR_S

_LATER = 0.03
"""Part of what is allowed in an hour from now that is not counted on, and as much again for each
hour after it: an allowance may be cut until then, and more may be asked."""
_KEPT = 0.7
"""Of what a day before says about the price of the next one."""
_FAR = math.log(8.0)
"""Prices that are so far apart have nothing to do with each other: the budget is another one."""


@dataclass(frozen=True, slots=True)
class Left:
    """What models may still take.

    Attributes:
        of: What it is left of: the joules per hour, or the battery's charge.
        joules: Until it ends; below nought where more was taken, `None` where the battery does
            not tell what it holds, so that no limit is kept.
        ends_in_s: Seconds until then.
    """

    of: Literal["hours", "battery"]
    joules: float | None
    ends_in_s: float

    @property
    def words(self) -> str:
        """As a person says it."""
        if self.joules is None:
            return (
                "the battery does not tell what it holds, so models are not held to a share of it"
            )
        whose = "the battery's charge" if self.of == "battery" else "the joules per hour"
        wait = format_seconds(self.ends_in_s)
        return f"{max(0.0, self.joules):,.0f} J of {whose} are left for models for {wait}"


class Account:
    """What models took and may take. Moments are seconds since some local midnight.

    What an hour allows and is not used is kept until midnight; the rate may change, and is taken to
    last. A daemon that begins anew begins with what it finds.

    Args:
        profiles: That may set budgets.
        now: The moment.
    """

    def __init__(self, profiles: Iterable[Profile], now: float) -> None:
        self._price = Price()
        self._allowance = Allowance()
        self._charges = {
            (profile.battery_share, profile.battery_until): Charge(
                profile.battery_share, profile.battery_until_s
            )
            for profile in profiles
            if profile.battery_share is not None
        }
        self._left_j = 0.0
        self._accrued_at = self._at = now
        self._log_price: float | None = None
        self._spent_j = 0.0
        self._spent_log_j = 0.0

    def observe(self, power: Power, now: float, *, on_battery: bool) -> None:
        """Take how battery and mains stand."""
        for charge in self._charges.values():
            charge.observe(power.stored_j, now, on_battery=on_battery)

    def note(self, choice: Choice, now: float) -> None:
        """Take what a decision could choose from."""
        self._price.note(choice, now)

    def spend(self, joules: float) -> None:
        """Somebody took so much, at the last price; where there was none it says nothing of any."""
        self._left_j -= joules
        for charge in self._charges.values():
            charge.spend(joules)
        if self._log_price is not None:
            self._spent_j += joules
            self._spent_log_j += joules * self._log_price

    def priced(self, profile: Profile, left: Iterable[Left], *, background: bool) -> Profile:
        """A profile with what a joule is worth under its budgets; without one, as it is.

        Args:
            profile: Says what a joule is worth without a budget.
            left: What its budgets leave now.
            background: Nobody waits for what it decides.
        """
        prices = [
            self._worth(each.joules, each.ends_in_s, profile.per_joule)
            for each in left
            if each.joules is not None
        ]
        price = max(prices, default=None)
        self._log_price = None if price is None else math.log(max(price, 1e-9))
        if price is None:
            return profile
        return replace(profile, per_joule=weight(price, background=background))

    def left(self, profile: Profile, now: float) -> Iterator[Left]:
        """What a profile's budgets leave to models."""
        self._pass(now)
        if profile.joules_per_hour is not None:
            self.accrue(profile.joules_per_hour, now)
            hours = (DAY_S - now % DAY_S) / HOUR_S
            counted_on = (1.0 - math.exp(-_LATER * hours)) / (_LATER * hours)
            to_come = self._allowance.to_come(profile.joules_per_hour, now) * counted_on
            yield Left("hours", self._left_j + to_come, hours * HOUR_S)
        charge = self._charges.get((profile.battery_share or 0.0, profile.battery_until))
        if charge is not None and charge.on_battery and charge.ends_at > now:
            yield Left("battery", charge.left_j(), charge.ends_at - now)

    def accrue(self, per_hour: float, now: float) -> None:
        """Time has passed until `now`; `per_hour` was allowed in it."""
        if now // DAY_S != self._accrued_at // DAY_S:
            midnight = self._accrued_at - self._accrued_at % DAY_S + DAY_S
            self._grant(per_hour, midnight)
            self._left_j, self._accrued_at = 0.0, max(midnight, now - now % DAY_S)
        self._grant(per_hour, now)
        self._accrued_at = now

    def _grant(self, per_hour: float, until: float) -> None:
        allowed = per_hour * max(0.0, until - self._accrued_at) / HOUR_S
        self._left_j += allowed
        self._allowance.grant(allowed, self._accrued_at)

    def _pass(self, now: float) -> None:
        if now // DAY_S != self._at // DAY_S:
            self._spent_j *= _KEPT
            self._spent_log_j *= _KEPT
        self._at = now

    def _worth(self, left_j: float, ends_in_s: float, base: float) -> float:
        """What a joule is worth where so much is left: as planned, moved to what it mostly was."""
        ends_at = self._at + ends_in_s
        planned = self._price.now(left_j, self._at, ends_at, base)
        if planned <= 0 or not self._spent_j > 0:
            return max(base, planned)
        away = self._spent_log_j / self._spent_j - math.log(planned)
        open_ = 1.0 - self._price.demand.passed(self._at, ends_at)
        moved = open_ * max(0.0, 1.0 - abs(away) / _FAR) * away
        return max(base, planned * math.exp(moved))
