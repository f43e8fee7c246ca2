"""Verdicts on their way between paired machines: who wants to hear them, and how far each has.

Owns the order of it. A machine that wants to hear says how far it has; from then on it is told what
is new, one message at a time, over whichever link is in use. A message that is lost with its link
is told again, since the next link begins with how far was heard.
"""

import logging
from collections.abc import Mapping
from typing import Any

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest
from edgeroute.domain.peer import DeviceId
from edgeroute.mesh.link import Link
from edgeroute.mesh.world import Experience
from edgeroute.wire.findings import Findings, Heard

_log = logging.getLogger(__name__)


class Exchange:
    """Tells and hears.

    Args:
        experience: Knows what is told; `None` tells nothing and hears nobody.
    """

    def __init__(self, experience: Experience | None) -> None:
        self._experience = experience
        self._heard: dict[DeviceId, Heard] = {}  # by those who want to hear
        self._refused: dict[DeviceId, str] = {}

    def came(self, link: Link) -> None:
        """A link is used from now on: say how far its peer was heard; it says so too."""
        self._heard.pop(link.peer.id, None)
        if self._experience is not None:
            link.tell(self._experience.heard(link.peer.id))

    def told(self, link: Link, message: Heard | Findings) -> None:
        """A peer wants to hear, or tells.

        Raises:
            InvalidRequest: It tells though nobody wanted to hear.
        """
        peer = link.peer
        if isinstance(message, Heard):
            self._heard[peer.id] = message
            return
        if self._experience is None:
            raise InvalidRequest("nobody here wanted to hear verdicts")
        try:
            self._experience.take(peer.id, message)
        except EdgeRouteError as error:
            if self._refused.get(peer.id) != error.message:
                _log.warning("%s: its verdicts are not heeded: %s", peer.name, error.message)
            self._refused[peer.id] = error.message
        else:
            self._refused.pop(peer.id, None)

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
