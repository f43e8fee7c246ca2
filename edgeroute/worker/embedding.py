"""The loop of a worker that embeds: messages in, one batch of texts, vectors out.

One thread, no asyncio. Owns the queue: apps get equal shares, what nobody waits for goes last, and
texts of several requests fill a batch together.
"""

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import NoReturn, Protocol

from edgeroute.domain.errors import DeadlineExceeded, EdgeRouteError, Unsupported
from edgeroute.domain.request import Usage
from edgeroute.wire.frames import (
    Buffers,
    Cancel,
    Embed,
    Embedded,
    Failed,
    Forget,
    Generate,
    Save,
    Saved,
    Step,
    Threads,
)
from edgeroute.worker.channel import Channel
from edgeroute.worker.fairness import FairShare

FRAME = 1 << 19
"""Bytes of vectors in one frame, at most."""


class Embedder(Protocol):
    """A loaded model that makes one vector of a text.

    Attributes:
        name: Engine and version; what a measured footprint is valid for.
        context: Tokens of a text, at most.
        rows: Tokens of a batch, at most.
        texts: Texts of a batch, at most.
        dimensions: Numbers of a vector.
        buffers: What it has allocated.
    """

    name: str
    context: int
    rows: int
    texts: int
    dimensions: int
    buffers: Buffers

    def encode(self, text: str) -> "array[int]":
        """Turn a text into tokens.

        Raises:
            ContextExceeded: It is longer than the model reads.
            InvalidRequest: The tokenizer cannot read it.
        """
        ...

    def embed(self, texts: Sequence["array[int]"]) -> list[bytes]:
        """Make a vector of length 1 of each text: float32, little endian.

        Raises:
            EdgeRouteError: In the engine's words.
        """
        ...

    def set_threads(self, few: int, many: int) -> None:
        """Compute with so many threads from now on."""
        ...


@dataclass(slots=True)
class _Job:
    """One request.

    Attributes:
        texts: Tokens of each.
        done: How many of them have their vectors.
        deadline: On `perf_counter`.
        started: When its first batch began; 0 is not yet.
    """

    request: Embed
    texts: list["array[int]"]
    deadline: float
    done: int = 0
    started: float = 0.0


class EmbeddingLoop:
    """Serves one embedder over one channel."""

    def __init__(self, channel: Channel, embedder: Embedder) -> None:
        self._channel = channel
        self._embedder = embedder
        self._jobs: dict[int, _Job] = {}
        self._shares = FairShare()

    def run(self) -> NoReturn:
        """Serve until the daemon is gone, which ends the process."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, embed one batch, send its vectors."""
        self._channel.receive(wait=not self._jobs and not self._channel.messages)
        while self._channel.messages:
            self._take(self._channel.messages.popleft())
        now = time.perf_counter()
        late = [job for job in self._jobs.values() if job.deadline <= now]
        self._fail(late, DeadlineExceeded("the deadline passed before all texts were embedded"))
        batch = self._batch()
        if batch:
            self._embed(batch, now)

    # ---- messages -----------------------------------------------------------------------------

    def _take(self, message: object) -> None:
        match message:
            case Embed():
                self._start(message)
            case Generate():
                refused = Unsupported("this model embeds texts and answers nothing")
                self._tell_failed(message.id, refused)
            case Cancel():
                self._end(message.id)
            case Threads():
                self._embedder.set_threads(message.few, message.many)
            case Save():
                self._channel.send(Saved())  # there is nothing to keep
            case Forget():
                pass
            case _:
                raise TypeError(f"{type(message).__name__} after Load")

    def _start(self, request: Embed) -> None:
        own = self._embedder.dimensions
        try:
            if request.dimensions not in {None, own}:
                raise Unsupported(f"this model's vectors have {own} dimensions, no other number")
            texts = [self._embedder.encode(text) for text in request.inputs]
        except EdgeRouteError as error:
            self._tell_failed(request.id, error)
            return
        wait_s = inf if request.deadline_s is None else request.deadline_s
        self._jobs[request.id] = _Job(request, texts, time.perf_counter() + wait_s)
        self._shares.enter(request.app)

    def _end(self, number: int) -> None:
        job = self._jobs.pop(number, None)
        if job is not None:
            self._shares.leave(job.request.app)

    def _fail(self, jobs: Sequence[_Job], error: EdgeRouteError) -> None:
        for job in jobs:
            self._end(job.request.id)
            self._tell_failed(job.request.id, error)

    def _tell_failed(self, number: int, error: EdgeRouteError) -> None:
        self._channel.send(Step([], failed=[Failed(number, error.code, error.message)]))

    # ---- a batch ------------------------------------------------------------------------------

    def _batch(self) -> list[tuple[_Job, list["array[int]"]]]:
        """Choose the next batch: jobs, and which texts of each are in it."""
        rows, places = self._embedder.rows, self._embedder.texts
        batch: list[tuple[_Job, list[array[int]]]] = []
        waiting = sorted(
            self._jobs.values(),
            key=lambda job: (
                job.request.priority == "background",
                self._shares.used(job.request.app),
            ),
        )
        for job in waiting:
            texts = job.texts[job.done : job.done + places]
            sizes = accumulate(map(len, texts))
            fitting = sum(size <= rows for size in sizes)
            if fitting:
                batch.append((job, texts[:fitting]))
            if fitting < len(job.texts) - job.done:
                break
            rows -= sum(map(len, texts))
            places -= fitting
        return batch

    def _embed(self, batch: Sequence[tuple[_Job, list["array[int]"]]], now: float) -> None:
        for job, _ in batch:
            job.started = job.started or now
        together = [text for _, texts in batch for text in texts]
        try:
            vectors = iter(self._embedder.embed(together))
        except EdgeRouteError as error:
            self._fail([job for job, _ in batch], error)
            return
        each_s = (time.perf_counter() - now) / max(1, sum(map(len, together)))
        for job, texts in batch:
            job.done += len(texts)
            rows = sum(map(len, texts))
            self._shares.charge(job.request.app, rows)
            self._send(job, [next(vectors) for _ in texts], rows * each_s)

    def _send(self, job: _Job, vectors: list[bytes], worked_s: float) -> None:
        number = job.request.id
        per_frame = max(1, FRAME // len(vectors[0]))
        for start in range(0, len(vectors), per_frame):
            piece = tuple(vectors[start : start + per_frame])
            over = job.done == len(job.texts) and start + per_frame >= len(vectors)
            usage = _usage(job) if over else None
            self._channel.send(Embedded(number, piece, usage, 0.0 if start else worked_s))
            if over:
                self._end(number)


def _usage(job: _Job) -> Usage:
    seconds = time.perf_counter() - job.started
    return Usage(sum(map(len, job.texts)), 0, prefill_s=seconds)
