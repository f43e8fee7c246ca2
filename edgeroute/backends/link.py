"""The daemon's end of the socketpair with a worker: frames to messages, messages to frames.

Owns the transport. What a message means is known by the runner.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from edgeroute.domain.errors import InvalidRequest
from edgeroute.wire.frames import FromWorker, ToWorker, daemon_inbox
from edgeroute.wire.framing import encode


class Link(asyncio.Protocol):
    """One connection; made by the loop, as protocols are.

    Args:
        receive: Gets every message.
        broken: Called when the worker's bytes make no sense: nothing later can be trusted.
    """

    def __init__(self, receive: Callable[[FromWorker], None], broken: Callable[[], None]) -> None:
        self._inbox = daemon_inbox()
        self._receive = receive
        self._broken = broken
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by class

    def data_received(self, data: bytes) -> None:
        """Pass on every message that the bytes complete."""
        try:
            for message in self._inbox.feed(data):
                self._receive(message)
        except InvalidRequest:
            self.close()
            self._broken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing can be sent any more; that the process ends is told by the process."""
        self._transport = None

    def send(self, message: ToWorker) -> None:
        """Send a message; nobody hears it where the connection is gone."""
        if self._transport is not None:
            self._transport.write(encode(message))

    def close(self) -> None:
        """Hang up, which tells a worker to go."""
        if self._transport is not None:
            self._transport.close()
