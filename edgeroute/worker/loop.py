"""The worker's loop: messages in, one batch decoded, one `Step` frame out.

One thread, no asyncio. Owns the answers; what is decoded next is the scheduler's, how is the
engine's, what outlives a slot is the sessions'.
"""

import os
import string
import time
from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import NoReturn

import msgspec

from edgeroute.domain.errors import DeadlineExceeded, EdgeRouteError, InvalidRequest, Unsupported
from edgeroute.domain.request import FinishReason, Usage
from edgeroute.wire.frames import (
    Cancel,
    Embed,
    Failed,
    Finished,
    Forget,
    Generate,
    Save,
    Saved,
    Step,
    Threads,
)
from edgeroute.worker.answer import Answer
from edgeroute.worker.channel import Channel
from edgeroute.worker.pace import Pace
from edgeroute.worker.ports import Engine, Token
from edgeroute.worker.prefix import Placement, common_prefix
from edgeroute.worker.scheduler import Scheduler
from edgeroute.worker.sequence import Run, Terms
from edgeroute.worker.sessions import Sessions
from edgeroute.worker.text import AnswerText
from edgeroute.worker.tool_calls import ToolCallParser

_ID_CHARACTERS = string.ascii_letters + string.digits
JOIN_S = 0.045
"""How long after the first start a batch of prompts is given up for one that comes: that much work
is lost at most, where of eight clients that ask at once seven wait for 180 ms behind the first
(SmolLM2). The daemon needs some 3 ms for each request."""
MOST_TO_JOIN = 384
"""Rows of prompts from which a batch is full enough as it is."""


class Loop:
    """Serves one engine over one channel."""

    def __init__(
        self, channel: Channel, engine: Engine, scheduler: Scheduler, sessions: Sessions
    ) -> None:
        self._channel = channel
        self._engine = engine
        self._scheduler = scheduler
        self._sessions = sessions
        self._pace = Pace()
        self._answers: dict[int, Answer] = {}
        self._prefilling: set[int] = set()
        self._may_join_until = 0.0
        self._joinable = False
        self._decoded = True
        self._working_since = 0.0
        self._step = _empty_step()

    def run(self) -> NoReturn:
        """Serve until the daemon is gone, which ends the process."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, decode one batch, send what that brought.

        Sleeps until something arrives where there is nothing to do.
        """
        # What arrived in the middle of a decode is there already, and nothing else may come.
        waits = self._scheduler.idle and not self._channel.messages
        self._channel.receive(wait=waits)
        if waits:
            self._working_since = time.perf_counter()
        self._sessions.receive()
        while self._channel.messages:
            self._take(self._channel.messages.popleft())
        self._advance()
        self._send_step()

    # ---- messages -----------------------------------------------------------------------------

    def _take(self, message: object) -> None:
        match message:
            case Generate():
                self._start(message)
            case Embed():
                refused = Unsupported("this model answers and embeds nothing")
                self._step.failed.append(Failed(message.id, refused.code, refused.message))
            case Cancel():
                self._drop(message.id)
            case Threads():
                self._engine.set_threads(message.few, message.many)
            case Forget():
                self._sessions.forget(message.key)
            case Save():
                self._sessions.save_all(self._scheduler.kept())
                self._channel.send(Saved())
            case _:
                raise TypeError(f"{type(message).__name__} after Load")

    def _start(self, request: Generate) -> None:
        sampling = request.sampling
        seed = sampling.seed
        if seed is None:
            seed = int.from_bytes(os.urandom(4), "big")
        now = time.perf_counter()
        one = request
        try:
            prompt = self._engine.encode(request.messages, request.tools, request.prompt)
            terms = self._terms(request, prompt, now)
            for choice in range(request.choices):  # those after the first copy its prompt's cells
                drawn = replace(sampling, seed=seed + choice)
                one = msgspec.structs.replace(request, id=request.id + choice, sampling=drawn)
                self._engine.open(one)
                self._scheduler.submit(one.id, prompt[:], terms, now)
                text = AnswerText(sampling.stop)
                self._answers[one.id] = Answer(one, text, self._parser(one), len(prompt))
        except EdgeRouteError as error:
            self._engine.close(one.id)
            for choice in range(request.choices):
                self._drop(request.id + choice)
            self._step.failed.append(Failed(request.id, error.code, error.message))

    def _parser(self, request: Generate) -> ToolCallParser | None:
        markup, offered = self._engine.tool_markup, request.tools.offered
        if markup is None or not offered:
            return None
        return ToolCallParser(markup, {tool.name for tool in offered}, _call_id)

    def _terms(self, request: Generate, prompt: "array[int]", now: float) -> Terms:
        shifts = request.overflow == "shift"
        return Terms(
            max_tokens=request.sampling.max_tokens,
            app=request.app,
            tenant=request.tenant,
            priority=request.priority,
            deadline=inf if request.deadline_s is None else now + request.deadline_s,
            expected_tokens=request.expected_tokens,
            overflow=request.overflow,
            lead=self._lead(request, prompt) if shifts else 0,
            keep=request.keep,
        )

    def _lead(self, request: Generate, prompt: "array[int]") -> int:
        """Count the tokens of the first turn."""
        if request.prompt is not None:
            return 1
        try:
            return common_prefix(self._engine.encode(request.messages[:1], request.tools), prompt)
        except InvalidRequest:  # a template that wants more than a system message
            return 1

    def _drop(self, sequence_id: int) -> None:
        if self._answers.pop(sequence_id, None) is not None:
            self._scheduler.drop(sequence_id)
            self._engine.close(sequence_id)

    def _fail(self, sequence_id: int, error: EdgeRouteError) -> None:
        self._drop(sequence_id)
        self._step.failed.append(Failed(sequence_id, error.code, error.message))

    # ---- a step -------------------------------------------------------------------------------

    def _advance(self) -> None:
        now = time.perf_counter()
        for sequence_id in self._scheduler.expire(now):
            self._fail(sequence_id, DeadlineExceeded("the deadline passed before the answer ended"))
        for shift in self._scheduler.shift():
            self._engine.cells.shift(shift.slot, shift.start, shift.end)
        self._admit(now)
        batch = self._scheduler.plan(self._pace.prompt_rows)
        if not batch:
            return
        try:
            decoded = self._decode(batch)
        except EdgeRouteError as error:
            for run in batch:
                self._scheduler.start_over(run.id)  # what is in its slot is of no more use
                self._fail(run.id, error)
            return
        if decoded:
            self._scheduler.commit(batch)
            self._draw([run for run in batch if run.draws])
            self._note_work(batch)

    def _admit(self, now: float) -> None:
        admitted = self._scheduler.admit(now, self._pace.best)
        for sequence_id in admitted.hopeless:
            self._fail(sequence_id, DeadlineExceeded("the prompt alone would outlast the deadline"))
        for placement in admitted.placements:
            reused = self._prepare(placement)
            self._answers[placement.id].start(now, reused)

    def _prepare(self, placement: Placement) -> int:
        """Bring into a slot what a sequence begins with; returns how many tokens that is."""
        slot, cells = placement.slot, self._engine.cells
        if placement.lost is not None:
            self._sessions.save(placement.lost)
        if placement.key:
            if not self._sessions.restore(placement.key, slot):
                self._scheduler.start_over(placement.id)
                return 0
        elif placement.source not in {slot, -1}:
            cells.copy(placement.source, slot, placement.reused)
            return placement.reused
        cells.trim(slot, placement.reused)
        return placement.reused

    def _decode(self, batch: list[Run]) -> bool:
        prompts = [run for run in batch if len(run.tokens) > 1 + run.drafted]
        tokens = sum(len(run.tokens) for run in prompts)
        self._prefilling = {run.id for run in prompts}
        started = time.perf_counter()
        if self._decoded:  # otherwise it was given up, and starts again with those that came
            self._may_join_until = started + JOIN_S
        self._joinable = tokens <= MOST_TO_JOIN and self._scheduler.has_free_slot
        self._decoded = self._engine.decode(batch, self._is_interrupted if prompts else None)
        if self._decoded:
            self._note_seconds(batch, tokens, time.perf_counter() - started)
        return self._decoded

    def _note_seconds(self, batch: list[Run], prompt_tokens: int, seconds: float) -> None:
        self._pace.note(prompt_tokens, seconds)
        if len(batch) == 1 and not prompt_tokens:
            self._scheduler.drafting_pays.note(batch[0].drafted, seconds)

    def _note_work(self, batch: list[Run]) -> None:
        """Say for whom the time since the batch before was, what lies between two of them too."""
        now = time.perf_counter()
        each = (now - self._working_since) / sum(len(run.tokens) for run in batch)
        self._working_since = now
        self._step.worked.extend((run.id, each * len(run.tokens)) for run in batch)

    def _is_interrupted(self) -> bool:
        """Whether this batch is better given up, and planned again.

        1. A prompt in it was cancelled. A sequence that only generates is not worth it: its row
           costs less than doing the others twice.
        2. Another prompt has come, and hardly anything is done yet: together they are read in
           less time than one after the other.
        """
        return self._channel.glance() and any(
            (isinstance(message, Cancel) and message.id in self._prefilling)
            or (isinstance(message, Generate) and self._may_be_joined())
            for message in self._channel.messages
        )

    def _may_be_joined(self) -> bool:
        return self._joinable and time.perf_counter() < self._may_join_until

    def _draw(self, runs: Sequence[Run]) -> None:
        if len(runs) == 1 and runs[0].drafted:
            self._draw_drafted(runs[0])
        elif runs:
            tokens = self._engine.draw(runs)
            now = time.perf_counter()
            for run, token in zip(runs, tokens, strict=True):
                self._accept(run.id, token, now)

    def _draw_drafted(self, run: Run) -> None:
        """Draw on as long as what is drawn is what was drafted; the rest of the draft is cut off.

        Every token is drawn from the logits that it would have been drawn from without a draft, by
        the same sampler in the same state: a draft changes when tokens come and not which.
        """
        right = 0
        for guess in (*run.draft, None):
            (token,) = self._engine.draw([run], skip=right)
            decoded = token.id == guess
            self._accept(run.id, token, time.perf_counter(), decoded=decoded)
            right += decoded
            if not decoded or run.id not in self._answers:
                break
        kept = run.start + len(run.tokens) - run.drafted + right
        self._engine.cells.trim(run.slot, kept)

    def _accept(self, sequence_id: int, token: Token, now: float, *, decoded: bool = False) -> None:
        if token.failure is not None:
            self._fail(sequence_id, token.failure)
            return
        answer = self._answers[sequence_id]
        text = answer.feed(token, now)
        last = token.last or answer.text.stopped
        finish = self._scheduler.accept(sequence_id, token.id, last=last, decoded=decoded)
        if finish is not None:
            text += answer.text.flush()
        parsed = answer.parse(text, over=finish is not None)
        if token.logprob is not None:
            self._step.logprobs.append((sequence_id, token.logprob))
        self._step.calls.extend((sequence_id, piece) for piece in parsed.calls)
        if parsed.text:
            self._step.pieces.append((sequence_id, parsed.text))
        if finish is not None:
            self._end(sequence_id, answer.finish(finish), answer.usage(now))

    def _end(self, sequence_id: int, finish: FinishReason, usage: Usage) -> None:
        self._engine.close(sequence_id)
        del self._answers[sequence_id]
        self._step.finished.append(Finished(sequence_id, finish, usage))

    def _send_step(self) -> None:
        step = self._step
        if step.pieces or step.finished or step.failed or step.logprobs or step.calls:
            self._channel.send(step)
            self._step = _empty_step()


def _empty_step() -> Step:
    return Step(pieces=[], finished=[], failed=[], logprobs=[], calls=[], worked=[])


def _call_id() -> str:
    """Nine letters and digits: Mistral's templates refuse any other length."""
    return "".join(_ID_CHARACTERS[byte % len(_ID_CHARACTERS)] for byte in os.urandom(9))
