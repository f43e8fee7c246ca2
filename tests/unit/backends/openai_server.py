"""A server whose every byte a test decides, on a socket of this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """Answers each request with the next of its replies, the last one again and again."""

    replies: list[Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    _open: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode().strip().split("\r\n")
                headers = {k.lower(): v for k, _, v in (row.partition(": ") for row in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Asked(line, headers, body))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                await reply(writer)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()

    async def end(self) -> None:
        for writer in self._open.values():
            writer.close()
        await asyncio.wait(self._open)


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[Server]:
    server = Server(list(replies))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening:
        yield server
        if server.asked:
            await server.end()


def whole(body: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Reply:
    """A reply with a length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def reply(writer: asyncio.StreamWriter) -> None:
        named = {"content-type": kind, "content-length": str(len(data)), **headers}
        rows = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
        writer.write("\r\n".join([f"HTTP/1.1 {status} X", *rows, "", ""]).encode() + data)
        await writer.drain()

    return reply


def streamed(*pieces: bytes | None, then: str = "end") -> Reply:
    """Pieces of a stream, one write each; `None` waits for the caller to hang up.

    Args:
        pieces: Of the body, cut anywhere.
        then: `end` ends the body, `break` the connection, `hold` neither.
    """

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            if piece is None:
                break
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if then == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        elif then == "break":
            writer.close()

    return reply


def silence() -> Reply:
    """No answer at all."""

    async def reply(_writer: asyncio.StreamWriter) -> None:
        return

    return reply


def says(text: str, finish: str | None = None) -> bytes:
    """An event with text, or the one that ends an answer."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def counts(prompt: int, completion: int) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
