"""Saved states, both ways, over a real socket: what is kept, what is not believed."""

import fcntl
import os
import socket
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest

from edgeroute.wire.frames import SavedState
from edgeroute.worker import sessions as module
from edgeroute.worker.echo import EchoCells
from edgeroute.worker.prefix import Kept, Shelf
from edgeroute.worker.sessions import WORTH_SAVING, Sessions

CONTEXT = 2 * WORTH_SAVING
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def tokens_of(length: int, first: int = 0) -> "array[int]":
    return array("i", range(first, first + length))


@dataclass
class Ends:
    """A worker's sessions and the daemon's end of their socket."""

    daemon: socket.socket
    theirs: socket.socket
    cells: EchoCells = field(default_factory=EchoCells)
    shelf: Shelf = field(default_factory=Shelf)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.theirs, self.cells, self.shelf, CONTEXT)

    def keep(self, tokens: "array[int]", slot: int = 0, tenant: str = "a") -> Kept:
        self.cells.slots[slot] = tokens[:]
        return Kept(slot, tenant, tokens)

    def receive(self) -> tuple[SavedState, int]:
        data, (descriptor,), _, _ = socket.recv_fds(self.daemon, 1 << 16, 1)
        return msgspec.msgpack.decode(data, type=SavedState), descriptor

    def give(self, state: SavedState, descriptor: int) -> None:
        socket.send_fds(self.daemon, [msgspec.msgpack.encode(state)], [descriptor])
        os.close(descriptor)
        self.sessions.receive()


def open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def ends() -> Iterator[Ends]:
    before = open_files()
    daemon, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    daemon.setblocking(False)
    with daemon, theirs:
        ends = Ends(daemon, theirs)
        yield ends
        for key in list(ends.sessions._held):
            ends.sessions.forget(key)
    assert open_files() == before, "a descriptor leaked"


def test_a_state_comes_back_in_another_life(ends: Ends) -> None:
    tokens = tokens_of(300)
    ends.sessions.save(ends.keep(tokens))
    state, descriptor = ends.receive()
    key = blake2b(b"a" + tokens.tobytes(), digest_size=16).hexdigest()
    assert state == SavedState(key, "a", 300, 1200)
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
    assert os.pread(descriptor, 4000, 0) == 2 * tokens.tobytes()

    later = Ends(ends.daemon, ends.theirs)
    later.give(state, descriptor)
    assert later.shelf.find("a", tokens) == (300, key)
    assert later.shelf.find("b", tokens) == (0, "")
    assert later.sessions.restore(key, 5)
    assert later.cells.slots[5] == tokens
    later.sessions.forget(key)


def test_a_state_is_restored_in_the_same_life_until_it_is_forgotten(ends: Ends) -> None:
    tokens = tokens_of(300)
    ends.sessions.save(ends.keep(tokens))
    state, descriptor = ends.receive()
    os.close(descriptor)
    assert ends.sessions.restore(state.key, 1)
    ends.sessions.forget(state.key)
    ends.sessions.forget("unknown")
    assert ends.shelf.find("a", tokens) == (0, "")
    assert not ends.sessions.restore(state.key, 1)
    assert ends.cells.slots[1] == array("i")


def test_short_conversations_and_known_ones_are_not_saved(ends: Ends) -> None:
    ends.sessions.save(ends.keep(tokens_of(WORTH_SAVING - 1)))
    for _ in range(2):
        ends.sessions.save(ends.keep(tokens_of(WORTH_SAVING)))
    _, descriptor = ends.receive()
    os.close(descriptor)
    with pytest.raises(BlockingIOError):
        ends.receive()


def test_a_daemon_that_does_not_read_gets_nothing_that_it_cannot_count(ends: Ends) -> None:
    for number in range(2000):
        ends.sessions.save(ends.keep(tokens_of(WORTH_SAVING, number)))
    held = len(ends.sessions._held)
    received = 0
    while True:
        try:
            os.close(ends.receive()[1])
        except BlockingIOError:
            break
        received += 1
    assert 0 < held <= received < 2000


def test_handles_are_bounded(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(5):
        ends.sessions.save(ends.keep(tokens_of(WORTH_SAVING, number)))
        os.close(ends.receive()[1])
    assert len(ends.sessions._held) == 3
    assert ends.shelf.find("a", tokens_of(9, 1))[0] == 0
    assert ends.shelf.find("a", tokens_of(9, 4))[0] == 9


def memory(data: bytes, seals: int = SEALS) -> int:
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(descriptor, data)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


TOKENS = tokens_of(300)
HONEST = SavedState(blake2b(b"a" + TOKENS.tobytes(), digest_size=16).hexdigest(), "a", 300, 4 * 300)


@pytest.mark.parametrize(
    ("state", "data", "seals"),
    [
        (HONEST, 2 * TOKENS.tobytes(), fcntl.F_SEAL_GROW),
        (HONEST, (2 * TOKENS.tobytes())[:-4], SEALS),
        (msgspec.structs.replace(HONEST, tokens=299), 2 * TOKENS.tobytes(), SEALS),
        (msgspec.structs.replace(HONEST, tenant="b"), 2 * TOKENS.tobytes(), SEALS),
        (msgspec.structs.replace(HONEST, tokens=-1, size=2404), 2 * TOKENS.tobytes(), SEALS),
        (HONEST, tokens_of(600, 1).tobytes(), SEALS),
    ],
)
def test_a_state_that_is_not_what_it_says_is_not_taken_up(
    ends: Ends, state: SavedState, data: bytes, seals: int
) -> None:
    ends.give(state, memory(data, seals))
    assert ends.sessions._held == {}
    assert ends.shelf.find("a", TOKENS) == (0, "")


def test_what_is_no_state_at_all_is_dropped_and_the_next_one_taken(ends: Ends) -> None:
    socket.send_fds(ends.daemon, [b"\xc1"], [descriptor := memory(b"x")])
    os.close(descriptor)
    socket.send_fds(ends.daemon, [b"\xc1"], [])
    ends.give(HONEST, memory(2 * TOKENS.tobytes()))
    assert HONEST.key in ends.shelf


def test_a_state_that_cannot_be_restored_is_given_up(ends: Ends) -> None:
    odd = msgspec.structs.replace(HONEST, size=1199)
    ends.give(odd, memory((2 * TOKENS.tobytes())[:-1]))
    assert odd.key in ends.shelf
    assert not ends.sessions.restore(odd.key, 2)
    assert odd.key not in ends.shelf
    assert ends.cells.slots[2] == array("i")


def test_a_daemon_that_hangs_up_is_no_error(ends: Ends) -> None:
    ends.daemon.close()
    ends.sessions.receive()
    ends.sessions.save(ends.keep(tokens_of(300)))
    assert ends.sessions._held == {}


def test_without_a_socket_nothing_is_saved() -> None:
    cells, shelf = EchoCells(), Shelf()
    sessions = Sessions(None, cells, shelf, CONTEXT)
    cells.slots[0] = tokens_of(300)
    sessions.save(Kept(0, "a", tokens_of(300)))
    sessions.receive()
    assert shelf.find("a", tokens_of(300)) == (0, "")
