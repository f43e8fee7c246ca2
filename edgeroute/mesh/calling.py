"""Calling peers until there is a link with each, whoever makes it.

Owns where a peer is looked for: where multicast says that it is, then where it was before, and in
no network that is not used.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final, cast

from msgspec.structs import replace

from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.peer import DeviceId, Peer
from edgeroute.mesh import tls
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.link import Link
from edgeroute.mesh.listening import dial
from edgeroute.mesh.liveness import EVERY_S, retry_wait_s
from edgeroute.mesh.networks import join, split
from edgeroute.mesh.provider import PeerProvider
from edgeroute.mesh.trust import TrustStore
from edgeroute.mesh.world import World
from edgeroute.wire.link import LINK, Offer

_log = logging.getLogger(__name__)

_FREE_EVERY_S: Final = 30.0
NOT_FOUND: Final = "nobody knows where it is"


class Known:
    """A peer, as far as this machine keeps up with it.

    Attributes:
        hinted: Addresses that multicast gives for it now.
        away: Why there is no link.
        wake: Set when it is worth calling at once.
        breaks: Links with it that were lost since this machine's daemon began.
        told: The offer that it was told last, and `told_at` when.
    """

    def __init__(self, peer: Peer, link: Callable[[], Link | None]) -> None:
        self.peer = peer
        self.hinted: tuple[str, ...] = ()
        self.away = NOT_FOUND
        self.breaks = 0
        self.wake = asyncio.Event()
        self.told: Offer | None = None
        self.told_at = -math.inf
        self.provider = PeerProvider(peer, link, lambda: self.away)
        self.calling: asyncio.Task[None] | None = None
        self._link = link

    def doors(self, port: int) -> list[str]:
        """Where it may be called now, `port` where nobody says another."""
        link = self._link()
        there = () if link is None else (link.address,)
        return [join(*split(address, port)) for address in (*self.hinted, *there)]


def worth_telling(told: Offer | None, offer: Offer, since_s: float) -> bool:
    """Whether an offer is news: free memory alone, which never stands still, rarely is."""
    if told is None or since_s > _FREE_EVERY_S:
        return told != offer
    return replace(told, free_bytes=0) != replace(offer, free_bytes=0)


class Calling:
    """Calls.

    Args:
        identity: Who this machine is.
        trust: Who its peers are, and where they were.
        world: The rest.
        links: Those that stand; kept by somebody else.
        make: Makes one for a call.
    """

    def __init__(
        self,
        identity: Identity,
        trust: TrustStore,
        world: World,
        links: Mapping[DeviceId, Link],
        make: Callable[[], Link],
    ) -> None:
        self._identity = identity
        self._trust = trust
        self._world = world
        self._links = links
        self._make = make

    async def keep(self, known: Known) -> None:
        """Have a link with a peer, whoever makes it."""
        failures = 0
        while True:
            link = self._links.get(known.peer.id) or await self._call(known)
            if link is not None:
                since = self._world.clock()
                known.away = await link.closed
                if self._world.clock() - since > EVERY_S:
                    failures = 0
                    continue
            failures += 1  # a link that one of both hung up on at once is none
            known.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry_wait_s(failures, self._world.draw())):
                    await known.wake.wait()

    async def _call(self, known: Known) -> Link | None:
        peer = self._trust.get(known.peer.id)
        remembered = () if peer is None else peer.addresses
        for address in dict.fromkeys((*known.hinted, *remembered)):
            host, port = split(address, self._world.port)
            if not self._world.networks.permits(host):
                known.away = f"{host} is in no network that is used"
                continue
            try:
                link = await self._dial(known.peer, host, port)
            except (OSError, TimeoutError) as error:
                known.away = f"{address}: {_words(error)}"
                continue
            if link is not None:
                try:
                    await self._trust.note_address(known.peer.id, address)
                except InvalidConfig as error:  # a full disk, say: it is found again all the same
                    _log.warning("%s", error.message)
                return link
        return self._links.get(known.peer.id)

    async def _dial(self, peer: Peer, host: str, port: int) -> Link | None:
        context = await asyncio.to_thread(
            tls.linking, self._identity, [peer.certificate], accepts=False
        )
        made = await dial(host, port, LINK, self._make, context)
        link = cast(Link, made)
        await asyncio.wait([link.closed, link.greeted], return_when=asyncio.FIRST_COMPLETED)
        return self._links.get(peer.id)


def _words(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return error.strerror or type(error).__name__
