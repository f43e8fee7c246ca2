"""Models' files, copied by paired machines from this one.

Owns the connections over which that happens: each pinned like a link, in a thread of its own, so
that neither this machine's answers nor a link's wait for a gigabyte. The loop shakes hands: no
thread is a stranger's.
"""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, Overloaded
from edgeroute.domain.peer import DeviceId, Peer
from edgeroute.wire.copying import CardFacts, Held, Send, Want, asked_inbox
from edgeroute.wire.framing import encode
from edgeroute.wire.parts import parts_of
from edgeroute.wire.rpc import CONNECTION, Failed

_log = logging.getLogger(__name__)

MOST: Final = 4
"""Copied at once."""
_SILENT_S: Final = 30.0
"""That a machine may take nothing, or ask nothing."""
_BLOCK: Final = 1 << 18
"""Bytes written at once, and between two looks at the rate."""
_READ: Final = 4096
_UNKNOWN: Final = "unknown"


class Pace:
    """Bytes per second that all copies together may take.

    Args:
        bytes_s: How many.
    """

    def __init__(self, bytes_s: float) -> None:
        self._bytes_s = bytes_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until so many more may be sent."""
        with self._lock:
            begins = max(self._free_at, time.monotonic())
            self._free_at = begins + count / self._bytes_s
        if (wait_s := begins - time.monotonic()) > 0:
            time.sleep(wait_s)


class Giving:
    """Gives paired machines the files that they ask for.

    Args:
        holder: Whose certificate it is (see `TrustStore.holder`).
        held: A model that its owner lets others copy, by its name; raises `EdgeRouteError`.
        pace: For all together.

    Attributes:
        pace: For all together, as it may be changed.
    """

    def __init__(
        self,
        holder: Callable[[bytes], Peer | None],
        held: Callable[[str], ModelCard],
        pace: Pace,
    ) -> None:
        self._holder = holder
        self._held = held
        self.pace = pace
        self._open: dict[ssl.SSLSocket, DeviceId] = {}
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="give")
        self._tasks: set[asyncio.Task[None]] = set()

    async def welcome(self, context: ssl.SSLContext, caller: socket.socket) -> None:
        """Take a caller's connection over; done once it is known whose it is.

        Raises:
            OSError: It is not paired, or gone.
        """
        connection = context.wrap_socket(caller, server_side=True, do_handshake_on_connect=False)
        try:
            await _shake_hands(connection)
            certificate = connection.getpeercert(binary_form=True)
            peer = None if certificate is None else self._holder(certificate)
        except BaseException:
            connection.close()
            raise
        if peer is not None and len(self._open) < MOST:
            self._open[connection] = peer.id
            task = asyncio.get_running_loop().create_task(self._give(peer, connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        with connection:
            if peer is not None:
                busy = Overloaded(f"{MOST} copies are being made from it", hint="later")
                connection.sendall(encode(Failed.of(CONNECTION, busy)))

    def cut(self, device: DeviceId | None = None) -> None:
        """End what one machine copies, or all of them."""
        for connection, whose in self._open.items():
            if device in (None, whose):
                _hang_up(connection)

    async def close(self) -> None:
        """End all, and wait until the threads have."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False)

    async def _give(self, peer: Peer, connection: ssl.SSLSocket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._serve, peer, connection)
        except (OSError, EdgeRouteError) as error:
            _log.info("%s: copying ended, %s", peer.name, type(error).__name__)
        finally:
            del self._open[connection]
            connection.close()

    def _serve(self, peer: Peer, connection: ssl.SSLSocket) -> None:
        """Answer one machine's questions until it hangs up; in a thread."""
        connection.settimeout(_SILENT_S)
        inbox, card = asked_inbox(), None
        while data := connection.recv(_READ):
            for question in inbox.feed(data):
                if isinstance(question, Want):
                    card = self._shown(connection, question.model)
                elif card is None:
                    raise InvalidRequest("a file of no model")
                else:
                    self._send(connection, card, question)

    def _shown(self, connection: ssl.SSLSocket, model: str) -> ModelCard | None:
        """Tell what a model is, or why it is not given."""
        try:
            card = self._held(model)
        except EdgeRouteError as error:
            connection.sendall(encode(Failed.of(CONNECTION, error)))
            return None
        connection.sendall(encode(_facts(card)))
        return card

    def _send(self, connection: ssl.SSLSocket, card: ModelCard, asked: Send) -> None:
        parts = parts_of(Path(card.path))
        if asked.part >= len(parts):
            raise InvalidRequest("a file that the model does not have")
        block = memoryview(bytearray(_BLOCK))
        with parts[asked.part].open("rb", buffering=0) as file:
            file.seek(asked.at)
            while count := file.readinto(block):
                self.pace.take(count)
                connection.sendall(block[:count])


def _facts(card: ModelCard) -> Held:
    facts = CardFacts(
        family="" if card.family == _UNKNOWN else card.family,
        licence="" if card.licence == _UNKNOWN else card.licence,
        scores=dict(card.scores),
        scores_source=card.scores_source,
        tuned=card.tuned,
    )
    sizes = tuple(part.stat().st_size for part in parts_of(Path(card.path)))
    return Held(card.sha256, sizes, facts)


def _hang_up(connection: ssl.SSLSocket) -> None:
    """Wake the thread that reads or writes; `SSLSocket`'s own would take its TLS away from it."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


async def _shake_hands(connection: ssl.SSLSocket) -> None:
    connection.setblocking(False)  # noqa: FBT003 - socket's own
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(connection, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(connection, loop.add_writer, loop.remove_writer)
        else:
            return


async def _ready(
    connection: ssl.SSLSocket,
    add: Callable[..., object],
    remove: Callable[[int], object],
) -> None:
    """Wait until a socket can be read from, or written to."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    number = connection.fileno()
    add(number, _set, ready)
    try:
        await ready
    finally:
        remove(number)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
