"""How much of the memory is held back while others are taking it.

Owns the foresight that a budget lacks: it tells what is free now, and by the time that a model has
gone for somebody else's bytes, that one wants more. What is held back asks for evictions, and for
smaller plans, before the kernel ends somebody.
"""

from edgeroute.domain.hardware import Memory
from edgeroute.domain.units import MIB, Bytes

_AHEAD_S = 3.0
"""Until a model is seen to be in the way, has saved its conversations and is gone."""
_CALM_S = 5.0
"""Time constant by which a fall is forgotten that has ended."""
_TELLING_S = 0.2
"""Between two readings of which one is a rate: every request for a cold model takes one too."""
_NOISE = 64 * MIB
_SHORT = 0.25
"""Share of the memory below which waiting for memory is taken for a want of it. Elsewhere it is
some control group's own, and no model of ours would help it."""
_SOME_PCT, _FULL_PCT = 20.0, 5.0
_KEPT = 0.9
"""Of what models hold, while all wait for memory: a tenth goes at each reading."""


class Pressure:
    """Watches one machine's memory.

    Attributes:
        withheld: As last worked out.
    """

    def __init__(self) -> None:
        self.withheld = Bytes(0)
        self._before: tuple[float, int] | None = None
        self._falls = 0.0

    def update(self, memory: Memory, room: int, held: int, now: float) -> Bytes:
        """Take a reading; say how much of `room` to hold back.

        Args:
            memory: As read.
            room: What models may hold by it: does not fall when it is they who take it.
            held: What they hold of it.
            now: Seconds.
        """
        ahead = self._fall(room, now) * _AHEAD_S
        withheld = ahead if ahead >= _NOISE else 0.0
        if _is_short(memory) and _waits(memory):
            withheld = max(withheld, room - _KEPT * held)
        self.withheld = Bytes(min(max(0, room), int(withheld)))
        return self.withheld

    def skip(self) -> None:
        """A reading says nothing: a worker was loading, and nobody knows how far it was."""
        self.withheld = Bytes(0)
        self._before = None

    def _fall(self, room: int, now: float) -> float:
        """Bytes per second by which the room falls, of late."""
        before = self._before
        if before is None:
            self._before = (now, room)
        elif (passed := now - before[0]) >= _TELLING_S:
            self._before = (now, room)
            faded = self._falls * max(0.0, 1.0 - passed / _CALM_S)
            self._falls = max((before[1] - room) / passed, faded)
        return self._falls


def _is_short(memory: Memory) -> bool:
    rooms = [(memory.available, memory.total)]
    if memory.cgroup_headroom is not None and memory.cgroup_limit is not None:
        rooms.append((memory.cgroup_headroom, memory.cgroup_limit))
    return any(free < _SHORT * whole for free, whole in rooms)


def _waits(memory: Memory) -> bool:
    some, full = memory.psi_some_avg10 or 0.0, memory.psi_full_avg10 or 0.0
    return some >= _SOME_PCT or full >= _FULL_PCT
