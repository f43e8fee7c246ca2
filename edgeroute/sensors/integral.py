"""Joules out of what tells only watts or a number that wraps: two accumulators that never fall.

Pure: the time is an argument.
"""

from edgeroute.domain.units import Joules

_LONGEST_S = 15.0
"""Readings farther apart tell nothing of what was between them: the machine was suspended, or a
sensor was away. Three times the slowest pace at which meters are read."""


class Integrator:
    """Watts over time.

    Between two readings power goes straight from one to the other, unless it is known that work
    began or ended there: then it jumps at that moment. Without this a burst of a second, read ten
    times a second, is up to a tenth wrong, by where its ends fall between readings.

    Attributes:
        joules: So far.
    """

    def __init__(self) -> None:
        self.joules = Joules(0.0)
        self._last: tuple[float, float] | None = None
        self._edges: tuple[float, float] | None = None

    def edge(self, now: float) -> None:
        """Work has just begun or ended."""
        first = now if self._edges is None else self._edges[0]
        self._edges = first, now

    def forget(self) -> None:
        """What is between the last reading and the next is not known."""
        self._last = self._edges = None

    def add(self, now: float, watts: float) -> None:
        """Take a reading; watts under nothing count as none."""
        watts = max(0.0, watts)
        last, edges = self._last, self._edges
        self._last, self._edges = (now, watts), None
        if last is None or now <= last[0]:
            return
        then, before = last
        if now - then > _LONGEST_S:
            return
        first, final = edges or (then, now)
        first, final = max(first, then), min(final, now)
        spent = before * (first - then) + watts * (now - final)
        self.joules = Joules(self.joules + spent + (before + watts) / 2 * (final - first))


class Accumulator:
    """A hardware counter that begins anew, by wrapping or because its driver was loaded again.

    Attributes:
        joules: So far.
    """

    def __init__(self, joules_per_unit: float) -> None:
        self.joules = Joules(0.0)
        self._unit_j = joules_per_unit
        self._last: int | None = None

    def forget(self) -> None:
        """What is between the last reading and the next is not known."""
        self._last = None

    def add(self, value: int, wraps_at: int | None = None) -> None:
        """Take a reading, less than one wrap after the last.

        Args:
            value: Of the counter, in its unit.
            wraps_at: The greatest value that it shows before 0; `None` for one that does not wrap:
                if that falls it began anew, and what it shows is all that is sure.
        """
        last, self._last = self._last, value
        if last is None:
            return
        grown = value - last
        if grown < 0:
            grown = value if wraps_at is None else grown % (wraps_at + 1)
        self.joules = Joules(self.joules + grown * self._unit_j)
