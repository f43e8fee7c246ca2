"""Saved conversations on their way, from workers that are honest, hostile, slow or gone."""

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import uvloop

from edgeroute.backends.states import KEEPS_CONVERSATIONS, StateSocket
from edgeroute.domain.units import Bytes
from edgeroute.ports import SavedConversation
from edgeroute.wire.frames import SavedState

pytestmark = pytest.mark.skipif(not KEEPS_CONVERSATIONS, reason="memfd is Linux's")

MEMORY = "conversation of test_states"
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
MANY = 600  # more than a queue of datagrams holds (net.unix.max_dgram_qlen: 10, or 512)
STATE = SavedState("ab12", "app/private", tokens=3, size=100)


def descriptors_of(*sockets: socket.socket) -> Callable[[], list[str]]:
    """Tells what is open of these sockets and of all that is sent over them.

    Not of the whole process: what other tests have left to their threads and to the garbage
    collector is closed at any time.
    """
    ours = {str(Path(f"/proc/self/fd/{each.fileno()}").readlink()) for each in sockets}

    def is_ours(leads_to: str) -> bool:
        return leads_to in ours or leads_to == __file__ or leads_to.startswith(f"/memfd:{MEMORY}")

    def descriptors() -> list[str]:
        found = []
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                found.append(str(entry.readlink()))
        return sorted(filter(is_ours, found))

    return descriptors


@contextmanager
def memory(size: int = 112, seals: int = SEALS) -> Iterator[int]:
    made = os.memfd_create(MEMORY, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(made, bytes(size))
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, seals)
        yield made
    finally:
        os.close(made)


@dataclass
class Pair:
    """The daemon's end, and the worker's as a bare socket."""

    ours: StateSocket
    worker: socket.socket
    kept: list[SavedConversation] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def keep(self, conversation: SavedConversation) -> None:
        self.kept.append(conversation)
        self.arrived.set()

    def say(self, data: bytes, *descriptors: int) -> None:
        socket.send_fds(self.worker, [data], descriptors)

    async def hear(self) -> tuple[SavedState, int]:
        """What the worker is sent next; turns to the loop until there is something."""
        self.worker.settimeout(0)
        async with asyncio.timeout(10):
            while True:
                try:
                    data, descriptors, _, _ = socket.recv_fds(self.worker, 4096, 1)
                except BlockingIOError:
                    await asyncio.sleep(0)
                else:
                    return msgspec.msgpack.decode(data, type=SavedState), descriptors[0]


@asynccontextmanager
async def connected() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptors = descriptors_of(ours, theirs)
    before = len(descriptors())
    both = Pair(StateSocket(ours, "m"), theirs)
    yield both
    both.ours.close()
    theirs.close()
    for conversation in both.kept:
        os.close(conversation.memory)
    assert len(descriptors()) == before - 2, descriptors()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with connected() as both:
        yield both


async def hand_over_and_back(pair: Pair) -> None:
    """A conversation to the daemon and back to a worker that takes its time."""
    pair.ours.listen(pair.keep)
    with memory() as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)
        async with asyncio.timeout(10):
            await pair.arrived.wait()
        (kept,) = pair.kept
        assert (kept.key, kept.tenant, kept.tokens, kept.size) == ("ab12", "app/private", 3, 112)
        assert os.fstat(kept.memory).st_ino == os.fstat(sent).st_ino
    assert not os.get_inheritable(kept.memory)
    for _ in range(MANY):
        pair.ours.send(kept)
    for _ in range(MANY):
        state, received = await pair.hear()
        os.close(received)
        assert state == STATE


async def test_a_conversation_comes_and_goes_as_it_was(pair: Pair) -> None:
    await hand_over_and_back(pair)


def test_it_does_so_on_the_daemons_own_loop() -> None:
    async def run() -> None:
        async with connected() as pair:
            await hand_over_and_back(pair)

    uvloop.run(run())


async def test_nothing_is_taken_before_somebody_listens(pair: Pair) -> None:
    with memory() as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)
        pair.ours.receive()
        assert pair.kept == []
        pair.ours.listen(pair.keep)
        pair.ours.receive()
    assert len(pair.kept) == 1


def _without_descriptor(pair: Pair) -> None:
    pair.say(msgspec.msgpack.encode(STATE))


def _two_descriptors(pair: Pair) -> None:
    with memory() as one, memory() as other:
        pair.say(msgspec.msgpack.encode(STATE), one, other)


def _not_the_protocol(pair: Pair) -> None:
    with memory() as sent:
        pair.say(b"\xff\x00", sent)


def _too_long(pair: Pair) -> None:
    with memory() as sent:
        pair.say(msgspec.msgpack.encode(msgspec.structs.replace(STATE, key="k" * 5000)), sent)


def _unsealed(pair: Pair) -> None:
    with memory(seals=0) as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)


def _sealed_by_half(pair: Pair) -> None:
    with memory(seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW) as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)


def _a_file_on_a_disk(pair: Pair) -> None:
    with Path(__file__).open() as file:
        pair.say(msgspec.msgpack.encode(STATE), file.fileno())


def _larger_than_told(pair: Pair) -> None:
    with memory(size=113) as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)


def _negative_tokens(pair: Pair) -> None:
    with memory(size=112) as sent:
        wrong = msgspec.structs.replace(STATE, tokens=-22, size=200)
        pair.say(msgspec.msgpack.encode(wrong), sent)


@pytest.mark.parametrize(
    "lie",
    [
        _without_descriptor, _two_descriptors, _not_the_protocol, _too_long, _unsealed,
        _sealed_by_half, _a_file_on_a_disk, _larger_than_told, _negative_tokens,
    ],
)  # fmt: skip
async def test_a_worker_that_lies_is_told_in_the_log_and_heard_no_more(
    pair: Pair, lie: Callable[[Pair], None], caplog: pytest.LogCaptureFixture
) -> None:
    pair.ours.listen(pair.keep)
    lie(pair)
    with memory() as sent:
        pair.say(msgspec.msgpack.encode(STATE), sent)
        with caplog.at_level(logging.WARNING):
            pair.ours.receive()
    assert pair.kept == []
    assert len(caplog.records) == 1
    with pytest.raises(ConnectionError):
        pair.worker.send(b"x")


async def test_a_worker_that_is_gone_is_no_error(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.ours.listen(pair.keep)
    pair.worker.close()
    pair.ours.receive()
    with memory() as own:
        pair.ours.send(SavedConversation("k", "t", 3, Bytes(112), own))
    pair.ours.listen(pair.keep)
    assert caplog.records == []


async def test_what_waits_to_be_sent_is_no_longer_the_callers(pair: Pair) -> None:
    for number in range(MANY):
        with memory() as own:  # closed before most of them are sent
            pair.ours.send(SavedConversation(f"k{number}", "t", 3, Bytes(112), own))
    for number in range(MANY):
        state, received = await pair.hear()
        assert os.fstat(received).st_size == 112
        os.close(received)
        assert (state.key, state.tenant, state.tokens, state.size) == (f"k{number}", "t", 3, 100)


async def test_what_was_not_sent_yet_can_be_withdrawn(pair: Pair) -> None:
    for number in range(MANY):
        with memory() as own:
            pair.ours.send(SavedConversation(f"k{number}", "t", 3, Bytes(112), own))
    for number in range(MANY - 1):
        pair.ours.withdraw(f"k{number}")
    last, heard = f"k{MANY - 1}", [""]
    while heard[-1] != last:
        state, received = await pair.hear()
        os.close(received)
        heard.append(state.key)
    assert len(heard) < MANY
