"""The loop that embeds: equal shares, whole batches, frames of a bounded size."""

import socket
import struct
from array import array
from collections.abc import Iterator, Sequence

import pytest

from edgeroute.domain.errors import ContextExceeded, EdgeRouteError
from edgeroute.domain.request import Usage
from edgeroute.wire.frames import (
    Buffers,
    Cancel,
    Embed,
    Embedded,
    Forget,
    FromWorker,
    Save,
    Saved,
    Step,
    Threads,
    ToWorker,
    daemon_inbox,
)
from edgeroute.wire.framing import encode
from edgeroute.worker import embedding
from edgeroute.worker.channel import Channel
from edgeroute.worker.embedding import EmbeddingLoop


class LengthEmbedder:
    """The vector of a text is its length; remembers every batch."""

    def __init__(self) -> None:
        self.name = "length"
        self.context, self.rows, self.texts, self.dimensions = 50, 60, 4, 1
        self.buffers = Buffers()
        self.batches: list[list[int]] = []
        self.threads = (0, 0)
        self.fails = False

    def encode(self, text: str) -> "array[int]":
        if len(text) > self.context:
            raise ContextExceeded("too long")
        return array("i", map(ord, text))

    def embed(self, texts: Sequence["array[int]"]) -> list[bytes]:
        if self.fails:
            raise EdgeRouteError("out of order")
        self.batches.append([len(text) for text in texts])
        return [struct.pack("<f", len(text)) for text in texts]

    def set_threads(self, few: int, many: int) -> None:
        self.threads = (few, many)


class Bench:
    """A loop, its embedder, and the daemon's end."""

    def __init__(self) -> None:
        ours, self.daemon = socket.socketpair()
        self.embedder = LengthEmbedder()
        self.loop = EmbeddingLoop(Channel(ours), self.embedder)
        self.inbox = daemon_inbox()
        self._kept = ours

    def send(self, *messages: ToWorker) -> None:
        self.daemon.sendall(b"".join(map(encode, messages)))

    def turns(self, count: int) -> list[FromWorker]:
        for _ in range(count):
            self.loop.turn()
        self.daemon.setblocking(False)
        try:
            return list(self.inbox.feed(self.daemon.recv(1 << 20)))
        except BlockingIOError:
            return []
        finally:
            self.daemon.setblocking(True)

    def close(self) -> None:
        self.daemon.close()
        self._kept.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def vectors(messages: Sequence[FromWorker], number: int) -> list[float]:
    mine = [m for m in messages if isinstance(m, Embedded) and m.id == number]
    return [struct.unpack("<f", vector)[0] for message in mine for vector in message.vectors]


def test_every_vector_comes_once_in_order_and_the_last_with_the_usage(bench: Bench) -> None:
    texts = tuple("x" * (1 + n % 7) for n in range(11))
    bench.send(Embed(1, texts))
    said = bench.turns(3)
    assert vectors(said, 1) == [len(text) for text in texts]
    usages = [message.usage for message in said if isinstance(message, Embedded)]
    assert usages[:-1] == [None] * (len(usages) - 1)
    assert isinstance(usages[-1], Usage)
    assert usages[-1].prompt_tokens == sum(map(len, texts))
    assert [len(batch) for batch in bench.embedder.batches] == [4, 4, 3]


def test_a_batch_holds_no_more_tokens_than_it_has_rows(bench: Bench) -> None:
    bench.send(Embed(1, ("x" * 40, "x" * 20, "x" * 1, "x" * 50)))
    bench.turns(2)
    assert bench.embedder.batches == [[40, 20], [1, 50]]


def test_apps_take_turns_and_background_goes_last(bench: Bench) -> None:
    bench.send(
        Embed(1, ("x" * 10,) * 12, app="big"),
        Embed(2, ("y" * 10,) * 2, app="small"),
        Embed(3, ("z" * 9,), app="idle", priority="background"),
    )
    first = bench.turns(1)
    assert vectors(first, 1) == [10.0] * 4
    second = bench.turns(1)
    assert vectors(second, 2) == [10.0] * 2, "whoever had less goes first"
    assert vectors(second, 1) == [10.0] * 2, "and what is left of the batch is filled"
    rest = bench.turns(2)
    assert vectors(rest, 3) == [9.0]
    assert len(vectors(rest, 1)) == 6


def test_long_vectors_are_cut_into_frames(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "FRAME", 8)
    bench.send(Embed(1, ("a", "b", "c")))
    said = [message for message in bench.turns(1) if isinstance(message, Embedded)]
    assert [len(message.vectors) for message in said] == [2, 1]
    assert [message.usage is None for message in said] == [True, False]


def test_failures_are_told_once_and_the_others_go_on(bench: Bench) -> None:
    bench.send(Embed(1, ("x" * 51,)), Embed(2, ("x",), deadline_s=0.0), Embed(3, ("x",)))
    said = bench.turns(1)
    failed = {f.id: f.code for m in said if isinstance(m, Step) for f in m.failed}
    assert failed == {1: "context_exceeded", 2: "deadline_exceeded"}
    assert vectors(said, 3) == [1.0]
    bench.embedder.fails = True
    bench.send(Embed(4, ("x", "y")))
    (step,) = bench.turns(1)
    assert isinstance(step, Step)
    assert [(f.id, f.message) for f in step.failed] == [(4, "out of order")]


def test_a_request_that_was_cancelled_is_forgotten(bench: Bench) -> None:
    bench.send(Embed(1, ("x",) * 9))
    bench.turns(1)
    bench.send(Cancel(1), Cancel(77), Embed(2, ("y",)))
    said = bench.turns(1)
    assert vectors(said, 1) == []
    assert vectors(said, 2) == [1.0]


def test_it_keeps_nothing_and_takes_threads(bench: Bench) -> None:
    bench.send(Save(), Forget("key"), Threads(1, 2))
    assert bench.turns(1) == [Saved()]
    assert bench.embedder.threads == (1, 2)
    bench.send(Cancel(1))
    with pytest.raises(TypeError):
        bench.loop._take(Saved())
