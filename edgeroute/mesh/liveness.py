"""Whether the other side of a link is still there, and when a lost one is tried again.

Pure: time and draws are arguments.
"""

from typing import Final

EVERY_S: Final = 2.0
"""Between two signs of life."""
_SILENT_S: Final = 6.5
"""Three signs missed, and half a second for the way: the machine, or the way to it, is gone."""
_PATIENCE_S: Final = 0.1
_PATIENCE_RTTS: Final = 4.0
"""Signs of life are answered by the event loop, whatever its models do."""
LEASE_S: Final = 3.0
"""Without a sign of life, what a peer lent is counted on no more."""
_WEIGHT: Final = 0.3
"""Of the newest round trip."""
_WAITS_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Before a lost peer is called again: a link that was down for ten seconds is back within five."""
_JITTER: Final = 0.5


class Liveness:
    """What is known of the other side's being there.

    Attributes:
        rtt_s: Seconds there and back, smoothed; `None` before the first answer.
        jitter_s: How far single ones are off it, smoothed (RFC 6298's variation).
        is_awaited: Something that it answers was sent, and nothing has come since.
    """

    def __init__(self, now: float) -> None:
        self.rtt_s: float | None = None
        self.jitter_s = 0.0
        self.is_awaited = False
        self._heard_at = now
        self._pinged_at: float | None = None
        self._number = 0

    def ping(self, now: float) -> int:
        """A sign of life is sent; the number that it carries."""
        self._number += 1
        self._pinged_at = now
        if self.rtt_s is not None:  # a link that has just said hello is there, however far it is
            self.is_awaited = True
        return self._number

    def asked(self) -> None:
        """A question is sent."""
        self.is_awaited = True

    def heard(self, now: float) -> None:
        """Something came."""
        self._heard_at = now
        self.is_awaited = False

    def answered(self, number: int, now: float) -> None:
        """A sign of life came back; one that is not the last sent tells nothing.

        One that is later than a machine that is well would be counts as just too late: that says
        that it stood still, and only where it goes on that it is farther than was known.
        """
        if number != self._number or self._pinged_at is None:
            return
        took = min(now - self._pinged_at, self.patience_s)
        self._pinged_at = None
        if self.rtt_s is None:
            self.rtt_s, self.jitter_s = took, took / 2
            return
        self.jitter_s += _WEIGHT * (abs(took - self.rtt_s) - self.jitter_s)
        self.rtt_s += _WEIGHT * (took - self.rtt_s)

    @property
    def patience_s(self) -> float:
        """Seconds in which a machine that is well answers a sign of life."""
        if self.rtt_s is None:
            return EVERY_S  # nobody knows yet how far it is
        return max(_PATIENCE_S, _PATIENCE_RTTS * self.rtt_s)

    def silent_s(self, now: float) -> float:
        """Seconds since anything came."""
        return now - self._heard_at

    def gone(self, now: float) -> bool:
        """Whether it has been silent for too long."""
        return self.silent_s(now) > _SILENT_S


def retry_wait_s(failures: int, draw: float) -> float:
    """Seconds to wait after so many failed calls in a row, 1 or more; `draw` is uniform in 0..1.

    Two machines that lost each other at the same moment do not call at the same moment.
    """
    wait = _WAITS_S[min(failures, len(_WAITS_S)) - 1]
    return wait * (1.0 - _JITTER + _JITTER * draw)
