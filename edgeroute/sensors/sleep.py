"""Whether the machine has slept: two clocks, of which one goes on while it does.

Owns what is told by them. Elsewhere than on Linux nothing is: no sleep is seen there.
"""

import time

_SLEPT_S = 1.0
"""The clocks are read one after the other, so that what they differ by wavers."""


def elapsed_s() -> float:
    """Seconds since the machine was started, those in which it slept too."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def suspended_s() -> float:
    """Seconds that it has slept since it was started."""
    awake = time.monotonic()  # first, so that the rest is not negative
    return elapsed_s() - awake


class Waking:
    """Notices that the machine has slept.

    Args:
        before_s: Seconds that it had slept until now.
    """

    def __init__(self, before_s: float) -> None:
        self._before_s = before_s

    def noticed(self, now_s: float) -> bool:
        """Whether it has slept since this was last asked, by the seconds that it has slept now."""
        slept = now_s - self._before_s > _SLEPT_S
        self._before_s = now_s
        return slept
