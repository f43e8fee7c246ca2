"""Verdicts on their way between paired machines: who wants to hear them, and how far each has.

Owns the order and the pace of it. A machine that wants to hear says how far it has; from then on it
is told what is new, a message every few seconds, over whichever link is in use. A message that is
lost with its link is told again, since the next link begins with how far was heard.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest
from edgeroute.domain.peer import DeviceId
from edgeroute.mesh.link import Link
from edgeroute.mesh.liveness import EVERY_S
from edgeroute.mesh.world import Experience
from edgeroute.wire.findings import Findings, Heard

_log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 16
"""Messages of one peer that may come together: it sends one in `EVERY_S`, and a way that was shut
for a while brings a few. Each takes milliseconds here."""


class Exchange:
    """Tells and hears.

    Args:
        experience: Knows what is told; `None` tells nothing and hears nobody.
        clock: Monotonic seconds.
    """

    def __init__(self, experience: Experience | None, clock: Callable[[], float]) -> None:
        self._experience = experience
        self._clock = clock
        self._more: dict[DeviceId, tuple[float, float]] = {}  # how many may come, as of when
        self._heard: dict[DeviceId, Heard] = {}  # by those who want to hear
        self._refused: dict[DeviceId, str] = {}

    def came(self, link: Link) -> None:
        """A link is used from now on: say how far its peer was heard; it says so too."""
        self._heard.pop(link.peer.id, None)
        if self._experience is not None:
            link.tell(self._experience.heard(link.peer.id))

    def told(self, link: Link, message: Heard | Findings) -> bool:
        """A peer wants to hear, or tells.

        Returns:
            Whether it wants to hear from now on.

        Raises:
            InvalidRequest: It tells though nobody wanted to hear, or too often.
        """
        peer = link.peer
        if isinstance(message, Heard):
            begins = peer.id not in self._heard
            self._heard[peer.id] = message
            return begins
        if self._experience is None:
            raise InvalidRequest("nobody here wanted to hear verdicts")
        self._count(peer.id)
        try:
            self._experience.take(peer.id, message)
        except EdgeRouteError as error:
            if self._refused.get(peer.id) != error.message:
                _log.warning("%s: its verdicts are not heeded: %s", peer.name, error.message)
            self._refused[peer.id] = error.message
        else:
            self._refused.pop(peer.id, None)
        return False

    def _count(self, device: DeviceId) -> None:
        now = self._clock()
        left, at = self._more.get(device, (MOST_AT_ONCE, now))
        left = min(left + (now - at) / EVERY_S, MOST_AT_ONCE) - 1
        if left < 0:
            raise InvalidRequest("it tells of verdicts too often")
        self._more[device] = left, now

    def tell(self, links: Mapping[DeviceId, Link]) -> None:
        """Tell every peer that wants to hear what it has not heard."""
        if self._experience is None:
            return
        for device, link in links.items():
            heard = self._heard.get(device)
            findings = None if heard is None else self._experience.findings(heard)
            if findings is not None:
                link.tell(findings)
                self._heard[device] = Heard(findings.run, findings.number)

    def left(self, link: Link) -> None:
        """The link that was used is gone."""
        self._heard.pop(link.peer.id, None)

    def forget(self, device: DeviceId) -> None:
        """A machine is trusted no more, nor what it told."""
        self._heard.pop(device, None)
        self._refused.pop(device, None)
        self._more.pop(device, None)
        if self._experience is not None:
            self._experience.forget(device)

    def status(self, device: DeviceId) -> dict[str, Any]:
        """How it stands with a peer: what was heard of it, whether it hears, what was refused."""
        found = 0 if self._experience is None else self._experience.verdicts(device)
        return {
            "verdicts": found,
            "hears_verdicts": device in self._heard,
            "verdicts_refused": self._refused.get(device, ""),
        }
