"""One model in one worker process, as a `ports.Runner`.

Owns the process, what it has said, and how it ends. Knows frames, not why a model was chosen or
evicted. Every await here may be cancelled.
"""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable

from edgeroute.backends.link import Link
from edgeroute.backends.states import StateSocket
from edgeroute.backends.stream import Stream
from edgeroute.domain.errors import EdgeRouteError, LoadFailed, OutOfMemory, WorkerDied, error_of
from edgeroute.domain.load import Footprint, LoadPlan, Pools, ThreadCounts
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import Chunk, EmbeddingRequest, Request
from edgeroute.domain.units import Bytes
from edgeroute.ports import SavedConversation
from edgeroute.wire.frames import (
    Cancel,
    Embed,
    Embedded,
    Forget,
    FromWorker,
    Generate,
    Load,
    LoadRefused,
    Progress,
    Ready,
    Save,
    Saved,
    Step,
    Threads,
)

_STDERR_KEPT = 2000
"""Last bytes of a worker's stderr that are kept to say how it ended."""


class Worker:
    """One loaded model in one process (see `ports.Runner`)."""

    def __init__(
        self,
        plan: LoadPlan,
        process: Process,
        states: StateSocket | None,
        progress: Callable[[float], None],
        anonymous: Callable[[int], Bytes | None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.plan = plan
        self.pid = process.pid
        self.footprint = Footprint()
        self.pools = Pools()
        self.load_s = 0.0
        self.engine = ""
        self.exited: asyncio.Future[str] = loop.create_future()
        self.threads = ThreadCounts(plan.threads, plan.threads)
        self.steps = 0
        self.link = Link(self._receive, self._kill)
        self._process = process
        self._killed = False
        self._states = states
        self._progress = progress
        self._anonymous = anonymous
        self._untouched = 0  # when its footprint was measured
        self._ready: asyncio.Future[Ready] = loop.create_future()
        self._saved: asyncio.Future[None] = loop.create_future()
        self._next_id = 1
        self._streams: dict[int, tuple[Stream, int]] = {}  # with the number of the choice
        self._watch = loop.create_task(self._watch_process(), name=f"watch {plan.model}")

    async def load(self) -> Ready:
        """Send the plan and wait for the model.

        Raises:
            LoadFailed: With the worker's words, or how its process ended.
        """
        self.link.send(Load(self.plan))
        return await self._ready

    def adopt(self, ready: Ready, measured: Footprint) -> None:
        """Take what the worker said of itself and what was measured of its process."""
        self.load_s = ready.load_s
        self.engine = ready.engine
        held = ready.buffers
        self._untouched = held.untouched
        anon = Bytes(measured.anon + held.untouched)  # what it does not hold yet, it may
        self.footprint = Footprint(measured.file, anon, tuple(map(Bytes, held.gpu)))
        buffers = held.repacked + held.kv + held.compute
        self.pools = Pools(
            file=measured.file,
            repacked=Bytes(held.repacked),
            kv=Bytes(held.kv),
            compute=Bytes(held.compute),
            process=Bytes(max(0, anon - buffers)),
        )

    def untouched(self) -> Bytes:
        """What it is booked with and does not hold yet (see `ports.Runner`)."""
        held = self._anonymous(self.pid) if self._untouched else None
        missing = self._untouched if held is None else self.footprint.anon - held
        return Bytes(max(0, min(self._untouched, missing)))

    # ---- answers ------------------------------------------------------------------------------

    def generate(
        self, request: Request, expected_tokens: int, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a request (see `ports.Runner`)."""
        number = self._numbers(request.choices)
        question = Generate(
            number,
            request.messages,
            request.sampling,
            app=request.app,
            tenant=f"{request.app}/{request.held_as.word}",
            priority=request.priority,
            deadline_s=left_s,
            expected_tokens=expected_tokens,
            overflow=request.overflow,
            keep=request.held_as < Label.SECRET,
            prompt=request.prompt,
            tools=request.tools,
            form=request.form,
            choices=request.choices,
            logprobs=request.logprobs,
        )
        return self._ask(question, number, request.choices)

    def embed(
        self, request: EmbeddingRequest, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Turn texts into vectors (see `ports.Runner`)."""
        number = self._numbers(1)
        question = Embed(
            number,
            request.inputs,
            app=request.app,
            priority=request.priority,
            deadline_s=left_s,
            dimensions=request.dimensions,
        )
        return self._ask(question, number, 1)

    def _numbers(self, count: int) -> int:
        """The first of so many ids that nobody has."""
        first = self._next_id
        self._next_id += count
        return first

    async def _ask(
        self, question: Generate | Embed, number: int, choices: int
    ) -> AsyncGenerator[Chunk, None]:
        stream = Stream(choices)
        for choice in range(choices):
            self._streams[number + choice] = stream, choice
        if self.exited.done():
            stream.fail(self._death())
        try:
            self.link.send(question)
            while not stream.over:  # which it is not for a reader that is behind its writer
                for chunk in await stream.take():
                    yield chunk
            if stream.failure is not None:
                raise stream.failure
        finally:
            for choice in range(choices):
                del self._streams[number + choice]
                if choice in stream.running:
                    self.link.send(Cancel(number + choice))

    @property
    def answering(self) -> int:
        """Answers that have begun and not ended."""
        return sum(stream.begun for stream, _ in self._streams.values())

    @property
    def unanswered(self) -> int:
        """Requests that have not brought their first token yet."""
        return len(self._streams) - self.answering

    def use_threads(self, threads: ThreadCounts) -> None:
        """Compute with so many threads (see `ports.Runner`)."""
        self.threads = threads
        self.link.send(Threads(threads.few, threads.many))

    # ---- saved conversations ------------------------------------------------------------------

    def keep_conversations(self, keep: Callable[[SavedConversation], None]) -> None:
        """Hand over what it saves (see `ports.Runner`)."""
        if self._states is not None:
            self._states.listen(keep)

    def restore(self, conversation: SavedConversation) -> None:
        """Hand a saved conversation to it (see `ports.Runner`)."""
        if self._states is not None:
            self._states.send(conversation)

    def forget(self, key: str) -> None:
        """Have a saved conversation given up (see `ports.Runner`)."""
        if self._states is not None:
            self._states.withdraw(key)
            self.link.send(Forget(key))

    async def save(self, within_s: float) -> None:
        """Have everything saved (see `ports.Runner`)."""
        if self._states is None or self.exited.done():
            return
        self.link.send(Save())
        await asyncio.wait(
            (self._saved, self.exited), timeout=within_s, return_when=asyncio.FIRST_COMPLETED
        )
        self._states.receive()  # what was sent before `Saved` is here, if perhaps not yet taken

    # ---- the end ------------------------------------------------------------------------------

    async def stop(self, grace_s: float) -> None:
        """End the process (see `ports.Runner`)."""
        self._ready.cancel()  # nobody waits for it any more
        self.link.close()  # end of file is the worker's word to go
        try:
            await asyncio.wait_for(asyncio.shield(self._watch), grace_s)
        except TimeoutError:
            self._kill()
            await self._watch

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._killed = True
            self._process.kill()

    async def _watch_process(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - asked for at the spawn
        said = b""
        while data := await stderr.read(_STDERR_KEPT):
            said = (said + data)[-_STDERR_KEPT:]
        code = await self._process.wait()
        self.exited.set_result(_how_it_ended(code, said.decode(errors="replace")))
        for stream, _ in self._streams.values():
            stream.fail(self._death())
        words = f"{self.plan.model}: the worker {self.exited.result()} while loading"
        # Nobody but the kernel kills a worker that loads and is still wanted: it had no memory.
        by_kernel = code == -signal.SIGKILL and not self._killed
        self._settle(OutOfMemory(words) if by_kernel else LoadFailed(words))
        self.link.close()
        if self._states is not None:
            self._states.close()

    def _death(self) -> WorkerDied:
        return WorkerDied(f"{self.plan.model}: the worker {self.exited.result()}")

    # ---- what it says -------------------------------------------------------------------------

    def _receive(self, message: FromWorker) -> None:
        match message:
            case Step():
                self._take(message)
            case Embedded():
                self._take_vectors(message)
            case Progress(fraction=fraction):
                self._progress(fraction)
            case Ready():
                self._settle(message)
            case LoadRefused(code=code, message=words):
                self._settle(error_of(code, f"{self.plan.model}: {words}"))
            case Saved():
                if not self._saved.done():
                    self._saved.set_result(None)

    def _take(self, step: Step) -> None:
        """Pass on a step; a sequence that was cancelled may still be spoken of."""
        streams = self._streams
        self.steps += 1
        for number, seconds in step.worked:
            if number in streams:
                streams[number][0].work(seconds)
        for number, text in step.pieces:
            if number in streams:
                stream, choice = streams[number]
                stream.put(text, choice)
        self._take_details(step)
        for end in step.finished:
            if end.id in streams:
                stream, choice = streams[end.id]
                stream.end(end.finish, end.usage, choice)
        for failure in step.failed:
            if failure.id in streams:
                streams[failure.id][0].fail(error_of(failure.code, failure.message))

    def _take_details(self, step: Step) -> None:
        streams = self._streams
        for number, logprob in step.logprobs:
            if number in streams:
                stream, choice = streams[number]
                stream.put_logprob(logprob, choice)
        for number, piece in step.calls:
            if number in streams:
                stream, choice = streams[number]
                stream.put_call(piece, choice)

    def _take_vectors(self, message: Embedded) -> None:
        if message.id in self._streams:
            stream, _ = self._streams[message.id]
            stream.work(message.worked_s)
            stream.put_vectors(message.vectors)
            if message.usage is not None:
                stream.end("stop", message.usage)

    def _settle(self, outcome: Ready | EdgeRouteError) -> None:
        if self._ready.done():
            return
        if isinstance(outcome, Ready):
            self._ready.set_result(outcome)
        else:
            self._ready.set_exception(outcome)


def _how_it_ended(code: int, stderr: str) -> str:
    said = "; ".join(line for line in stderr.splitlines() if line)
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    return f"{how}: {said}" if said else how
