"""At which time of day a model is asked for: on what share of the days, by half hours."""

from dataclasses import dataclass, field

DAY_S = 86_400.0
SLOT_S = 1_800.0
_SLOTS = int(DAY_S / SLOT_S)
_KEPT = 0.8
"""Of what a day counts on the next one: about the last five matter."""


@dataclass(slots=True)
class Daytime:
    """Days on which a model was asked for in each half hour, the latest counting most.

    Attributes:
        day: The last day on which it was asked for.
    """

    day: int
    _days: float = 0.0
    _on: list[float] = field(default_factory=lambda: [0.0] * _SLOTS)
    _today: set[int] = field(default_factory=set)

    def note(self, at: float) -> None:
        """It is asked for.

        Args:
            at: Seconds since some midnight.
        """
        day, slot = divmod(int(at // SLOT_S), _SLOTS)
        if day > self.day:
            self._end_days(day - self.day)
            self.day = day
        self._today.add(slot)

    def chance(self, at: float) -> float:
        """P(asked for within the half hour around a moment of a day), from the days before it."""
        day, slot = divmod(int(at // SLOT_S), _SLOTS)
        on, days = self._on[slot], self._days
        if day > self.day:  # the last day is over, nobody has come since
            on, days = self._on_after(slot, day - self.day), self._days_after(day - self.day)
        return on / (days + 1.0)

    def _end_days(self, passed: int) -> None:
        self._on = [self._on_after(slot, passed) for slot in range(_SLOTS)]
        self._days = self._days_after(passed)
        self._today.clear()

    def _on_after(self, slot: int, passed: int) -> float:
        """What `_on` comes to, so many days after the last one on which it was asked for."""
        return (self._on[slot] + (slot in self._today)) * _KEPT**passed

    def _days_after(self, passed: int) -> float:
        kept = _KEPT**passed
        return (self._days + 1.0) * kept + (kept - _KEPT) / (_KEPT - 1.0)
