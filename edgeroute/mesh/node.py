"""This machine among its peers: who is linked, who is called, who is being paired.

Owns the links, one per peer, and the loops that keep them: the networks are looked at every few
seconds, and an offer is told when it has changed.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Final

from zeroconf import Error as ZeroconfError

from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.peer import DeviceId, Peer, fingerprint
from edgeroute.domain.request import Chunk
from edgeroute.mesh import tls
from edgeroute.mesh.calling import NOT_FOUND, Calling, Known
from edgeroute.mesh.discovery import Discovery, Hint, instance_id
from edgeroute.mesh.exchange import Exchange
from edgeroute.mesh.giving import Giving, Pace
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.link import Link
from edgeroute.mesh.listening import Choose, Door, Welcome, speaking
from edgeroute.mesh.networks import join
from edgeroute.mesh.telling import Telling, guest_of
from edgeroute.mesh.trust import TrustStore
from edgeroute.mesh.world import World
from edgeroute.wire.copying import COPYING
from edgeroute.wire.findings import Findings, Heard
from edgeroute.wire.link import LINK, PAIRING, Method, Offer

_log = logging.getLogger(__name__)

_LOOK_S: Final = 3.0
"""Between two looks at this machine's networks."""


class Node:
    """This machine among its peers; it is also the `House` of its links.

    Args:
        identity: Who this machine is.
        trust: Who its peers are.
        world: The rest.
    """

    def __init__(self, identity: Identity, trust: TrustStore, world: World) -> None:
        self.identity = identity
        self.trust = trust
        self.world = world
        self._links: dict[DeviceId, Link] = {}
        self._standing: set[Link] = set()  # those that are retired too
        self._known: dict[DeviceId, Known] = {}
        self._calling = Calling(
            identity, trust, world, self._links, lambda: self._make(dialled=True)
        )
        self._exchange = Exchange(world.experience, world.clock)
        self.telling = Telling(world, self._exchange, self._links, self._known)
        self._discovery: Discovery | None = None
        self._pairs = False
        self._pairing: Choose = _nobody
        self._accepting: tuple[tuple[bytes, ...], ssl.SSLContext] | None = None
        self.giving = Giving(trust.holder, world.held, Pace(world.give_bytes_s))
        choices = {
            LINK: self._link_choice,
            PAIRING: self._pairing_choice,
            COPYING: self._copying_choice,
        }
        self._door = Door(world.networks, world.port, choices)
        self._running = False

    # ---- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep links with all peers until cancelled."""
        self._running = True
        for peer in self.trust:
            self._follow(peer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_networks())
                group.create_task(self.telling.run())
        finally:
            self._running = False
            await self._close()

    async def _close(self) -> None:
        calling = [known.calling for known in self._known.values() if known.calling is not None]
        for task in calling:
            task.cancel()
        for link in tuple(self._standing):
            link.close("this machine goes")
        await asyncio.gather(*calling, return_exceptions=True)
        await self._door.close()
        await self.giving.close()
        if self._discovery is not None:
            await self._discovery.close()

    async def _watch_networks(self) -> None:
        at = self.world.clock()
        while True:
            slept = self.world.clock() - at > 4 * _LOOK_S
            if self.world.networks.look() or slept:
                await self._move()
            elif self._door.faults:  # a new IPv6 address cannot be used in its first second
                self._door.follow()
            at = self.world.clock()
            await asyncio.sleep(_LOOK_S)

    async def _move(self) -> None:
        """The networks have changed: listen there, under new names."""
        places = self.world.networks.places
        self._door.follow()
        for host, fault in self._door.faults.items():
            _log.warning("cannot listen on %s, %s", host, fault)
        before, self._discovery = self._discovery, None
        if before is not None:
            await before.close()
        for known in self._known.values():
            known.wake.set()
        if not places:
            return
        discovery = Discovery(
            self.identity.id, self.world.port, places, self.world.networks.permits, self._found
        )
        try:
            await discovery.start(pairs=self._pairs)
        except (OSError, ZeroconfError) as error:
            _log.warning("no multicast here: %s", error)
            await discovery.close()
        else:
            self._discovery = discovery

    # ---- peers --------------------------------------------------------------------------------

    async def trust_peer(self, peer: Peer) -> None:
        """A machine was paired: it is called, and heard, from now on.

        Raises:
            InvalidConfig: It cannot be remembered.
        """
        before = self.trust.get(peer.id)
        if before is not None:
            await self.forget(before)
        await self.trust.add(peer)
        if self._running:
            self._follow(peer)

    async def forget(self, peer: Peer) -> None:
        """A machine is trusted no more: its connection ends now.

        Raises:
            InvalidConfig: That cannot be remembered.
        """
        known = self._known.pop(peer.id, None)
        if known is not None and known.calling is not None:
            known.calling.cancel()
        self.world.elsewhere.remove(peer.name)
        self._links.pop(peer.id, None)
        for link in [link for link in self._standing if link.peer.id == peer.id]:
            link.close("it was unpaired")
        self._exchange.forget(peer.id)
        self.giving.cut(peer.id)
        await self.trust.remove(peer.id)

    def _follow(self, peer: Peer) -> None:
        known = Known(peer, lambda: self._links.get(peer.id))
        self._known[peer.id] = known
        self.world.elsewhere.add(known.provider)
        if self._discovery is not None:
            for hint in self._discovery.hints:
                self._match(known, hint)
        known.calling = asyncio.create_task(self._calling.keep(known), name=f"call {peer.name}")

    def _found(self, hint: Hint) -> None:
        for known in self._known.values():
            self._match(known, hint)

    def _match(self, known: Known, hint: Hint) -> None:
        if hint.id == instance_id(known.peer.id, hint.instance):
            known.hinted = hint.addresses
            known.wake.set()

    # ---- the house of the links ---------------------------------------------------------------

    def holder(self, certificate: bytes) -> Peer | None:
        """See `link.House`."""
        return self.trust.holder(certificate)

    def came(self, link: Link) -> None:
        """See `link.House`: of two links that were made at once, both sides use the same one."""
        peer, known = link.peer, self._known.get(link.peer.id)
        if known is None:
            link.close("it was unpaired")  # between handshake and hello
            return
        self._standing.add(link)
        other = self._links.get(peer.id)
        if other is not None:
            caller = self._caller(link)
            if caller != self._caller(other) and caller != min(self.identity.id, peer.id):
                link.retire()
                return
            other.retire()
        self._links[peer.id] = link
        known.told, known.away = None, ""
        known.wake.set()
        self._exchange.came(link)
        self.world.elsewhere.look_again(peer.name)  # what it offered last, until it says more
        asyncio.get_running_loop().call_soon(self.telling.now)
        _log.info("%s: linked, it runs %s", peer.name, link.release)

    def left(self, link: Link) -> None:
        """See `link.House`."""
        self._standing.discard(link)
        if self._links.get(link.peer.id) is link:
            del self._links[link.peer.id]
            self._exchange.left(link)
            if (known := self._known.get(link.peer.id)) is not None:
                known.breaks += 1
            self.world.elsewhere.look_again(link.peer.name)
            _log.info("%s: the link is gone, %s", link.peer.name, link.why)

    def offered(self, link: Link, offer: Offer) -> None:
        """See `link.House`."""
        if self._links.get(link.peer.id) is link:
            self._known[link.peer.id].provider.take(offer)
            self.world.elsewhere.look_again(link.peer.name)

    def told(self, link: Link, message: Heard | Findings) -> None:
        """See `link.House`."""
        if self._exchange.told(link, message):
            self._exchange.tell(self._links)

    def answer(self, peer: Peer, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        """See `link.House`."""
        answer = self.world.host.answer(guest_of(peer.id), method, body)
        return self.telling.around(answer)

    def _caller(self, link: Link) -> DeviceId:
        return self.identity.id if link.dialled else link.peer.id

    def _make(self, *, dialled: bool) -> Link:
        return Link(self, self.world.clock, self.world.release, dialled=dialled)

    async def _link_choice(self) -> Welcome | None:
        context = await self._of_peers()
        return None if context is None else speaking(lambda: self._make(dialled=False), context)

    async def _copying_choice(self) -> Welcome | None:
        context = await self._of_peers()
        return None if context is None else partial(self.giving.welcome, context)

    async def _of_peers(self) -> ssl.SSLContext | None:
        """What all paired machines are let in by; `None` where nobody could come."""
        trusted = tuple(peer.certificate for peer in self.trust)
        if not trusted:
            return None
        if self._accepting is None or self._accepting[0] != trusted:
            context = await asyncio.to_thread(tls.linking, self.identity, trusted, accepts=True)
            self._accepting = trusted, context
        return self._accepting[1]

    # ---- pairing ------------------------------------------------------------------------------

    async def welcome_strangers(self, choose: Choose) -> None:
        """Let strangers in who have a code to type, and say so.

        Raises:
            InvalidConfig: There is no door: no network that is used, or its port is taken.
        """
        if not self._door.is_open:
            faults = "; ".join(f"{host}: {why}" for host, why in self._door.faults.items())
            raise InvalidConfig(
                f"nobody can connect: {faults or 'this machine is in no network that is used'}",
                hint="look at [lan] networks and port in config.toml",
            )
        self._pairing, self._pairs = choose, True
        if self._discovery is not None:
            await self._discovery.say(pairs=True)

    async def dismiss_strangers(self) -> None:
        """Let no strangers in any more."""
        self._pairing, self._pairs = _nobody, False
        if self._discovery is not None:
            await self._discovery.say(pairs=False)

    async def _pairing_choice(self) -> Welcome | None:
        return await self._pairing()

    @property
    def showing(self) -> tuple[Hint, ...]:
        """Machines that say to show a code just now."""
        hints = () if self._discovery is None else self._discovery.hints
        return tuple(hint for hint in hints if hint.pairs)

    @property
    def doors(self) -> tuple[str, ...]:
        """Where others can call this machine."""
        return tuple(join(place.host, self.world.port) for place in self.world.networks.places)

    # ---- for people ---------------------------------------------------------------------------

    def status(self) -> list[dict[str, Any]]:
        """How every peer stands, as plain data."""
        return [self._told(peer) for peer in sorted(self.trust, key=lambda peer: peer.name)]

    def _told(self, peer: Peer) -> dict[str, Any]:
        link, known = self._links.get(peer.id), self._known.get(peer.id)
        offer = Offer() if known is None or link is None else known.provider.offer
        return {
            "name": peer.name,
            "id": peer.id,
            "fingerprint": fingerprint(peer.id),
            "max_label": peer.max_label.word,
            "paired_at": peer.paired_at,
            "linked": link is not None,
            "away": None if link is not None else NOT_FOUND if known is None else known.away,
            "address": None if link is None else link.address,
            "doors": [] if known is None else known.doors(self.world.port),
            "release": None if link is None else link.release,
            "rtt_s": None if link is None else link.rtt_s,
            "jitter_s": None if link is None else link.jitter_s,
            "breaks": 0 if known is None else known.breaks,
            "asked": 0 if link is None else link.asked,
            "answered": 0 if link is None else link.answered,
            **self._exchange.status(peer.id),
            "on_battery": offer.on_battery,
            "battery_percent": offer.battery_percent,
            "free_bytes": offer.free_bytes,
            "withheld": offer.withheld,
            "models": [
                {
                    "id": model.id,
                    "warm": model.warm,
                    "decode_tok_s": model.decode_tok_s,
                    "queued_tokens": model.queued_tokens,
                }
                for model in offer.models
            ],
        }


async def _nobody() -> None:
    """While no code is shown."""
