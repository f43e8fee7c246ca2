"""`rpc.sock`: calls of apps in frames, side by side on one connection, each cancelled on its own.

Owns the connection: who may connect, how much may be asked at once, and that a client that reads
slowly slows down its own answers and nobody else's.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import cast

from edgeroute.api import methods
from edgeroute.api.account import account
from edgeroute.api.head import head_of
from edgeroute.api.house import House
from edgeroute.api.peer import same_user
from edgeroute.api.reply import MAX_BODY
from edgeroute.api.server import DRAIN_S
from edgeroute.domain.app import Caller
from edgeroute.domain.errors import (
    BodyTooLarge,
    EdgeRouteError,
    InvalidRequest,
    Overloaded,
)
from edgeroute.domain.request import Request
from edgeroute.domain.units import RequestId
from edgeroute.runtime.dispatch import Answer
from edgeroute.wire.framing import encode
from edgeroute.wire.openai import (
    EmbeddingCall,
    TextCall,
    decode_chat,
    decode_completion,
    decode_embeddings,
    encode_json,
)
from edgeroute.wire.rpc import (
    CONNECTION,
    Call,
    Cancel,
    Ended,
    Failed,
    FromDaemon,
    Identify,
    Method,
    Piece,
    Result,
    Started,
    ToDaemon,
    daemon_inbox,
)

_log = logging.getLogger("edgeroute")

MAX_CALLS = 256
"""Unanswered calls of one connection."""
MAX_CONNECTIONS = 256
_WAITING = 1024
"""Connections that wait to be let in; one more is told that nobody is there."""
STALL_S = 60.0
"""Seconds for which a client may read nothing before it counts as gone."""

_Asked = TextCall | EmbeddingCall
_STREAMED: Mapping[Method, Callable[[bytes, RequestId, Caller], _Asked]] = {
    "chat": decode_chat,
    "completion": decode_completion,
    "embedding": decode_embeddings,
}
"""Methods that are answered in pieces."""
_WHOLE: Mapping[Method, Callable[[House, bytes, Caller], Awaitable[object]]] = {
    "route": methods.route,
    "explain": methods.explain,
    "feedback": methods.feedback,
    "status": methods.status,
    "models": methods.models,
}
"""Methods that are answered at once."""


class RpcServer:
    """Serves `rpc.sock` until it is closed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._connections: set[RpcConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        make = lambda: RpcConnection(self._house, self._connections)  # noqa: E731 - a factory
        self._server = await loop.create_unix_server(make, sock=listening, backlog=_WAITING)

    async def close(self) -> None:
        """Take no more, and return when running calls have ended."""
        if self._server is not None:
            self._server.close()
        open_ = tuple(self._connections)
        await asyncio.gather(*(connection.close(DRAIN_S) for connection in open_))


class RpcConnection(asyncio.Protocol):
    """One app; made by the loop, as protocols are.

    Args:
        house: Who answers.
        others: All open connections; it adds itself, and removes itself in the end.
    """

    def __init__(self, house: House, others: "set[RpcConnection]") -> None:
        self._house = house
        self._others = others
        self._inbox = daemon_inbox()
        self._token: bytes | None = None
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._writable = asyncio.Event()
        self._writable.set()
        self._stalled: asyncio.TimerHandle | None = None

    # ---- the transport ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or close it where another user made it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by class
        if not same_user(transport.get_extra_info("socket")):
            self._transport.abort()
        elif len(self._others) >= MAX_CONNECTIONS:
            full = Overloaded(f"{MAX_CONNECTIONS} connections are open", hint="close some")
            self._hang_up(full)
        else:
            self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel every call: nobody is there to answer."""
        self._others.discard(self)
        self._unset_stalled()
        self._writable.set()
        for call in self._calls.values():
            call.cancel()

    def data_received(self, data: bytes) -> None:
        """Begin every call that the bytes complete."""
        try:
            for message in self._inbox.feed(data):
                self._take(message)
        except InvalidRequest as error:
            self._hang_up(error)

    def pause_writing(self) -> None:
        """The client reads slower than we write, or not at all."""
        self._writable.clear()
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(STALL_S, self._transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unset_stalled()
        self._writable.set()

    async def close(self, within_s: float) -> None:
        """Let running calls end, then end the connection, which cancels what is left."""
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=within_s)
        self._transport.close()

    def _unset_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _hang_up(self, error: EdgeRouteError) -> None:
        """Say why, and close: nothing later can be trusted."""
        self._transport.write(encode(Failed.of(CONNECTION, error)))
        self._transport.close()

    async def _send(self, *messages: FromDaemon) -> None:
        self._transport.write(b"".join(map(encode, messages)))
        await self._writable.wait()

    # ---- calls --------------------------------------------------------------------------------

    def _take(self, message: ToDaemon) -> None:
        if isinstance(message, Cancel):
            running = self._calls.get(message.id)
            if running is not None:
                running.cancel()
            return
        if isinstance(message, Identify):
            self._token = message.token.encode()
            return
        if message.id < 0 or message.id in self._calls:
            raise InvalidRequest(f"the call id {message.id} is negative or still in use")
        refusal = self._refusal(message)
        if refusal is not None:
            self._transport.write(encode(Failed.of(message.id, refusal)))
            return
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._calls[message.id] = task
        task.add_done_callback(partial(self._ended, message.id))

    def _caller(self) -> Caller:
        """Who asks; looked up for every call, since a token may be taken away.

        Raises:
            Unauthenticated: The app has named itself by a token that is nobody's.
        """
        callers = self._house.callers
        return Caller(callers.named(None) if self._token is None else callers.known(self._token))

    def _refusal(self, call: Call) -> EdgeRouteError | None:
        if len(self._calls) >= MAX_CALLS:
            return Overloaded(f"{MAX_CALLS} calls are unanswered", hint="wait for some")
        if len(call.body) > MAX_BODY:
            return BodyTooLarge(f"the body is over {MAX_BODY} bytes", hint="send a shorter one")
        return None

    async def _answer(self, call: Call) -> None:
        try:
            caller = self._caller()
            if decode := _STREAMED.get(call.method):
                await self._stream(call.id, decode(call.body, self._house.new_id(), caller))
            else:
                body = await _WHOLE[call.method](self._house, call.body, caller)
                await self._send(Result(call.id, encode_json(body)))
        except EdgeRouteError as error:
            await self._send(Failed.of(call.id, error))

    def _ended(self, call: int, task: asyncio.Task[None]) -> None:
        del self._calls[call]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("call %d failed", call, exc_info=error)
            internal = EdgeRouteError("internal error", hint="the daemon's log has the trace")
            self._transport.write(encode(Failed.of(call, internal)))

    async def _stream(self, call: int, asked: _Asked) -> None:
        request = asked.request
        if isinstance(request, Request):
            request = replace(request, stream=True)  # whatever its body says, pieces are shown
        async with self._house.dispatcher.answer(request) as answer:
            first = await anext(answer.chunks)
            started = Started(call, *head_of(answer), asked.request.ignored)
            await self._send(started, Piece(call, first))  # one wake-up of the app, not two
            async for chunk in answer.chunks:
                await self._send(Piece(call, chunk))
            await self._send(Ended(call, _told(asked, answer)))


def _told(asked: _Asked, answer: Answer) -> bytes:
    """The account of an answer, where it was asked for."""
    if not asked.explain:
        return b""
    return encode_json(account(answer.view, answer.decision, answer.target, answer.outcome()))
