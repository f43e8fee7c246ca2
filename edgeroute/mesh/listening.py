"""The door: who connects from which network, and which of the conversations they want.

Owns the listening sockets. A caller says in four bytes whether it is paired or has a code; all are
bounded in number and time before anybody knows who they are.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from edgeroute.mesh.networks import Networks, Place
from edgeroute.wire.link import PREFACE_LENGTH

_log = logging.getLogger(__name__)

HANDSHAKE_S: Final = 5.0
_MOST: Final = 64
"""Connections of which nobody knows yet whose they are."""
_MOST_OF_ONE: Final = 8
"""Likewise, from one address."""
_BACKLOG: Final = 64

Make = Callable[[], asyncio.Protocol]
Welcome = Callable[[socket.socket], Awaitable[object]]
"""Takes a caller's socket over; done once it is known whose it is."""
Choose = Callable[[], Awaitable[Welcome | None]]
"""How a conversation begins now; `None` where nobody may have it."""


class Door:
    """Listens on every address in a network that is used.

    Args:
        networks: Which those are.
        port: The same on all of them.
        choices: The conversations, by their prefaces.

    Attributes:
        faults: Addresses that cannot be listened on, and why.
    """

    def __init__(self, networks: Networks, port: int, choices: Mapping[bytes, Choose]) -> None:
        self.faults: dict[str, str] = {}
        self._networks = networks
        self._port = port
        self._choices = choices
        self._listening: dict[Place, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._unknown: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether anybody could connect."""
        return bool(self._listening)

    def follow(self) -> None:
        """Listen where the networks are now, and nowhere else."""
        places = set(self._networks.places)
        for place in self._listening.keys() - places:
            self._leave(place)
        self.faults = {}
        for place in places - self._listening.keys():
            try:
                listening = _listen(place, self._port)
            except OSError as error:
                self.faults[place.host] = f"port {self._port}: {error.strerror}"
                continue
            task = asyncio.create_task(self._accept(listening), name=f"listen {place.host}")
            self._listening[place] = (listening, task)

    async def close(self) -> None:
        """Listen no more."""
        for place in tuple(self._listening):
            self._leave(place)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _leave(self, place: Place) -> None:
        listening, task = self._listening.pop(place)
        task.cancel()
        task.add_done_callback(lambda _task: listening.close())

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                caller, address = await loop.sock_accept(listening)
            except OSError as error:
                _log.warning("nobody can connect just now: %s", error.strerror)
                await asyncio.sleep(1.0)  # out of descriptors, most likely
                continue
            host = str(address[0])
            full = self._unknown.total() >= _MOST or self._unknown[host] >= _MOST_OF_ONE
            if full or not self._networks.permits(host):
                caller.close()
                continue
            self._unknown[host] += 1
            task = loop.create_task(self._welcome(caller, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, caller: socket.socket, host: str) -> None:
        """Hand a caller to its conversation; the preface is read from the socket to the byte."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                caller.setblocking(False)  # noqa: FBT003 - socket's own
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                preface = b""
                while len(preface) < PREFACE_LENGTH:
                    more = await loop.sock_recv(caller, PREFACE_LENGTH - len(preface))
                    if not more:
                        return
                    preface += more
                choose = self._choices.get(preface)
                welcome = None if choose is None else await choose()
                if welcome is None:
                    return
                await welcome(caller)
                caller = None  # type: ignore[assignment]  # the conversation's now
        except (OSError, TimeoutError) as error:
            _log.info("a caller was turned away: %s", type(error).__name__)
        finally:
            self._unknown[host] -= 1
            self._unknown += Counter()  # drops zeros: addresses are a stranger's to choose
            if caller is not None:
                caller.close()


def speaking(make: Make, context: ssl.SSLContext) -> Welcome:
    """A conversation of messages, with a protocol of its own in the loop."""

    async def welcome(caller: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            make, caller, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
        )

    return welcome


def _listen(place: Place, port: int) -> socket.socket:
    family = socket.AF_INET if place.address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    listening = socket.socket(family)
    try:
        listening.setblocking(False)  # noqa: FBT003
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(
            (str(place.address), port, 0, place.index)
            if family == socket.AF_INET6
            else (str(place.address), port)
        )
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


async def dial(
    host: str, port: int, preface: bytes, make: Make, context: ssl.SSLContext
) -> asyncio.BaseProtocol:
    """Call a machine; the connection is the protocol's from then on.

    Raises:
        OSError: It cannot be reached, or its certificate is not the one.
        TimeoutError: It does not answer.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    calling = socket.socket(family)
    try:
        calling.setblocking(False)  # noqa: FBT003
        calling.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(HANDSHAKE_S):
            # As one word: uvloop forgets an interface that is told as a number beside it.
            await loop.sock_connect(calling, (host, port))
            await loop.sock_sendall(calling, preface)
            _, protocol = await loop.create_connection(
                make,
                sock=calling,
                ssl=context,
                server_hostname="",
                ssl_handshake_timeout=HANDSHAKE_S,
            )
    except BaseException:
        with contextlib.suppress(OSError):
            calling.close()
        raise
    return protocol
