"""The HTTP server on sockets that we bound: uvicorn, with the limits that it lacks.

Owns who may connect (this user alone), how long and how large a header may be, and the order of
shutting down. Knows nothing of routes.
"""

import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MAX_HEADER = 32 << 10
"""Bytes of request line and headers."""
_HEADER_S = 10.0
"""Seconds from connecting, or from the last answer, to the end of the next header."""
_KEEP_ALIVE_S = 60
_DRAIN_S = 20
"""Seconds that running answers have to finish once the daemon is told to stop."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection: only this user's, and only headers of a sane size that come in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it the same way
        """Accept the connection, or close it where another user made it."""
        super().connection_made(transport)
        self._header_bytes = 0
        self._slow: asyncio.TimerHandle | None = None
        if not _same_user(transport.get_extra_info("socket")):
            transport.abort()
            return
        self._slow = self.loop.call_later(_HEADER_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._unset_slow()
        super().connection_lost(exc)

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header came in time."""
        self._unset_slow()
        self._header_bytes = 0
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """A header begins; on a kept-alive connection its time starts here."""
        if self._slow is None:
            self._slow = self.loop.call_later(_HEADER_S, self._too_slow)
        super().on_message_begin()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADER:
            raise OverflowError("header over the limit")  # the parser gives up: see below

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be parsed, or was not parsed to its end."""
        if self._header_bytes > _MAX_HEADER:
            self._refuse(b"431 Request Header Fields Too Large")
        else:
            super().send_400_response(msg)

    def _too_slow(self) -> None:
        self._slow = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()

    def _unset_slow(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None


def _same_user(connection: Any) -> bool:
    if connection.family != socket.AF_UNIX:
        return False
    if sys.platform != "linux":  # there the 0700 folder alone decides
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return uid in (os.getuid(), 0)


class HttpServer(uvicorn.Server):
    """Serves an application until told to stop; then takes no more and lets answers finish.

    Args:
        app: The application.
        ready: Called once requests are taken.
    """

    def __init__(self, app: "ASGIApp", ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=LimitedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_DRAIN_S,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain; a second SIGINT ends at once.

        Uvicorn's own way raises the signal again at the end, which would end the process before
        the workers are stopped and the journal is written.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
