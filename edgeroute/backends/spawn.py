"""Models in worker processes of our own: spawn one, talk frames with it, end it.

Owns the process, its socketpair and its environment. Knows plans and frames, not why a model was
chosen or evicted. Every await here may be cancelled; a cancelled start leaves no process behind.
"""

import asyncio
import itertools
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import cast

from edgeroute.domain.errors import (
    ContextExceeded,
    EdgeRouteError,
    InvalidRequest,
    LoadFailed,
    WorkerDied,
)
from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.domain.request import Chunk, Request
from edgeroute.domain.units import Bytes
from edgeroute.wire.frames import (
    Cancel,
    DaemonInbox,
    Failed,
    Finished,
    FromWorker,
    Generate,
    Load,
    LoadRefused,
    Progress,
    Ready,
    Step,
    ToWorker,
    encode,
)

_PASSED_ON = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH"}
    | {"CUDA_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "SYSTEMROOT"}
)
"""All that a worker inherits: it parses untrusted files, so it must not hold anybody's keys."""

_SPIN = "10000"
"""`GOMP_SPINCOUNT`: how long OpenMP threads spin at a barrier before they sleep. Beside two busy
neighbours 10000 gives 48 / 69 tok/s at 1 / 4 clients where libgomp's default gives 17 / 27, and it
costs nothing on an idle machine (SmolLM2, 2 cores). libgomp reads it before main."""

_STDERR_KEPT = 2000
"""Last bytes of a worker's stderr that are kept to say how it ended."""

_ERRORS: dict[str, type[EdgeRouteError]] = {
    kind.code: kind for kind in (ContextExceeded, InvalidRequest, LoadFailed)
}


class SpawnBackend:
    """Starts one worker process per plan.

    Args:
        footprint: Reads the measured bytes of a process, `None` where it cannot.
    """

    def __init__(self, footprint: Callable[[int], Footprint | None]) -> None:
        self._footprint = footprint

    async def start(self, plan: LoadPlan, progress: Callable[[float], None]) -> "Worker":
        """Load a model in a new process (see `ports.Backend`)."""
        try:
            worker, ours = await self._spawn(plan, progress)
        except OSError as error:  # no memory, no process or no file descriptor left
            raise LoadFailed(f"{plan.model}: no process could be made: {error}") from error
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: worker.link, sock=ours)
            ready = await worker.load()
            measured = await asyncio.to_thread(self._footprint, worker.pid)
        except BaseException:
            await asyncio.shield(worker.stop(0.0))
            raise
        worker.adopt(ready, measured or Footprint())
        return worker

    async def _spawn(
        self, plan: LoadPlan, progress: Callable[[float], None]
    ) -> tuple["Worker", socket.socket]:
        """A process and our end of the socketpair between us."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "edgeroute.worker", "--fd", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                env=_environment(os.environ.items()),
                start_new_session=True,  # Ctrl-C in a terminal drains the daemon, not its workers
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return Worker(plan, process, progress), ours


def _environment(inherited: Iterable[tuple[str, str]]) -> dict[str, str]:
    passed = {name: value for name, value in inherited if name in _PASSED_ON}
    # GPUs are planned in the order of the PCI bus, which is NVML's; CUDA's own is by speed.
    return {**passed, "GOMP_SPINCOUNT": _SPIN, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


class _Link(asyncio.Protocol):
    """The daemon's end of the socketpair: frames to messages."""

    def __init__(self, receive: Callable[[FromWorker], None], lost: Callable[[], None]) -> None:
        self._inbox = DaemonInbox()
        self._receive = receive
        self._lost = lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by class

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._inbox.feed(data):
                self._receive(message)
        except InvalidRequest:  # out of step: nothing later can be trusted
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def send(self, message: ToWorker) -> None:
        if self._transport is not None:
            self._transport.write(encode(message))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Worker:
    """One loaded model in one process (see `ports.Runner`)."""

    def __init__(self, plan: LoadPlan, process: Process, progress: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.footprint = Footprint()
        self.load_s = 0.0
        self.engine = ""
        self.exited: asyncio.Future[str] = loop.create_future()
        self.link = _Link(self._receive, self._end_streams)
        self._plan = plan
        self._process = process
        self._progress = progress
        self._ready: asyncio.Future[Ready] = loop.create_future()
        self._ids = itertools.count(1)
        self._streams: dict[int, asyncio.Queue[str | Finished | Failed | None]] = {}
        self._watch = loop.create_task(self._watch_process(), name=f"watch {plan.model}")

    async def load(self) -> Ready:
        """Send the plan and wait for the model.

        Raises:
            LoadFailed: With the worker's words, or how its process ended.
        """
        self.link.send(Load(self._plan))
        return await self._ready

    def adopt(self, ready: Ready, measured: Footprint) -> None:
        """Take what the worker said of itself and what was measured of its process."""
        self.load_s = ready.load_s
        self.engine = ready.engine
        gpu = tuple(Bytes(size) for size in ready.gpu_bytes)
        self.footprint = Footprint(measured.file, measured.anon, gpu)

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer a request (see `ports.Runner`)."""
        number = next(self._ids)
        stream = self._streams[number] = asyncio.Queue()
        if self.exited.done():
            stream.put_nowait(None)
        self.link.send(Generate(number, request.messages, request.sampling))
        try:
            while True:
                match await stream.get():
                    case str(text):
                        yield Chunk(text)
                    case Finished(finish=finish, usage=usage):
                        del self._streams[number]
                        yield Chunk("", finish, usage)
                        return
                    case Failed(code=code, message=message):
                        del self._streams[number]
                        raise _ERRORS.get(code, EdgeRouteError)(message)
                    case None:
                        raise WorkerDied(f"{self._plan.model}: the worker {await self.exited}")
        finally:
            if self._streams.pop(number, None) is not None:
                self.link.send(Cancel(number))

    async def stop(self, grace_s: float) -> None:
        """End the process (see `ports.Runner`)."""
        self._ready.cancel()  # nobody waits for it any more
        self.link.close()  # end of file is the worker's word to go
        try:
            await asyncio.wait_for(asyncio.shield(self._watch), grace_s)
        except TimeoutError:
            if self._process.returncode is None:
                self._process.kill()
            await self._watch

    def _receive(self, message: FromWorker) -> None:
        match message:
            case Step(pieces=pieces, finished=finished, failed=failed):
                for number, text in pieces:
                    self._put(number, text)
                for end in finished:
                    self._put(end.id, end)
                for failure in failed:
                    self._put(failure.id, failure)
            case Progress(fraction=fraction):
                self._progress(fraction)
            case Ready():
                self._settle(message)
            case LoadRefused(message=words):
                self._settle(LoadFailed(f"{self._plan.model}: {words}"))

    def _settle(self, outcome: Ready | LoadFailed) -> None:
        if self._ready.done():
            return
        if isinstance(outcome, Ready):
            self._ready.set_result(outcome)
        else:
            self._ready.set_exception(outcome)

    def _put(self, number: int, item: str | Finished | Failed) -> None:
        stream = self._streams.get(number)
        if stream is not None:  # a sequence that was cancelled may still be spoken of
            stream.put_nowait(item)

    def _end_streams(self) -> None:
        for stream in self._streams.values():
            stream.put_nowait(None)

    async def _watch_process(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - asked for at the spawn
        said = b""
        while data := await stderr.read(_STDERR_KEPT):
            said = (said + data)[-_STDERR_KEPT:]
        code = await self._process.wait()
        ending = _ending(code, said.decode(errors="replace"))
        self.exited.set_result(ending)
        self._end_streams()  # of requests that came after the link was lost
        self._settle(LoadFailed(f"{self._plan.model}: the worker {ending} while loading"))
        self.link.close()


def _ending(code: int, stderr: str) -> str:
    said = "; ".join(line for line in stderr.splitlines() if line)
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    return f"{how}: {said}" if said else how
