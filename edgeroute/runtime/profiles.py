"""Which profile a request is decided by, and what a joule is worth in it.

Owns what changes while the daemon runs: how the machine stands, and the account of joule budgets.
The rules are `routing/in_force` and `routing/account`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edgeroute.domain.decision import Decision
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.hardware import Telemetry
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import AnyRequest, Priority
from edgeroute.routing.account import Account, Left
from edgeroute.routing.in_force import Standing, Switch, Watch, in_force, marks
from edgeroute.routing.price import choice_of

_log = logging.getLogger(__name__)


class InForce(NamedTuple):
    """The profile that decides a request, and why it is that one."""

    profile: Profile
    reason: str


class Profiles:
    """The profiles of this daemon.

    Args:
        profiles: By name.
        configured: The one in force where none applies by itself.
        clock: Monotonic seconds.
        day_clock: Seconds since some local midnight.

    Attributes:
        switched: The last switch; `None` while the configured one has been in force throughout.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        configured: str,
        clock: Callable[[], float],
        day_clock: Callable[[], float],
    ) -> None:
        self.switched: Switch | None = None
        self._profiles = profiles
        self._configured = configured
        self._clock = clock
        self._day_clock = day_clock
        self._watch = Watch(marks(profiles))
        self._account = Account(profiles.values(), day_clock())
        self._name = configured

    @property
    def in_force(self) -> str:
        """Name of the one that requests get which name none, whoever asks."""
        return self._name

    @property
    def profile(self) -> Profile:
        """The one that requests get which name none, whoever asks."""
        profile, _ = in_force(self._profiles, self._configured, self._watch.standing, "")
        return profile

    @property
    def configured(self) -> str:
        """Name of the one that holds where none applies by itself."""
        return self._configured

    def configure(self, name: str) -> None:
        """Have another one hold where none applies by itself, from the next reading on.

        Raises:
            InvalidRequest: It does not exist.
        """
        self._configured = self._known(name)

    @property
    def standing(self) -> Standing:
        """How the machine stands."""
        return self._watch.standing

    def observe(self, told: Telemetry, speed: float | None) -> Switch | None:
        """Take how the machine is doing; a switch that follows is logged and returned.

        Args:
            told: The telemetry.
            speed: Tokens per second as a share of the calibrated ones; `None` is not known.
        """
        standing = self._watch.observe(told, speed, self._clock())
        self._account.observe(told.power, self._day_clock(), on_battery=standing.on_battery)
        profile, reason = in_force(self._profiles, self._configured, standing, "")
        if profile.name == self._name:
            return None
        switch = Switch(self._name, profile.name, reason)
        _log.info("profile %s instead of %s: %s", switch.after, switch.before, reason)
        self._name, self.switched = profile.name, switch
        return switch

    def of(self, request: AnyRequest) -> InForce:
        """The profile that decides a request, its energy weight set by its budgets, and why.

        Raises:
            InvalidRequest: The request, or its app's settings, name one that does not exist.
        """
        if request.profile is None:
            usual = self._known(request.usual_profile or self._configured)
            profile, reason = in_force(self._profiles, usual, self._watch.standing, request.app)
            if request.usual_profile is not None and profile.name == usual:
                reason = f"{reason} for {request.app}"
        else:
            profile, reason = self._profiles[self._known(request.profile)], "asked for"
        now, background = self._day_clock(), request.priority == "background"
        left = tuple(self._account.left(profile, now))
        words = (reason, *(each.words for each in left))
        return InForce(self._account.priced(profile, left, background=background), "; ".join(words))

    def left(self) -> Sequence[Left]:
        """What the budgets of the profile in force leave to models."""
        return tuple(self._account.left(self.profile, self._day_clock()))

    def decided(self, decision: Decision, priority: Priority) -> None:
        """Take what there was to choose from."""
        choice = choice_of(decision, background=priority == "background")
        self._account.note(choice, self._day_clock())

    def spent(self, joules: float) -> None:
        """Take what a request took of this device."""
        self._account.spend(joules)

    def _known(self, name: str) -> str:
        if name not in self._profiles:
            raise InvalidRequest(
                f"there is no profile {name!r}",
                hint=f"known: {', '.join(sorted(self._profiles))}",
            )
        return name
