"""Which profile is in force: the configured one, or one that says it applies now.

Owns the rule and the hysteresis. A profile that applies by itself brings its weights; hard limits
are never loosened by it: the stricter of both holds.

1. What a request asks for by name is what it gets, and nothing here is asked.
2. Of the profiles that apply the one with the most conditions, then the first by name.
3. Else the configured one, which is its app's where that has one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgeroute.domain.hardware import Power, Telemetry
from edgeroute.domain.profile import Profile, When

_BACK_PERCENT = 5.0
"""A battery that was below a mark has recovered this far above it; gauges waver by a percent."""
_STEADY_S = 10.0
"""A plug that is in, or out, for two readings is; loose ones flicker."""
_HOT_K, _COOL_K = 10.0, 15.0
"""Kelvin under the point at which a zone switches off: from here it is hot, from there cool."""
_COOL_FOR_S = 60.0
_SLEPT_S = 1.0
"""The two clocks by which a sleep is told are read one after the other, so they waver."""
_SLOW, _RECOVERED = 0.7, 0.85
"""Shares of the calibrated tokens per second: heat is the usual reason to fall under the first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the machine stands, after hysteresis.

    Attributes:
        percent: Charge; `None` without a battery.
        below: Marks that charge is below, each left only well above it.
    """

    on_battery: bool = False
    percent: float | None = None
    below: frozenset[float] = frozenset()
    hot: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """Another profile is in force from now on."""

    before: str
    after: str
    reason: str


class Watch:
    """Takes readings and says how the machine stands.

    Args:
        marks: Every percentage that a profile names.
    """

    def __init__(self, marks: Iterable[float]) -> None:
        self.standing = Standing()
        self._marks = frozenset(marks)
        self._supply_since: tuple[bool, float] | None = None
        self._throttled: int | None = None
        self._suspended_s = 0.0
        self._cool_since: float | None = None

    def observe(self, told: Telemetry, speed: float | None, now: float) -> Standing:
        """Take a reading.

        Args:
            told: The telemetry.
            speed: Tokens per second as a share of the calibrated ones; `None` is not known.
            now: Monotonic seconds.
        """
        if told.suspended_s - self._suspended_s > _SLEPT_S:
            self._wake()
        self._suspended_s = told.suspended_s
        self.standing = Standing(
            self._on_battery(told.power, now),
            told.power.percent,
            self._below(told.power.percent),
            self._hot(told, speed, now),
        )
        return self.standing

    def _wake(self) -> None:
        """It may be elsewhere by now, and has cooled: nothing of before makes anything linger."""
        self.standing = replace(self.standing, below=frozenset(), hot=False)
        self._supply_since = self._cool_since = self._throttled = None

    def _on_battery(self, power: Power, now: float) -> bool:
        if power.state == "unknown":  # say, between two drivers: what was holds on
            return self.standing.on_battery
        seen = power.on_battery
        first = self._supply_since is None
        if self._supply_since is None or self._supply_since[0] != seen:
            self._supply_since = seen, now
        steady = now - self._supply_since[1] >= _STEADY_S
        return seen if first or steady else self.standing.on_battery

    def _below(self, percent: float | None) -> frozenset[float]:
        if percent is None:
            return frozenset()
        was = self.standing.below
        return frozenset(
            mark for mark in self._marks if percent < mark + (_BACK_PERCENT if mark in was else 0)
        )

    def _hot(self, told: Telemetry, speed: float | None, now: float) -> bool:
        events, before = told.clocks.throttle_events, self._throttled
        self._throttled = events
        throttled = events is not None and before is not None and events > before
        slowed = told.clocks.slowed or any(gpu.slowed for gpu in told.gpus)
        margins = [
            zone.critical_c - zone.celsius for zone in told.thermal if zone.critical_c is not None
        ]
        margin = min(margins, default=_COOL_K)
        slow = speed is not None and speed < (_RECOVERED if self.standing.hot else _SLOW)
        if throttled or slowed or margin < _HOT_K or (slow and margin < _COOL_K):
            self._cool_since = None
            return True
        if not self.standing.hot:
            return False
        if margin < _COOL_K:
            self._cool_since = None
            return True
        if self._cool_since is None:
            self._cool_since = now
        return now - self._cool_since < _COOL_FOR_S


def in_force(
    profiles: Mapping[str, Profile], configured: str, standing: Standing, app: str
) -> tuple[Profile, str]:
    """The profile for an app's requests that name none, and why it is."""
    base = profiles[configured]
    found = [
        (-len(when.conditions), name, when)
        for name, profile in profiles.items()
        for when in profile.applies
        if name != configured and _holds(when, standing, app)
    ]
    if not found:
        return base, "as configured"
    _, name, when = min(found, key=lambda each: each[:2])
    return _tightened(profiles[name], base), _told(when, standing, app)


def marks(profiles: Mapping[str, Profile]) -> Iterable[float]:
    """Every percentage that a profile names."""
    return [
        when.below
        for profile in profiles.values()
        for when in profile.applies
        if when.below is not None
    ]


def _holds(when: When, standing: Standing, app: str) -> bool:
    return (
        bool(when.conditions)
        and when.on_battery in (None, standing.on_battery)
        and (when.below is None or when.below in standing.below)
        and when.hot in (None, standing.hot)
        and when.app in (None, app)
    )


def _told(when: When, standing: Standing, app: str) -> str:
    charge = "" if standing.percent is None else f" at {standing.percent:.0f}%"
    words = {
        "on_battery": "on battery" if when.on_battery else "on mains",
        "below": f"charge below {when.below:g}%{charge}" if when.below is not None else "",
        "hot": "too hot" if when.hot else "cool",
        "app": f"asked by {app}",
    }
    return " and ".join(words[condition] for condition in when.conditions)


def _tightened(profile: Profile, base: Profile) -> Profile:
    """A profile within the limits of another."""
    both = (profile, base)
    shares = [each for each in both if each.battery_share is not None]
    sharing = min(shares, key=lambda each: each.battery_share or 0.0, default=profile)
    return replace(
        profile,
        farthest=min(profile.farthest, base.farthest),
        max_load_s=_least(each.max_load_s for each in both),
        joules_per_hour=_least(each.joules_per_hour for each in both),
        battery_share=sharing.battery_share,
        battery_until=sharing.battery_until,
        explore=min(profile.explore, base.explore),
    )


def _least(limits: Iterable[float | None]) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
