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
            kept = _KEPT ** (day - self.day)
            on = (on + (slot in self._today)) * kept
            days = (days + 1.0) * kept + (kept - _KEPT) / (_KEPT - 1.0)
        return on / (days + 1.0)

    def _end_days(self, passed: int) -> None:
        kept = _KEPT**passed
        self._on = [(on + (slot in self._today)) * kept for slot, on in enumerate(self._on)]
        self._days = (self._days + 1.0) * kept + (kept - _KEPT) / (_KEPT - 1.0)
        self._today.clear()
