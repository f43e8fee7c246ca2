"""The door itself: who may come in, how much and how slowly they may speak."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from edgeroute.api import reply, server
from edgeroute.api.peer import same_user
from edgeroute.api.reply import Produced, Reply
from edgeroute.api.server import HttpServer
from edgeroute.domain.errors import InvalidRequest, Overloaded

GET = b"GET / HTTP/1.1\r\nhost: e\r\n"


class App:
    """Answers like our own routes do; remembers what became of its answers."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.drained_in: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = {"/": self.hello, "/hang": self.hang, "/full": self.full, "/flood": self.flood}
        act = routes[scope["path"]]
        await Produced(act, {"x-edgeroute-id": "r1"})(scope, receive, send)

    async def hello(self, to: Reply) -> None:
        await to.whole(b"{}")

    async def hang(self, to: Reply) -> None:
        await to.start(200, "text/plain", {})
        await to.write(b"first")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def flood(self, to: Reply) -> None:
        await to.start(200, "text/plain", {})
        try:
            while True:
                await to.write(b"x" * 65536)
                await asyncio.sleep(0)  # uvicorn takes what is for nobody without a pause
        finally:
            self.cancelled.set()

    async def full(self, _to: Reply) -> None:
        raise Overloaded("the queue is full", retry_after_s=2.4)


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="er-") as folder:
        path = Path(folder) / "http.sock"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        ready = asyncio.Event()
        running = HttpServer(app, ready.set, app.drained_in.append)
        task = asyncio.create_task(running.serve([listening]))
        await ready.wait()
        yield path
        running.should_exit = True
        await task


async def exchange(path: Path, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(sent)
    got = await reader.read(65536)
    writer.close()
    await writer.wait_closed()
    return got


async def test_a_request_is_answered() -> None:
    async with serving(App()) as path:
        assert (await exchange(path, GET + b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_header_over_the_limit_is_refused() -> None:
    async with serving(App()) as path:
        many = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(40))
        assert (await exchange(path, GET + many + b"\r\n")).startswith(b"HTTP/1.1 431")
        url = b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nhost: e\r\n\r\n"
        assert (await exchange(path, url)).startswith(b"HTTP/1.1 431")
        assert (await exchange(path, GET + b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_header_that_does_not_come_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_HEADER_S", 0.05)
    async with serving(App()) as path:
        for half in (b"", GET, b"GET"):
            assert (await exchange(path, half)).startswith(b"HTTP/1.1 408")


async def test_what_is_not_http_is_refused() -> None:
    async with serving(App()) as path:
        assert (await exchange(path, b"\x00\x01\x02 nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_hanging_up_cancels_the_answer() -> None:
    app = App()
    async with serving(app) as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /hang HTTP/1.1\r\nhost: e\r\n\r\n")
        await reader.readuntil(b"first")
        writer.close()
        async with asyncio.timeout(5):
            await app.cancelled.wait()


async def test_a_client_that_stops_reading_counts_as_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_STALL_S", 0.1)
    app = App()
    async with serving(app) as path:
        idle = socket.socket(socket.AF_UNIX)
        idle.connect(str(path))
        idle.sendall(b"GET /flood HTTP/1.1\r\nhost: e\r\n\r\n")
        async with asyncio.timeout(5):
            await app.cancelled.wait()
        idle.close()


async def test_a_header_line_that_never_ends_is_refused() -> None:
    async with serving(App()) as path:
        got = await exchange(path, GET + b"x-padding: " + b"y" * 100_000)
    assert got.startswith(b"HTTP/1.1 431")


async def test_the_first_of_two_pipelined_answers_ends_with_its_client() -> None:
    app = App()
    async with serving(app) as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /hang HTTP/1.1\r\nhost: e\r\n\r\n" + GET + b"\r\n")
        await reader.readuntil(b"first")
        writer.close()
        async with asyncio.timeout(5):
            await app.cancelled.wait()


async def test_the_beginning_of_a_next_request_does_not_cut_the_answer_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_HEADER_S", 0.05)
    app = App()
    async with serving(app) as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /hang HTTP/1.1\r\nhost: e\r\n\r\nGE")
        await reader.readuntil(b"first")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readuntil(b"408")
        assert not app.cancelled.is_set()
        writer.close()


async def test_stopping_says_how_long_running_answers_have() -> None:
    app = App()
    async with serving(app) as path:
        await exchange(path, GET + b"connection: close\r\n\r\n")
    assert app.drained_in == [server.DRAIN_S - server._ENDING_S]


def test_a_header_holds_printable_ascii_and_not_much() -> None:
    assert reply.header_safe("a\nb\u00e9\x00c") == "a?b??c"
    assert len(reply.header_safe("x" * 100_000)) == 1000


async def test_an_error_before_the_status_has_its_own_and_says_when_to_come_again() -> None:
    async with serving(App()) as path:
        got = await exchange(path, b"GET /full HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 2" in head
    assert b"x-edgeroute-id: r1" in head
    assert json.loads(body)["error"]["code"] == "overloaded"


async def test_a_body_that_does_not_come_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reply, "_BODY_S", 0.05)

    async def never() -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    class Slow:
        stream = staticmethod(never)

    with pytest.raises(InvalidRequest, match="did not arrive"):
        await reply.read_body(Slow())  # type: ignore[arg-type] # all that is used of a request


async def test_another_user_is_shown_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "same_user", lambda _connection: False)
    async with serving(App()) as path:
        try:
            got = await exchange(path, GET + b"\r\n")
        except ConnectionError:
            got = b""
    assert got == b""


def test_this_user_is_known_by_the_kernels_word() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert same_user(here)
