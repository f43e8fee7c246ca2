"""One connection with a paired machine: many questions and answers at once, both ways.

Owns the connection: who is at the other end, that `Hello` comes first, signs of life, and that what
is asked ends when the connection does. Nothing is heard from anybody who is not paired, and nothing
said before they are known to listen: a caller whose certificate is refused still sees its own
handshake succeed.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Protocol, cast

from edgeroute.domain.errors import (
    DestinationFailed,
    DestinationUnreachable,
    EdgeRouteError,
    InvalidRequest,
    Overloaded,
    error_of,
)
from edgeroute.domain.peer import Peer
from edgeroute.domain.request import Chunk
from edgeroute.mesh.liveness import EVERY_S, Liveness
from edgeroute.mesh.networks import caller_of
from edgeroute.mesh.streams import Incoming, Window, weight
from edgeroute.wire.findings import Findings, Heard
from edgeroute.wire.framing import encode
from edgeroute.wire.link import (
    VERSION,
    Ask,
    Credit,
    Hello,
    LinkMessage,
    Method,
    Offer,
    Ping,
    Pong,
    link_inbox,
)
from edgeroute.wire.rpc import Cancel, Ended, Failed, Piece

_log = logging.getLogger(__name__)

MAX_ASKED = 128
"""Unanswered questions of one peer."""
MAX_BODY = 4 << 20
"""Bytes of a question."""
_HELLO_S = 5.0
_MOST_TEXT = 500
"""Characters of a failure's words that are passed on."""
_MOST_CHOICES = 128
_OWN_FAULT = frozenset({"internal", "worker_died", "shutting_down", "label_exceeded"})
"""Failures of a peer that mean something else when they are one's own."""


class House(Protocol):
    """What a link needs of the machine at this end."""

    def holder(self, certificate: bytes) -> Peer | None:
        """Whose certificate it is."""
        ...

    def came(self, link: "Link") -> None:
        """A peer has said hello."""
        ...

    def left(self, link: "Link") -> None:
        """A link is gone."""
        ...

    def offered(self, link: "Link", offer: Offer) -> None:
        """A peer says what it would do."""
        ...

    def told(self, link: "Link", message: Heard | Findings) -> None:
        """A peer says what it found of models, or how far it has heard what was found here."""
        ...

    def answer(self, peer: Peer, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        """Answer a peer's question; closing the generator ends it.

        Raises:
            EdgeRouteError: It is told to the peer.
        """
        ...


class Link(asyncio.Protocol):
    """One connection; made by the loop, as protocols are.

    Args:
        house: Who is at this end.
        release: Version of EdgeRoute here.
        dialled: This machine made the call.
        clock: Monotonic seconds.

    Attributes:
        peer: Who is at the other end; set as soon as the connection is made.
        release: Version of EdgeRoute there; empty before its `Hello`.
        asked: Questions asked over it so far.
        answered: Questions of the peer so far.
        greeted: Done when its `Hello` has been heard.
        closed: Done when the connection is gone.
        why: That it is gone, or will be, in words.
    """

    peer: Peer

    def __init__(
        self, house: House, clock: Callable[[], float], release: str, *, dialled: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        self.dialled = dialled
        self.release = ""
        self.asked = 0
        self.answered = 0
        self.greeted: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._loop = loop
        self._house = house
        self._release = release
        self._clock = clock
        self._inbox = link_inbox()
        self._live = Liveness(clock())
        self._ids = itertools.count(1)
        self._incoming: dict[int, Incoming] = {}
        self._outgoing: dict[int, tuple[asyncio.Task[None], Window]] = {}
        self._last_asked = 0
        self._retired = False
        self._heard = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.why = "the connection broke off"
        self.address = ""
        self._transport: asyncio.Transport | None = None
        self._timer = loop.call_later(_HELLO_S, self.close, "it did not say hello")

    @property
    def rtt_s(self) -> float | None:
        """Seconds there and back; `None` before they were measured."""
        return self._live.rtt_s

    @property
    def jitter_s(self) -> float:
        """Seconds by which single round trips are off that."""
        return self._live.jitter_s

    @property
    def silent_s(self) -> float:
        """Seconds since anything came from the peer."""
        return self._live.silent_s(self._clock())

    # ---- the transport ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a paired machine; hang up on anybody else."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by class
        self.address = caller_of(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        peer = None if certificate is None else self._house.holder(certificate)
        if peer is None:
            self.close("it is not paired")
            return
        self.peer = peer
        self._send(Hello(VERSION, self._release))

    def connection_lost(self, exc: Exception | None) -> None:
        """End all that was going on."""
        self._timer.cancel()
        self._transport = None
        self._writable.set()
        for task, _ in self._outgoing.values():
            task.cancel()
        for incoming in self._incoming.values():
            incoming.end(self._unreachable())
        if self.release:
            self._house.left(self)
        if not self.closed.done():
            self.closed.set_result(self.why)

    def data_received(self, data: bytes) -> None:
        """Take every message that the bytes complete."""
        self._live.heard(self._clock())
        self._heard.set()
        try:
            for message in self._inbox.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(message)
        except InvalidRequest as error:
            _log.warning("a peer does not keep to the protocol: %s", error.code)
            self.close("it does not keep to the protocol")

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It reads again."""
        self._writable.set()

    def close(self, why: str) -> None:
        """Hang up at once."""
        self.why = why
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        elif not self.closed.done():
            self.closed.set_result(why)

    def retire(self) -> None:
        """Hang up once nothing is going on: the other end may not know yet of a better link."""
        self._retired = True

    # ---- what is asked ------------------------------------------------------------------------

    async def ask(self, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        """Ask the peer; closing the generator cancels it there.

        Raises:
            EdgeRouteError: The peer's own failure, or the link's.
        """
        number, incoming = next(self._ids), Incoming()
        if self._transport is None:
            raise self._unreachable()
        self._incoming[number] = incoming
        self.asked += 1
        self._live.asked()
        self._send(Ask(number, method, body))
        try:
            while (chunk := await incoming.next()) is not None:
                if grant := incoming.granted():
                    self._send(Credit(number, grant))
                yield chunk
        finally:
            del self._incoming[number]
            if not incoming.ended:
                self._send(Cancel(number))

    async def answers(self) -> bool:
        """Whether the other end says anything soon, where something of ours waits for it."""
        if not self._live.is_awaited:
            return True
        self._heard.clear()
        self._send(Ping(self._live.ping(self._clock())))
        try:
            async with asyncio.timeout(self._live.patience_s):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def offer(self, offer: Offer) -> None:
        """Tell the peer what would be done for it."""
        self._send(offer)

    def tell(self, message: Heard | Findings) -> None:
        """Tell the peer what was found of models, or how far it was heard."""
        self._send(message)

    # ---- messages -----------------------------------------------------------------------------

    def _take(self, message: LinkMessage) -> None:
        if not self.release:
            self._greeted(message)
            return
        match message:
            case Ping():
                self._send(Pong(message.number))
            case Pong():
                self._live.answered(message.number, self._clock())
            case Piece() | Ended() | Failed():
                self._take_answer(message)
            case Ask():
                self._begin(message)
            case Cancel() | Credit():
                self._take_wish(message)
            case Offer():
                self._house.offered(self, message)
            case Heard() | Findings():
                self._house.told(self, message)
            case Hello():
                raise InvalidRequest("hello is said once")

    def _greeted(self, message: LinkMessage) -> None:
        if not isinstance(message, Hello) or not message.release:
            raise InvalidRequest("the first message is not a hello")
        if message.version != VERSION:
            self.close(f"it speaks version {message.version} of the link, this machine {VERSION}")
            return
        self.release = message.release
        self._timer.cancel()  # it waited for this
        self.greeted.set_result(message.release)
        self._beat()
        self._house.came(self)

    def _beat(self) -> None:
        now = self._clock()
        if self._live.gone(now):
            self.close("it fell silent")
            return
        if self._retired and not self._incoming and not self._outgoing:
            self.close("another link is used")
            return
        self._send(Ping(self._live.ping(now)))
        self._timer = self._loop.call_later(EVERY_S, self._beat)

    def _take_answer(self, message: Piece | Ended | Failed) -> None:
        incoming = self._incoming.get(message.id)
        if incoming is None:
            return  # it was cancelled
        if isinstance(message, Failed):
            incoming.end(told_error(self.peer.name, message))
        elif isinstance(message, Ended):
            incoming.end()
        elif not 0 <= message.chunk.choice < _MOST_CHOICES or not incoming.put(message.chunk):
            raise InvalidRequest("more of an answer than was granted, or of none that was asked")

    def _take_wish(self, message: Cancel | Credit) -> None:
        task, window = self._outgoing.get(message.id, (None, None))
        if task is None or window is None:
            return  # its answer has just ended
        if isinstance(message, Cancel):
            task.cancel()
        else:
            window.grant(message.more)

    # ---- what is answered ---------------------------------------------------------------------

    def _begin(self, ask: Ask) -> None:
        if ask.id <= self._last_asked:
            raise InvalidRequest(f"the id {ask.id} was used before")
        self._last_asked = ask.id
        if len(self._outgoing) >= MAX_ASKED:
            self._fail(ask.id, Overloaded(f"{MAX_ASKED} questions are unanswered"))
            return
        if len(ask.body) > MAX_BODY:
            self._fail(ask.id, InvalidRequest(f"the question is over {MAX_BODY} bytes"))
            return
        self.answered += 1
        window = Window()
        task = self._loop.create_task(self._answer(ask, window))
        self._outgoing[ask.id] = (task, window)
        task.add_done_callback(partial(self._ended, ask.id))

    async def _answer(self, ask: Ask, window: Window) -> None:
        chunks = self._house.answer(self.peer, ask.method, ask.body)
        try:
            async for chunk in chunks:
                await window.take(weight(chunk))
                self._send(Piece(ask.id, chunk))
                await self._writable.wait()
            self._send(Ended(ask.id))
        except EdgeRouteError as error:
            self._fail(ask.id, error)
        finally:
            await chunks.aclose()

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._outgoing[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a question of a peer failed", exc_info=error)
            self._fail(number, EdgeRouteError("internal error"))

    def _fail(self, number: int, error: EdgeRouteError) -> None:
        self._send(Failed.of(number, error))

    def _send(self, message: LinkMessage) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def _unreachable(self) -> DestinationUnreachable:
        return DestinationUnreachable(f"{self.peer.name} cannot be reached: {self.why}")


def told_error(name: str, failed: Failed) -> EdgeRouteError:
    """A peer's failure as one of this machine's; its words are bounded and printable."""
    words = "".join(filter(str.isprintable, failed.message))[:_MOST_TEXT]
    message = f"{name}: {words}"
    error = (
        DestinationFailed(message) if failed.code in _OWN_FAULT else error_of(failed.code, message)
    )
    if failed.hint is not None:
        error.hint = "".join(filter(str.isprintable, failed.hint))[:_MOST_TEXT]
    if failed.retry_after_s is not None and 0 < failed.retry_after_s < 1e6:  # noqa: PLR2004
        error.retry_after_s = failed.retry_after_s
    return error
