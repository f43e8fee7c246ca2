"""Models in worker processes of our own: spawn one and load a plan into it.

Owns the command line and the sockets that a worker starts with. A cancelled
start leaves no process behind.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from edgeroute.backends.environment import worker_environment
from edgeroute.backends.readahead import read_ahead
from edgeroute.backends.states import KEEPS_CONVERSATIONS, StateSocket
from edgeroute.backends.worker_process import Worker
from edgeroute.domain.errors import LoadFailed
from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.domain.units import Bytes

_OOM_SCORE = "500"
"""Of 1000: half the machine's memory is added to what a worker holds, in the kernel's eyes."""


class SpawnBackend:
    """Starts one worker process per plan.

    Args:
        footprint: Reads the measured bytes of a process, `None` where it cannot.
        anonymous: Reads the anonymous ones alone, in microseconds.

    Attributes:
        pids: Every worker process that lives, those that load included.
    """

    def __init__(
        self,
        footprint: Callable[[int], Footprint | None],
        anonymous: Callable[[int], Bytes | None],
    ) -> None:
        self.pids: set[int] = set()
        self._footprint = footprint
        self._anonymous = anonymous

    async def start(self, plan: LoadPlan, progress: Callable[[float], None]) -> Worker:
        """Load a model in a new process (see `ports.Backend`)."""
        if plan.path:  # beside the start of the process, hence not waited for
            asyncio.get_running_loop().run_in_executor(None, read_ahead, plan.path)
        try:
            worker, ours = await self._spawn(plan, progress)
        except OSError as error:  # no memory, no process or no file descriptor left
            raise LoadFailed(f"{plan.model}: no process could be made: {error}") from error
        self.pids.add(worker.pid)
        worker.exited.add_done_callback(lambda _how: self.pids.discard(worker.pid))
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
    ) -> tuple[Worker, socket.socket]:
        """A process and our end of the socketpair between us."""
        with ExitStack() as theirs, ExitStack() as unless_spawned:
            frames = _pair(socket.SOCK_STREAM, unless_spawned, theirs)
            passed = {"--fd": frames[1]}
            states = None
            if KEEPS_CONVERSATIONS:
                states = _pair(socket.SOCK_SEQPACKET, unless_spawned, theirs)
                passed["--states-fd"] = states[1]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "edgeroute.worker"),
                *(word for name, end in passed.items() for word in (name, str(end.fileno()))),
                pass_fds=[end.fileno() for end in passed.values()],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                env=worker_environment(os.environ.items()),
                start_new_session=True,  # Ctrl-C in a terminal drains the daemon, not its workers
            )
            unless_spawned.pop_all()
        _go_first(process.pid)
        ours = None if states is None else StateSocket(states[0], plan.model)
        return Worker(plan, process, ours, progress, self._anonymous), frames[0]


def _go_first(pid: int) -> None:
    """Where memory runs out for all, let the kernel end a model: it can be loaded again."""
    with suppress(OSError):  # gone already, or no Linux
        Path(f"/proc/{pid}/oom_score_adj").write_text(_OOM_SCORE, "ascii")


def _pair(
    kind: socket.SocketKind, unless_spawned: ExitStack, theirs: ExitStack
) -> tuple[socket.socket, socket.socket]:
    """Our end, closed unless a process is there to talk to, and its end, which is its own."""
    pair = socket.socketpair(socket.AF_UNIX, kind)
    unless_spawned.enter_context(pair[0])
    theirs.enter_context(pair[1])
    return pair
