"""What peers are told of this machine without being asked: its offers, and what it has found.

Owns when: every two seconds where there is news, and soon after a peer's question has begun or
ended, since that changes what all of them may count on.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from edgeroute.domain.peer import DeviceId
from edgeroute.domain.request import Chunk
from edgeroute.mesh.calling import Known, worth_telling
from edgeroute.mesh.exchange import Exchange
from edgeroute.mesh.link import Link
from edgeroute.mesh.liveness import EVERY_S, LEASE_S
from edgeroute.mesh.world import World

_SOON_S: Final = 0.05
"""A burst is told of once."""


def guest_of(device: DeviceId) -> str:
    """What a peer is called where it is a guest."""
    return device[:16]


class Telling:
    """Tells all peers.

    Args:
        world: Knows what this machine would do for each.
        exchange: Knows what it has found.
        links: Those that are used now.
        known: The peers.
    """

    def __init__(
        self,
        world: World,
        exchange: Exchange,
        links: Mapping[DeviceId, Link],
        known: Mapping[DeviceId, Known],
    ) -> None:
        self._world = world
        self._exchange = exchange
        self._links = links
        self._known = known
        self._soon: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Tell them until cancelled."""
        while True:
            self.now()
            self.doubt()
            await asyncio.sleep(EVERY_S)

    def soon(self) -> None:
        """What is offered has changed: tell them in a moment."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON_S, self._tell_offers)

    def now(self) -> None:
        """Tell every peer what is news."""
        if self._links:
            self._exchange.tell(self._links)
        self._tell_offers()

    def _tell_offers(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if not self._links:
            return
        now = self._world.clock()
        # Whoever is not heard hears nothing either, and counts on what it was told no more.
        there = [device for device, link in self._links.items() if link.silent_s <= LEASE_S]
        for device in self._links.keys() - set(there):
            self._known[device].told = None  # it is told anew when it is heard
        offers = self._world.host.offers([guest_of(device) for device in there])
        for device in there:
            known, offer = self._known[device], offers[guest_of(device)]
            if worth_telling(known.told, offer, now - known.told_at):
                known.told, known.told_at = offer, now
                self._links[device].offer(offer)

    def doubt(self) -> None:
        """Count no more on what was lent by whoever is not heard."""
        for device, link in self._links.items():
            provider = self._known[device].provider
            if link.silent_s > LEASE_S and provider.doubt():
                self._world.elsewhere.look_again(provider.name)

    async def around(self, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        """An answer for a peer, told of as it begins and when it has ended."""
        self.soon()
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            self.soon()
