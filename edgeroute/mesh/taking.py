"""A paired machine's model, copied here over a pinned connection of its own.

Owns the side that asks; it blocks, in a program of the user's. What comes is checked by whoever
keeps it.
"""

import io
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from edgeroute.domain.errors import DestinationBroke, DestinationUnreachable
from edgeroute.domain.peer import Peer
from edgeroute.domain.units import Bytes, format_bytes
from edgeroute.mesh import tls
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.link import told_error
from edgeroute.wire.copying import COPYING, Held, Send, Want, told_inbox
from edgeroute.wire.framing import encode

_CONNECT_S: Final = 5.0
_SILENT_S: Final = 30.0
_BLOCK: Final = 1 << 18
"""Bytes kept before they are written."""


class Taking:
    """A connection over which one peer's models come, until it is closed.

    Args:
        identity: Who this machine is.
        peer: Who is asked.
        doors: Host and port where it may be, each in a network that is used.
        trusts: Whether a peer is still trusted; looked at while files come.

    Raises:
        DestinationUnreachable: It is at none of them.
    """

    def __init__(
        self,
        identity: Identity,
        peer: Peer,
        doors: Iterable[tuple[str, int]],
        trusts: Callable[[Peer], bool],
    ) -> None:
        self._name = peer.name
        self._is_trusted = partial(trusts, peer)
        context = tls.linking(identity, [peer.certificate], accepts=False)
        why = "nobody knows where it is"
        for door in doors:
            try:
                self._connection = _connected(context, door)
            except OSError as error:
                why = f"{door[0]}: {error.strerror or type(error).__name__}"
            else:
                return
        raise DestinationUnreachable(
            f"{peer.name} cannot be reached: {why}", hint="is it on? `edgeroute peers` says more"
        )

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def want(self, model: str) -> Held:
        """Ask for a model.

        Raises:
            DestinationBroke: The connection ended.
            EdgeRouteError: Why the other machine does not give it.
        """
        inbox = told_inbox()
        try:
            self._connection.sendall(encode(Want(model)))
            while data := self._connection.recv(_BLOCK):
                for message in inbox.feed(data):
                    if isinstance(message, Held):
                        return message
                    raise told_error(self._name, message)
        except OSError as error:
            raise self._refused() from error
        raise self._refused()

    def fetch(
        self, part: int, size: int, file: io.BufferedRandom, told: Callable[[int], None]
    ) -> None:
        """Append what a file lacks.

        Args:
            part: Which one, from 0.
            size: Its bytes in all.
            file: Stands at its end.
            told: Called with the bytes that are here.

        Raises:
            DestinationBroke: The connection ended, or the machine was unpaired here meanwhile; what
                has come is in the file.
            OSError: The file cannot be written.
        """
        done = file.tell()
        block = memoryview(bytearray(_BLOCK))
        self._connection.sendall(encode(Send(part, done)))
        while done < size:
            count = self._received(block[: size - done], done)
            if not self._is_trusted():
                had = format_bytes(Bytes(done))
                raise DestinationBroke(
                    f"{self._name} was unpaired: the copy stopped after {had}",
                    hint="nothing is copied from a machine that is not paired",
                )
            file.write(block[:count])
            done += count
            told(done)

    def _received(self, block: memoryview, done: int) -> int:
        """Fill a block, as far as anything comes."""
        filled = 0
        try:
            while filled < len(block):
                count = self._connection.recv_into(block[filled:])
                if not count:
                    break
                filled += count
        except OSError as error:
            fault = error
        else:
            fault = OSError("the connection was closed")
        if not filled:
            raise DestinationBroke(
                f"{self._name}: the copy stopped after {format_bytes(Bytes(done))}: {fault}",
                hint="pull it again: it goes on where it stopped",
            )
        return filled

    def _refused(self) -> DestinationBroke:
        return DestinationBroke(
            f"{self._name} hung up",
            hint="does it still trust this machine, or are others copying? see `edgeroute peers`",
        )


def _connected(context: ssl.SSLContext, door: tuple[str, int]) -> ssl.SSLSocket:
    plain = socket.create_connection(door, timeout=_CONNECT_S)
    try:
        plain.sendall(COPYING)
        connection = context.wrap_socket(plain)
    except BaseException:
        plain.close()
        raise
    connection.settimeout(_SILENT_S)
    return connection
