"""The daemon's end of a real worker process, for the tests of its contract."""

import itertools
import os
import socket
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psutil

from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import (
    FinishReason,
    Message,
    Role,
    Sampling,
    TokenLogprob,
    ToolCallPiece,
    Usage,
)
from edgeroute.domain.units import ModelId
from edgeroute.wire.frames import (
    Embedded,
    Failed,
    FromWorker,
    Generate,
    Load,
    LoadRefused,
    Progress,
    Ready,
    Save,
    Saved,
    SavedState,
    Step,
    ToWorker,
    daemon_inbox,
)
from edgeroute.wire.framing import Inbox, encode

Socket = socket.socket
PATIENCE_S = 60.0
"""How long a test waits for something that must happen; a hang fails instead of hanging."""
ECHO = LoadPlan(ModelId("echo"), "", context=64, slots=2, threads=1, batch=8, echo=EchoBehaviour())
GREEDY = Sampling(temperature=0.0, max_tokens=16)


@dataclass
class Answer:
    """All that came for one id."""

    text: str = ""
    pieces: int = 0
    finish: FinishReason | None = None
    usage: Usage | None = None
    failed: Failed | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[ToolCallPiece] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.finish is not None or self.failed is not None


@dataclass
class Worker:
    """The daemon's end.

    Attributes:
        states: Where states of conversations come and go.
    """

    process: subprocess.Popen[bytes]
    socket: Socket
    states: Socket
    inbox: Inbox[FromWorker] = field(default_factory=daemon_inbox)
    answers: dict[int, Answer] = field(default_factory=dict)
    loaded: list[Progress | Ready | LoadRefused | Saved] = field(default_factory=list)

    def send(self, *messages: ToWorker) -> None:
        self.socket.sendall(b"".join(map(encode, messages)))

    def ask(
        self, number: int, prompt: str, sampling: Sampling = GREEDY, /, *earlier: str, **terms: Any
    ) -> None:
        """Ask, after earlier turns of user and assistant; `terms` are `Generate`'s."""
        for choice in range(terms.get("choices", 1)):
            self.answers[number + choice] = Answer()
        roles: Iterator[Role] = itertools.cycle(("user", "assistant"))
        turns = tuple(map(Message, roles, (*earlier, prompt)))
        self.send(Generate(number, turns, sampling, **terms))

    def receive(self) -> bool:
        """Take in one read; `False` at the end of the file."""
        data = self.socket.recv(1 << 16)
        for message in self.inbox.feed(data):
            self._take(message)
        return bool(data)

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Embedded):
            raise TypeError("vectors that nobody asked for")
        if not isinstance(message, Step):
            self.loaded.append(message)
            return
        for number, text in message.pieces:
            answer = self.answers[number]
            assert not answer.ended
            answer.text += text
            answer.pieces += 1
        for number, told in message.logprobs:
            self.answers[number].logprobs.append(told)
        for number, call in message.calls:
            self.answers[number].calls.append(call)
        for end in message.finished:
            assert not self.answers[end.id].ended
            self.answers[end.id].finish, self.answers[end.id].usage = end.finish, end.usage
        for failure in message.failed:
            assert not self.answers[failure.id].ended
            self.answers[failure.id].failed = failure

    def ready(self) -> Ready | LoadRefused:
        while not self.loaded or isinstance(self.loaded[-1], Progress):
            assert self.receive()
        last = self.loaded[-1]
        assert not isinstance(last, Saved)
        return last

    def saved(self) -> list[tuple[SavedState, int]]:
        """Ask for the states of all conversations; each with its descriptor."""
        self.send(Save())
        while not isinstance(self.loaded[-1], Saved):
            assert self.receive()
        self.loaded.pop()
        return self.received_states()

    def received_states(self) -> list[tuple[SavedState, int]]:
        """All states that have come and were not taken yet."""
        states: list[tuple[SavedState, int]] = []
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.states, 1 << 16, 1)
            except BlockingIOError:
                return states
            states.append((msgspec.msgpack.decode(data, type=SavedState), descriptors[0]))

    def give(self, state: SavedState, descriptor: int) -> None:
        socket.send_fds(self.states, [msgspec.msgpack.encode(state)], array("i", [descriptor]))

    def finish(self, *numbers: int) -> list[Answer]:
        while not all(self.answers[number].ended for number in numbers):
            assert self.receive(), "the worker is gone"
        return [self.answers[number] for number in numbers]

    def text(self, number: int, prompt: str, sampling: Sampling = GREEDY) -> str:
        self.ask(number, prompt, sampling)
        return self.finish(number)[0].text

    @property
    def computed_s(self) -> float:
        """CPU seconds that the process has spent."""
        return float(sum(psutil.Process(self.process.pid).cpu_times()[:2]))

    def has_computed_for(self, seconds: float) -> None:
        """Return when the process has spent this much CPU: it is in the middle of something."""
        while self.computed_s < seconds:
            assert psutil.Process(self.process.pid).status() != psutil.STATUS_ZOMBIE

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@contextmanager
def spawned() -> Iterator[Worker]:
    ours, theirs = socket.socketpair()
    states, their_states = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    states.setblocking(False)
    ends = {"--fd": theirs.fileno(), "--states-fd": their_states.fileno()}
    arguments = [str(part) for end in ends.items() for part in end]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeroute.worker", *arguments],
        pass_fds=tuple(ends.values()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"GOMP_SPINCOUNT": "10000"},  # as the daemon does
    )
    theirs.close()
    their_states.close()
    with ours, states, process:
        try:
            yield Worker(process, ours, states)
        finally:
            process.kill()


@contextmanager
def loaded(plan: LoadPlan) -> Iterator[Worker]:
    with spawned() as worker:
        worker.send(Load(plan))
        assert isinstance(worker.ready(), Ready)
        yield worker
