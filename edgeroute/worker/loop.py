"""The worker's loop: messages in, one batch decoded, one `Step` frame out.

One thread, no asyncio. Owns the text and the timing of every sequence; what is decoded next is
the scheduler's, how is the engine's.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import msgspec

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import FinishReason, Usage
from edgeroute.wire.frames import Cancel, Failed, Finished, Generate, Step
from edgeroute.worker.channel import Channel
from edgeroute.worker.ports import Engine
from edgeroute.worker.scheduler import Run, Scheduler
from edgeroute.worker.text import AnswerText


@dataclass(slots=True)
class _Answer:
    """What the loop keeps of a sequence, from `Generate` to its end.

    Attributes:
        request: With its seed set.
        started: When its first batch began; times are `perf_counter` seconds, 0 is not yet.
        first: When its first token was drawn.
    """

    request: Generate
    text: AnswerText
    prompt_tokens: int
    drawn: int = 0
    started: float = 0.0
    first: float = 0.0

    def usage(self, now: float) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.drawn,
            prefill_s=self.first - self.started,
            decode_s=now - self.first,
        )


class Loop:
    """Serves one engine over one channel."""

    def __init__(self, channel: Channel, engine: Engine, scheduler: Scheduler) -> None:
        self._channel = channel
        self._engine = engine
        self._scheduler = scheduler
        self._answers: dict[int, _Answer] = {}
        self._prefilling: set[int] = set()
        self._step = Step(pieces=[], finished=[], failed=[])

    def run(self) -> NoReturn:
        """Serve until the daemon is gone, which ends the process."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, decode one batch, send what that brought.

        Sleeps until something arrives where there is nothing to do.
        """
        self._channel.receive(wait=self._scheduler.idle)
        while self._channel.messages:
            self._take(self._channel.messages.popleft())
        self._advance()
        self._send_step()

    # ---- messages -----------------------------------------------------------------------------

    def _take(self, message: object) -> None:
        match message:
            case Generate():
                self._start(message)
            case Cancel():
                self._drop(message.id)
            case _:
                raise TypeError(f"{type(message).__name__} after Load")

    def _start(self, request: Generate) -> None:
        sampling = request.sampling
        if sampling.seed is None:
            seed = int.from_bytes(os.urandom(4), "big")
            request = msgspec.structs.replace(request, sampling=replace(sampling, seed=seed))
        try:
            prompt = self._engine.encode(request.messages)
            self._scheduler.submit(request.id, prompt, sampling.max_tokens)
        except EdgeRouteError as error:
            self._step.failed.append(Failed(request.id, error.code, error.message))
            return
        self._answers[request.id] = _Answer(request, AnswerText(sampling.stop), len(prompt))

    def _drop(self, sequence_id: int) -> None:
        self._answers.pop(sequence_id, None)
        slot = self._scheduler.drop(sequence_id)
        if slot is not None:
            self._engine.close(slot)

    def _fail(self, sequence_id: int, error: EdgeRouteError) -> None:
        self._drop(sequence_id)
        self._step.failed.append(Failed(sequence_id, error.code, error.message))

    # ---- a step -------------------------------------------------------------------------------

    def _advance(self) -> None:
        for sequence_id, slot in self._scheduler.admit():
            try:
                self._engine.open(slot, self._answers[sequence_id].request)
            except EdgeRouteError as error:
                self._fail(sequence_id, error)
        batch = self._scheduler.plan()
        if not batch:
            return
        try:
            decoded = self._decode(batch)
        except EdgeRouteError as error:
            for run in batch:
                self._fail(run.id, error)
            return
        if decoded:
            self._scheduler.commit(batch)
            self._draw(batch)

    def _decode(self, batch: Sequence[Run]) -> bool:
        now = time.perf_counter()
        for run in batch:
            answer = self._answers[run.id]
            answer.started = answer.started or now
        self._prefilling = {run.id for run in batch if len(run.tokens) > 1}
        return self._engine.decode(batch, self._is_interrupted if self._prefilling else None)

    def _is_interrupted(self) -> bool:
        """Whether the daemon has meanwhile cancelled a sequence whose prompt is in this batch.

        The batch is then given up, and planned again without that sequence. One that only
        generates is not worth it: its row costs less than doing the others twice.
        """
        return self._channel.glance() and any(
            isinstance(message, Cancel) and message.id in self._prefilling
            for message in self._channel.messages
        )

    def _draw(self, batch: Sequence[Run]) -> None:
        for run in batch:
            if run.draws:
                self._draw_one(run)

    def _draw_one(self, run: Run) -> None:
        token = self._engine.draw(run)
        now = time.perf_counter()
        answer = self._answers[run.id]
        answer.first = answer.first or now
        answer.drawn += 1
        text = answer.text.feed(token.piece)
        last = token.last or answer.text.stopped
        finish = self._scheduler.accept(run.id, token.id, last=last)
        if finish is not None:
            text += answer.text.flush()
        if text:
            self._step.pieces.append((run.id, text))
        if finish is not None:
            self._finish(run, finish, answer.usage(now))

    def _finish(self, run: Run, finish: FinishReason, usage: Usage) -> None:
        self._engine.close(run.slot)
        del self._answers[run.id]
        self._step.finished.append(Finished(run.id, finish, usage))

    def _send_step(self) -> None:
        step = self._step
        if step.pieces or step.finished or step.failed:
            self._channel.send(step)
            self._step = Step(pieces=[], finished=[], failed=[])
