"""A TLS proxy before a real server that goes wrong in the ways that servers and networks do.

Faults come in episodes: of a kind so many, then none until the server has answered some again.
What the server charges is counted to the end of every answer, whoever has stopped listening.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import trustme

KINDS = (
    "refuse", "reset", "stall before", "429", "5xx", "stall in the stream", "malformed event",
    "half an event", "slow bytes", "expired certificate",
)  # fmt: skip
IN_THE_STREAM = ("stall in the stream", "malformed event", "half an event", "slow bytes")
"""What comes after the first token."""
LASTING = {"refuse", "expired certificate"}
"""Of connections, and so for a time and not for so many requests."""
LASTS_S = 1.2
RECOVERS_S = 8.0
"""At most, until the next episode begins although it was not asked again."""
SLOW_BYTES_PER_S = 2000


@dataclass(frozen=True, slots=True)
class Episodes:
    """When what goes wrong.

    Attributes:
        kinds: In turn, again and again; none is a proxy without faults.
        hits: Faults per episode.
        calm: Answers between two episodes.
    """

    kinds: tuple[str, ...] = ()
    hits: int = 0
    calm: int = 0


class Authority:
    """Certificates for this machine: one that is good, and one that has expired."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.file))
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30)
        self.good = self._context(authority.issue_cert("127.0.0.1"))
        self.expired = self._context(authority.issue_cert("127.0.0.1", not_after=past))

    @staticmethod
    def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@dataclass
class Charged:
    """What the server counted.

    Attributes:
        usd: Of all answers.
        some: Set once there are any.
    """

    usd: float = 0.0
    some: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """The proxy.

    Args:
        upstream: Where the server is: a URL, or the path of a Unix socket.
        headers: Added to what is asked of it.
        authority: Whose certificates it shows.
        episodes: When what goes wrong.
        price: Dollars per prompt token and per answered token.

    Attributes:
        port: On loopback.
        faults: How often each came.
        passed: Answers that were let through.
        charged: What the server counted.
    """

    def __init__(
        self,
        upstream: str | Path,
        headers: dict[str, str],
        authority: Authority,
        episodes: Episodes,
        price: tuple[float, float],
    ) -> None:
        transport = (
            httpx2.AsyncHTTPTransport(uds=str(upstream)) if isinstance(upstream, Path) else None
        )
        self._client = httpx2.AsyncClient(
            base_url="http://upstream" if isinstance(upstream, Path) else upstream,
            headers=headers,
            transport=transport,
            timeout=None,
            trust_env=False,
        )
        self._authority = authority
        self._episodes = episodes
        self._price = price
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._draining: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Event()
        self._at = 0
        self._left = 0
        self._quiet_left = episodes.calm
        self.port = 0
        self.faults: Counter[str] = Counter()
        self.passed = 0
        self.charged = Charged()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """Listen until the end."""
        await self._listen(self._authority.good)
        failing = asyncio.create_task(self._fail()) if self._episodes.kinds else None
        try:
            yield self
        finally:
            if failing is not None:
                failing.cancel()
            await self._close()
            await asyncio.gather(*self._draining, return_exceptions=True)
            await self._client.aclose()

    async def settled(self) -> None:
        """Wait until every answer that was begun has been counted."""
        await asyncio.gather(*self._draining, return_exceptions=True)

    # ---- episodes -----------------------------------------------------------------------------

    @property
    def _kind(self) -> str:
        return self._episodes.kinds[self._at % len(self._episodes.kinds)]

    async def _fail(self) -> None:
        while True:
            await self._turned()
            kind = self._kind
            if kind in LASTING:
                self.faults[kind] += 1
                await self._close()
                if kind == "expired certificate":
                    await self._listen(self._authority.expired)
                await asyncio.sleep(LASTS_S)
                await self._close()
                await self._listen(self._authority.good)
            else:
                self._left = self._episodes.hits
                await self._turned()
                self._left = 0
            self._quiet_left = self._episodes.calm
            self._at += 1

    async def _turned(self) -> None:
        """Wait until all that an episode is to bring has come, for some time at most."""
        self._turn.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECOVERS_S):
                await self._turn.wait()

    def _fault(self) -> str | None:
        """What befalls the next request."""
        if self._left <= 0:
            return None
        self._left -= 1
        if not self._left:
            self._turn.set()
        kind = self._kind
        self.faults[kind] += 1
        return kind

    # ---- connections --------------------------------------------------------------------------

    async def _listen(self, context: ssl.SSLContext) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.split(b" ", 2)
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if method == b"GET":
                    await self._relay_listing(path.decode(), writer)
                elif not await self._answer(path.decode(), body, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _relay_listing(self, path: str, writer: asyncio.StreamWriter) -> None:
        response = await self._client.get(path)
        await _whole(writer, response.status_code, response.content)

    async def _answer(
        self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer a question, or what befalls it; whether the connection may be used again."""
        fault = self._fault()
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        if fault == "429":
            await _whole(writer, 429, b'{"error": {"message": "slow down"}}', "retry-after: 1\r\n")
            return True
        if fault == "5xx":
            await _whole(writer, 503, b"<html>bad gateway</html>")
            return True
        if fault == "stall before":
            return bool(await reader.read(1))  # nothing comes but the end of the connection
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        draining = asyncio.create_task(self._drain(path, body, events))
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)
        if await self._stream(events, fault, writer):
            return True
        await reader.read(1)
        return False

    async def _drain(self, path: str, body: bytes, events: asyncio.Queue[bytes | None]) -> None:
        """Read an answer to its end, for what it costs, whether or not anybody listens."""
        headers = {"content-type": "application/json"}
        try:
            async with self._client.stream("POST", path, content=body, headers=headers) as response:
                buffered = b""
                async for piece in response.aiter_bytes():
                    buffered += piece
                    *whole, buffered = buffered.split(b"\n\n")
                    for event in whole:
                        self._count(event)
                        events.put_nowait(event + b"\n\n")
                if response.status_code != httpx2.codes.OK:
                    raise SystemExit(f"the server failed: {response.status_code} {buffered!r}")
        finally:
            events.put_nowait(None)

    def _count(self, event: bytes) -> None:
        data = event.removeprefix(b"data: ")
        if b'"usage"' not in data:
            return
        usage = json.loads(data).get("usage") or {}
        paid_in, paid_out = self._price
        self.charged.usd += usage.get("prompt_tokens", 0) * paid_in
        self.charged.usd += usage.get("completion_tokens", 0) * paid_out
        if usage:
            self.charged.some.set()

    async def _stream(
        self, events: asyncio.Queue[bytes | None], fault: str | None, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        said = False
        while (event := await events.get()) is not None:
            if fault == "slow bytes":
                await asyncio.sleep(len(event) / SLOW_BYTES_PER_S)
            await _chunk(writer, event)
            if said or not _says(event):
                continue
            said = True
            if fault == "stall in the stream":
                return False
            if fault == "malformed event":
                await _chunk(writer, b"data: <<what is this>>\n\n")
            if fault == "half an event":
                await _chunk(writer, b'data: {"choices": [{"index": 0, "del')
                writer.close()
                return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        self.passed += 1
        self._quiet_left -= 1
        if not self._quiet_left:
            self._turn.set()
        return True


def _says(event: bytes) -> bool:
    """Whether an event brings text."""
    try:
        choices = json.loads(event.strip().removeprefix(b"data: ")).get("choices") or [{}]
    except ValueError:
        return False
    return bool((choices[0].get("delta") or {}).get("content"))


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


async def _whole(writer: asyncio.StreamWriter, status: int, body: bytes, headers: str = "") -> None:
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{headers}\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
