"""What may be spent on others' computers, and what has been."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edgeroute.domain.units import Usd

REMEMBERED_DAYS: Final = 32
"""Today is enough for its limits; a clock that is set back or forth comes back to a day before."""


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """Dollars per day.

    Attributes:
        per_day: Of all apps together; `None` is no limit.
        apps: Of single apps besides.
    """

    per_day: Usd | None = None
    apps: Mapping[str, Usd] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Today:
    """A day as the owner of the machine counts them.

    Attributes:
        day: As in `2026-11-23`.
        ends_in_s: Seconds until the next one begins.
    """

    day: str
    ends_in_s: float


@dataclass(frozen=True, slots=True)
class Spending:
    """How a limit stands that is in force.

    Attributes:
        of: Whose it is: an app's name, or `None` for all together.
        limit: Dollars per day.
        left: Of them, neither spent nor held for answers that are on their way.
        ends_in_s: Seconds until it begins anew.
    """

    of: str | None
    limit: Usd
    left: Usd
    ends_in_s: float

    @property
    def words(self) -> str:
        """Whose it is, in words."""
        return "all apps together" if self.of is None else f"app {self.of}"
