"""The conversation of two machines that are not paired yet, over TLS that proves nothing by itself.

Owns the order of its messages (see `pairing` for what they prove) and its time.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, TypeVar, cast

from edgeroute.domain.errors import InvalidRequest, PairingFailed, error_of
from edgeroute.mesh.identity import Identity, device_of
from edgeroute.mesh.pairing import Exchange, Role, Window
from edgeroute.wire.framing import encode
from edgeroute.wire.link import Confirmation, Introduction, PairingMessage, pairing_inbox
from edgeroute.wire.rpc import CONNECTION, Failed

_EXCHANGE_S: Final = 15.0
_MOST_UNREAD: Final = 4
_NONCE: Final = 32
_MOST_WORDS: Final = 300

M = TypeVar("M", bound=PairingMessage)


class Stranger(asyncio.Protocol):
    """The connection; made by the loop, as protocols are.

    Args:
        begin: Called with it once it stands.
    """

    def __init__(self, begin: Callable[["Stranger"], None] = lambda _stranger: None) -> None:
        self._begin = begin
        self._inbox = pairing_inbox()
        self._arrived: asyncio.Queue[PairingMessage | None] = asyncio.Queue(_MOST_UNREAD + 1)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by class
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        """Keep what was said until it is asked for, as far as a pairing has so much."""
        try:
            for message in self._inbox.feed(data):
                if self._arrived.qsize() < _MOST_UNREAD:  # there are fewer in a pairing
                    self._arrived.put_nowait(message)
        except InvalidRequest:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will be said."""
        self._transport = None
        self._arrived.put_nowait(None)

    def certificate(self) -> bytes:
        """What the called side showed in TLS, and holds the key of: DER."""
        assert self._transport is not None  # noqa: S101 - asked at once
        shown = self._transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return bytes(shown)

    def say(self, message: PairingMessage) -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.write(encode(message))

    async def hear(self, kind: type[M]) -> M:
        """The next message.

        Raises:
            PairingFailed: There is none, it is another one, or the other side gives up.
        """
        message = await self._arrived.get()
        if isinstance(message, kind):
            return message
        if isinstance(message, Failed):
            words = "".join(filter(str.isprintable, message.message))[:_MOST_WORDS]
            hint = "".join(filter(str.isprintable, message.hint or ""))[:_MOST_WORDS]
            told = error_of(message.code, words)
            raise PairingFailed(told.message, hint=hint or None)
        raise PairingFailed(
            "the other machine broke off", hint="is a code shown there? run there: edgeroute pair"
        )

    def hang_up(self) -> None:
        """End the conversation; what was said still arrives."""
        if self._transport is not None:
            self._transport.close()


async def show(
    stranger: Stranger, window: Window, me: Identity, name: str, now: float
) -> Introduction:
    """The side whose user reads the code out; returns who is trusted now.

    Raises:
        PairingFailed: They are not.
    """
    try:
        async with asyncio.timeout(_EXCHANGE_S):
            theirs = await stranger.hear(Introduction)
            code = window.begin(now)
            exchange = Exchange(Role.SHOWS, code, me.certificate, name, _nonce())
            stranger.say(exchange.mine)
            exchange.meet(theirs)
            _refuse_nonsense(theirs)
            exchange.verify((await stranger.hear(Confirmation)).proof)
            stranger.say(Confirmation(exchange.proof()))
            return theirs
    except TimeoutError:
        raise PairingFailed(f"the other machine took over {_EXCHANGE_S:g} s") from None
    except PairingFailed as error:
        stranger.say(Failed.of(CONNECTION, error))
        raise
    finally:
        stranger.hang_up()


async def type_in(stranger: Stranger, code: str, me: Identity, name: str) -> Introduction:
    """The side whose user types the code; returns who is trusted now.

    Raises:
        PairingFailed: They are not.
    """
    try:
        async with asyncio.timeout(_EXCHANGE_S):
            exchange = Exchange(Role.TYPES, code, me.certificate, name, _nonce())
            shown = stranger.certificate()
            stranger.say(exchange.mine)
            theirs = await stranger.hear(Introduction)
            if theirs.certificate != shown:
                raise PairingFailed(
                    "the machine that answers is not the one that introduces itself",
                    hint="somebody is in between: do not trust this network",
                )
            _refuse_nonsense(theirs)
            exchange.meet(theirs)
            stranger.say(Confirmation(exchange.proof()))
            exchange.verify((await stranger.hear(Confirmation)).proof)
            return theirs
    except TimeoutError:
        raise PairingFailed(f"the other machine took over {_EXCHANGE_S:g} s") from None
    finally:
        stranger.hang_up()


def _refuse_nonsense(theirs: Introduction) -> None:
    try:
        device_of(theirs.certificate)
    except ValueError as error:
        raise PairingFailed(f"the other machine's certificate is none of ours: {error}") from error


def _nonce() -> bytes:
    return secrets.token_bytes(_NONCE)
