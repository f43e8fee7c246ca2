"""Pairing as users meet it: a code is shown here, or one is typed that another machine shows.

Owns the one window that may be open, what came of it, and what a new peer is called.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Collection
from typing import Any, cast

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, LanUnavailable, PairingFailed
from edgeroute.domain.peer import Peer, fingerprint
from edgeroute.domain.privacy import Label
from edgeroute.mesh import tls
from edgeroute.mesh.identity import device_of
from edgeroute.mesh.listening import Welcome, dial, speaking
from edgeroute.mesh.networks import split
from edgeroute.mesh.node import Node
from edgeroute.mesh.pairing import ATTEMPTS, DIGITS, Window
from edgeroute.mesh.stranger import Stranger, show, type_in
from edgeroute.wire.link import PAIRING, Introduction

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[^a-z0-9._-]+")
_MOST_NAME = 32
_MOST_EXCHANGES = 8


class Acquainting:
    """Makes peers.

    Args:
        node: Whose.
        name: What this machine says to be called.
        taken: Names that no peer may have.
    """

    def __init__(self, node: Node, name: str, taken: Callable[[], Collection[str]]) -> None:
        self._node = node
        self._name = name[:64]
        self._taken = taken
        self._window: Window | None = None
        self._max_label = Label.PRIVATE
        self._paired: Peer | None = None
        self._failure = ""
        self._closing: asyncio.Task[None] | None = None
        self._exchanges: set[asyncio.Task[None]] = set()

    async def open(self, max_label: Label) -> dict[str, Any]:
        """Show a code from now on; one that is shown already holds no longer.

        Args:
            max_label: The most private label that whoever types it may see.
        """
        _refuse_secret(max_label)
        await self.close()
        now = self._node.world.clock()
        self._window = Window.open(secrets.randbelow(10**DIGITS), now)
        self._max_label, self._paired, self._failure = max_label, None, ""
        await self._node.welcome_strangers(self._choice)
        self._closing = asyncio.create_task(self._close_in_time(self._window))
        return {**self.state(), "code": self._window.code}

    async def close(self) -> None:
        """Show no code any more."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._window is not None:
            self._window = None
            await self._node.dismiss_strangers()

    def state(self) -> dict[str, Any]:
        """How the window stands, and what came of it; never the code."""
        window, peer = self._window, self._paired
        now = self._node.world.clock()
        return {
            "open": window is not None,
            "left_s": 0.0 if window is None else max(window.closes_at - now, 0.0),
            "tries_left": 0 if window is None else ATTEMPTS - window.begun,
            "failure": self._failure,
            "paired": None if peer is None else _told(peer),
            "name": self._name,
            "fingerprint": fingerprint(self._node.identity.id),
            "addresses": self._node.doors,
        }

    async def type_in(self, where: str, code: str, max_label: Label) -> dict[str, Any]:
        """Type a code that another machine shows.

        Args:
            where: Its address; empty where only one says by multicast that it shows a code.
            code: As typed.
            max_label: The most private label that it may see.

        Raises:
            PairingFailed: The code is wrong, or the other machine is not what it says to be.
            LanUnavailable: It cannot be reached, or must not be.
        """
        _refuse_secret(max_label)
        if sum(map(str.isdecimal, code)) != DIGITS:
            raise InvalidRequest(f"a code has {DIGITS} digits")
        fault: Exception | None = None
        for address in (where,) if where else self._only_one():
            host, port = self._allowed(address)
            try:
                context = await asyncio.to_thread(tls.pairing, None)
                made = await dial(host, port, PAIRING, Stranger, context)
            except (OSError, TimeoutError) as error:
                fault = error
                continue
            stranger = cast(Stranger, made)
            theirs = await type_in(stranger, code, self._node.identity, self._name)
            peer = await self._met(theirs, max_label, (address,))
            return _told(peer)
        raise LanUnavailable(
            f"{where or 'the machine that shows a code'} cannot be reached: {fault}",
            hint="is it on, in this network, and is EdgeRoute's port open there?",
        )

    async def unpair(self, name: str) -> dict[str, Any]:
        """Trust a machine no more.

        Raises:
            NotFound: There is none of that name.
        """
        peer = self._node.trust.named(name)
        await self._node.forget(peer)
        return _told(peer)

    async def _choice(self) -> Welcome | None:
        window = self._window
        if window is None or window.is_closed(self._node.world.clock()):
            return None
        context = await asyncio.to_thread(tls.pairing, self._node.identity)
        return speaking(lambda: Stranger(self._begin), context)

    def _begin(self, stranger: Stranger) -> None:
        if len(self._exchanges) >= _MOST_EXCHANGES:
            stranger.hang_up()  # who says nothing costs its seconds, not memory
            return
        task = asyncio.get_running_loop().create_task(self._show(stranger))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _show(self, stranger: Stranger) -> None:
        window = self._window
        if window is None:
            stranger.hang_up()
            return
        now = self._node.world.clock()
        try:
            theirs = await show(stranger, window, self._node.identity, self._name, now)
            if self._window is not window:
                return  # closed meanwhile, or another exchange was faster
            self._paired = await self._met(theirs, self._max_label, ())
        except EdgeRouteError as error:
            self._failure = error.message
            _log.warning("pairing failed: %s", error.message)
            if self._window is window and window.begun < ATTEMPTS:
                return
        await self.close()

    async def _met(
        self, theirs: Introduction, max_label: Label, addresses: tuple[str, ...]
    ) -> Peer:
        device = device_of(theirs.certificate)
        if device == self._node.identity.id:
            raise PairingFailed("that is this machine itself")
        before = self._node.trust.get(device)
        peer = Peer(
            device,
            before.name if before is not None else self._free_name(theirs.name),
            theirs.certificate,
            max_label,
            addresses or (() if before is None else before.addresses),
            self._node.world.wall_clock(),
        )
        await self._node.trust_peer(peer)
        return peer

    def _free_name(self, wished: str) -> str:
        """A name like the one that a machine wishes for, which nobody here has."""
        wish = _NAME.sub("-", wished.lower()).strip("._-")[:_MOST_NAME] or "peer"
        taken = {peer.name for peer in self._node.trust} | set(self._taken())
        names = (wish, *(f"{wish}-{number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def _only_one(self) -> tuple[str, ...]:
        showing = self._node.showing
        if len(showing) == 1:
            return showing[0].addresses
        if not showing:
            raise LanUnavailable(
                "no machine in this network shows a code",
                hint="run there: edgeroute pair; or name its address: edgeroute pair 192.168.1.7",
            )
        addresses = ", ".join(hint.addresses[0] for hint in showing)
        raise LanUnavailable(
            f"{len(showing)} machines show a code", hint=f"name one by its address: {addresses}"
        )

    def _allowed(self, address: str) -> tuple[str, int]:
        try:
            host, port = split(address, self._node.world.port)
        except ValueError as error:
            raise InvalidRequest(
                f"{address!r} is no address: {error}", hint="write it as in 192.168.1.7"
            ) from error
        if not self._node.world.networks.permits(host):
            raise LanUnavailable(
                f"{host} is in no network that is used",
                hint="name its network in config.toml: [lan] networks = [...]",
            )
        return host, port

    async def _close_in_time(self, window: Window) -> None:
        await asyncio.sleep(window.closes_at - self._node.world.clock())
        self._failure = self._failure or "nobody typed the code in time"
        self._closing = None  # this task: closing shall not cancel it
        await self.close()


def _refuse_secret(max_label: Label) -> None:
    if max_label is Label.SECRET:
        raise InvalidRequest(
            "secret never leaves this device", hint="let the other see private at most"
        )


def _told(peer: Peer) -> dict[str, Any]:
    return {
        "name": peer.name,
        "id": peer.id,
        "fingerprint": fingerprint(peer.id),
        "max_label": peer.max_label.word,
    }
