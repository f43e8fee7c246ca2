"""How the machine stands, as far as it bears on models that nobody uses, told to the pool.

Owns what power, profile and time of day mean for idle models. What is done about them is
residency's.
"""

import time
from collections.abc import Callable, Mapping

from edgeroute.domain.hardware import Power
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.units import ModelId
from edgeroute.residency.messages import ConditionsChanged
from edgeroute.runtime.pool import Pool

_SLIP_S = 5.0
"""The pool's clock stands still while a laptop sleeps and runs a little off the time of day; below
this much nothing is told, as habits are learned by half hours."""
_LEAST_WAY_S = 0.01
"""To a peer; below that a link is not told from another."""


def midnight_of(now: float, wall_now: float) -> float:
    """The local midnight of 1 January 1970 on a clock, so that days keep their numbers for good.

    Far below zero, as such a clock begins when the machine does.

    Args:
        now: The moment on that clock.
        wall_now: The same moment in Unix seconds.
    """
    return now - wall_now - time.localtime(wall_now).tm_gmtoff


class Conditions:
    """Watches the machine for a pool.

    Args:
        pool: Told whenever something has changed.
        clock: The pool's.
        wall_clock: Unix seconds.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._wall_clock = wall_clock
        self._told: ConditionsChanged | None = None

    def update(
        self,
        power: Power,
        profile: Profile,
        idle_w: Mapping[ModelId, float],
        served: Mapping[ModelId, float],
    ) -> None:
        """Take a reading; models are loaded on a guess on mains alone, and only where it is sure.

        A machine without a battery is on mains; one whose battery cannot be read may not be. What
        warmth costs is weighed on battery alone: on mains models stay as long as the profile says.

        Args:
            power: Battery and mains.
            profile: In force now.
            idle_w: Watts that models take for being warm.
            served: See `routing.second_copy.served_by_peers`.
        """
        told = self._told
        midnight = midnight_of(self._clock(), self._wall_clock())
        if told is not None and abs(midnight - told.midnight) < _SLIP_S:
            midnight = told.midnight
        now = ConditionsChanged(
            may_prewarm=profile.prewarm and power.state in ("absent", "ac"),
            idle_release_s=profile.release_s(on_battery=power.on_battery),
            midnight=midnight,
            warmth=_cost(profile, idle_w) if power.on_battery else {},
            served=_roughly(served) if profile.farthest >= Zone.PEER else {},
        )
        if now != told:
            self._told = now
            self._pool.change_conditions(now)


def _roughly(served: Mapping[ModelId, float]) -> dict[ModelId, float]:
    """To one digit, as rates and links are measured anew all the time."""
    return {model: max(float(f"{seconds:.1g}"), _LEAST_WAY_S) for model, seconds in served.items()}


def _cost(profile: Profile, idle_w: Mapping[ModelId, float]) -> dict[ModelId, float]:
    """Seconds of waiting that a second of warmth is worth; nothing where seconds weigh nothing."""
    if not profile.per_second:
        return {}
    joule_s = profile.per_joule / profile.per_second
    told = {model: round(watts, 1) * joule_s for model, watts in idle_w.items()}
    return {model: cost for model, cost in told.items() if cost > 0}
