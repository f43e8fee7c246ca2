"""Conversations that outlive their slots, and their worker: states in sealed anonymous memory.

Owns the handles of saved states and the socket on which they come and go, one datagram each, with
one file descriptor. A state never touches a disk. How much of it is kept is the daemon's to say:
it holds a descriptor of its own, and `Forget` gives up ours.
"""

import fcntl
import mmap
import os
import socket
from array import array
from hashlib import blake2b

import msgspec

from edgeroute.wire.frames import SavedState
from edgeroute.worker.ports import Cells
from edgeroute.worker.prefix import Kept, Shelf

WORTH_SAVING = 256
"""Tokens from which restoring pays: 9 MB of 400 tokens take 5 ms, their prefill a second."""
MOST = 256
"""Handles held at once; a process may have 1024 files open."""
_DATAGRAM = 1 << 16
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Sessions:
    """Saves and restores the cells of one engine; without a socket, nothing is ever saved."""

    def __init__(
        self, sock: socket.socket | None, cells: Cells, shelf: Shelf, context: int
    ) -> None:
        """Begin with nothing saved.

        Args:
            sock: Sequenced packets, shared with the daemon.
            cells: Of the engine.
            shelf: Told the tokens of every state that can be restored.
            context: Tokens that a slot holds; longer states are not taken up.
        """
        # Anonymous memory that can be sealed is Linux's alone.
        self._sock = sock if hasattr(os, "memfd_create") else None
        self._cells = cells
        self._shelf = shelf
        self._context = context
        self._held: dict[str, tuple[int, SavedState]] = {}  # descriptors, oldest first

    # ---- saving ---------------------------------------------------------------------------------

    def save(self, kept: Kept) -> None:
        """Save a conversation that is about to lose its slot, where that is worth it.

        A daemon that does not read gets nothing: it cannot count what waits for it.
        """
        self._save(kept, socket.MSG_DONTWAIT)

    def save_all(self, all_kept: list[Kept]) -> None:
        """Save all that is in slots, however long the daemon takes to read."""
        for kept in all_kept:
            self._save(kept, 0)

    def _save(self, kept: Kept, flags: int) -> None:
        key = _key(kept.tenant, kept.tokens)
        if self._sock is None or len(kept.tokens) < WORTH_SAVING or key in self._held:
            return
        self._cells.trim(kept.slot, len(kept.tokens))
        size = self._cells.state_size(kept.slot)
        if not size:
            return
        descriptor = self._write(kept, size)
        if descriptor is None:
            return
        state = SavedState(key, kept.tenant, len(kept.tokens), size)
        try:
            # Not `socket.send_fds`, which drops the flags before Python 3.13.
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))
            self._sock.sendmsg([msgspec.msgpack.encode(state)], [rights], flags)
        except OSError:  # it does not read, or is gone
            os.close(descriptor)
            return
        self._hold(descriptor, state, kept.tokens)

    def _write(self, kept: Kept, size: int) -> int | None:
        """Make the memory of a state; `None` where it could not be had."""
        head = kept.tokens.tobytes()
        try:
            descriptor = os.memfd_create("edgeroute-state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return None
        try:
            # Not `ftruncate`: a page that cannot be had later would end the process by SIGBUS.
            os.posix_fallocate(descriptor, 0, len(head) + size)
            with mmap.mmap(descriptor, 0) as memory, memoryview(memory) as view:
                view[: len(head)] = head
                with view[len(head) :] as state:
                    written = self._cells.save(kept.slot, state)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
        except OSError:  # no memory left
            written = False
        if not written:
            os.close(descriptor)
            return None
        return descriptor

    # ---- restoring ------------------------------------------------------------------------------

    def restore(self, key: str, slot: int) -> bool:
        """Bring a saved state into a slot; one that does not fit is given up, the slot is empty."""
        held = self._held.get(key)
        if held is None:  # given up since it was found
            self._cells.trim(slot, 0)
            return False
        descriptor, state = held
        start = state.tokens * array("i").itemsize
        try:
            with (
                mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as memory,
                memoryview(memory) as view,
                view[start:] as cells,
            ):
                restored = self._cells.restore(slot, cells)
        except OSError:
            restored = False
        if not restored:
            self._cells.trim(slot, 0)
            self.forget(key)
        return restored

    def receive(self) -> None:
        """Take up the states of an earlier life of this model that the daemon has sent."""
        while self._sock is not None:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(
                    _DATAGRAM, socket.CMSG_SPACE(array("i").itemsize), socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                return
            except OSError:
                data, ancillary = b"", []
            if not data:
                self._sock = None
                return
            for descriptor in _descriptors(ancillary):
                if not self._take_up(descriptor, data):
                    os.close(descriptor)

    def _take_up(self, descriptor: int, data: bytes) -> bool:
        """Hold a state that came; whether it is what it says."""
        try:
            state = msgspec.msgpack.decode(data, type=SavedState)
            sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS
            size = os.fstat(descriptor).st_size
        except (msgspec.DecodeError, OSError):
            return False
        head = state.tokens * array("i").itemsize
        if not sealed or not 0 < state.tokens <= self._context or size != head + state.size:
            return False
        tokens = array("i")
        tokens.frombytes(os.pread(descriptor, head, 0))
        if state.key != _key(state.tenant, tokens) or state.key in self._held:
            return False
        self._hold(descriptor, state, tokens)
        return True

    # ---- holding --------------------------------------------------------------------------------

    def forget(self, key: str) -> None:
        """Give up a state; see `Forget`."""
        self._shelf.remove(key)
        held = self._held.pop(key, None)
        if held is not None:
            os.close(held[0])

    def _hold(self, descriptor: int, state: SavedState, tokens: "array[int]") -> None:
        if len(self._held) >= MOST:
            self.forget(next(iter(self._held)))
        self._held[state.key] = descriptor, state
        self._shelf.put(state.key, state.tenant, tokens)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> "array[int]":
    """The file descriptors that came with a datagram."""
    descriptors = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return descriptors


def _key(tenant: str, tokens: "array[int]") -> str:
    return blake2b(tenant.encode() + tokens.tobytes(), digest_size=16).hexdigest()
