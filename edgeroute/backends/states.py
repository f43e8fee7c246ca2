"""The second socketpair with a worker: saved conversations, one datagram and one memfd each.

Owns the descriptors on their way and the distrust of what a worker hands over: the memory is
sealed, so that its size is true and stays true, and nothing of it is ever mapped here. Linux
only: neither memfd nor sequenced packets with descriptors are to be had elsewhere.
"""

import array
import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable

import msgspec

from edgeroute.domain.units import Bytes
from edgeroute.ports import SavedConversation
from edgeroute.wire.frames import SavedState

KEEPS_CONVERSATIONS = sys.platform == "linux"
"""Whether this system can hand memory from one worker to the next."""

_log = logging.getLogger(__name__)

_MAX_DATAGRAM = 4096
_AT_ONCE = 128
"""Datagrams, then everybody else has a turn; those left are told by the loop again."""
_TOKEN = 4
"""Bytes of a token id."""
_DESCRIPTOR = array.array("i").itemsize

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[SavedState] = msgspec.msgpack.Decoder(SavedState)


class _Refused(Exception):
    """A datagram that a worker of ours does not send."""


class StateSocket:
    """The daemon's end.

    Args:
        sock: Taken over.
        worker: Whose it is, for the log.
    """

    def __init__(self, sock: socket.socket, worker: str) -> None:
        sock.settimeout(0)  # non-blocking
        self._sock = sock
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._keep: Callable[[SavedConversation], None] | None = None
        self._unsent: deque[tuple[SavedState, int]] = deque()

    def listen(self, keep: Callable[[SavedConversation], None]) -> None:
        """Hand over what arrives from now on."""
        if self._open:
            self._keep = keep
            self._loop.add_reader(self._sock, self.receive)

    def receive(self) -> None:
        """Take what has arrived; a worker that sends anything else is listened to no more."""
        for _ in range(_AT_ONCE):
            if not self._open or self._keep is None:
                return
            try:
                conversation = _receive(self._sock)
            except BlockingIOError:
                return
            except _Refused as error:
                _log.warning("%s: a saved conversation is refused: %s", self._worker, error)
                conversation = None
            except OSError:  # reset: the process is gone
                conversation = None
            if conversation is None:
                self.close()
            else:
                self._keep(conversation)

    def send(self, conversation: SavedConversation) -> None:
        """Send a saved conversation, as soon as the socket takes it."""
        if not self._open:
            return
        state = SavedState(
            conversation.key,
            conversation.tenant,
            conversation.tokens,
            conversation.size - _TOKEN * conversation.tokens,
        )
        try:  # a copy, since the caller may close its own before it is sent
            memory = os.dup(conversation.memory)
        except OSError as error:
            _log.warning("%s: a conversation is not restored: %s", self._worker, error.strerror)
            return
        self._unsent.append((state, memory))
        if len(self._unsent) == 1:
            self._flush()

    def withdraw(self, key: str) -> None:
        """Do not send what was not sent yet."""
        for item in [item for item in self._unsent if item[0].key == key]:
            self._unsent.remove(item)
            os.close(item[1])

    def close(self) -> None:
        """Let go of everything."""
        if self._open:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
        while self._unsent:
            os.close(self._unsent.popleft()[1])

    @property
    def _open(self) -> bool:
        return self._sock.fileno() >= 0

    def _flush(self) -> None:
        while self._unsent:
            state, memory = self._unsent[0]
            try:
                socket.send_fds(self._sock, [_encoder.encode(state)], [memory])
            except BlockingIOError:  # a queue holds ten datagrams (net.unix.max_dgram_qlen)
                self._loop.add_writer(self._sock, self._flush)
                return
            except OSError:  # the process is gone
                self.close()
                return
            self._unsent.popleft()
            os.close(memory)
        self._loop.remove_writer(self._sock)


def _receive(sock: socket.socket) -> SavedConversation | None:
    """One saved conversation; `None` at the end.

    Raises:
        BlockingIOError: Nothing has arrived.
        _Refused: It is not what it should be; its descriptors are closed.
    """
    # Not by `socket.recv_fds`, which drops its flags: what is received would be inheritable.
    data, ancillary, flags, _ = sock.recvmsg(
        _MAX_DATAGRAM, socket.CMSG_LEN(_DESCRIPTOR), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for _, _, content in ancillary:
        descriptors.frombytes(content[: len(content) - len(content) % _DESCRIPTOR])
    with contextlib.ExitStack() as unless_kept:
        for descriptor in descriptors:
            unless_kept.callback(os.close, descriptor)
        if not data and not descriptors:
            return None
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) != 1:
            raise _Refused("not one datagram with one descriptor, or no descriptor is left here")
        conversation = _checked(data, descriptors[0])
        unless_kept.pop_all()
        return conversation


def _checked(data: bytes, memory: int) -> SavedConversation:
    try:
        state = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise _Refused(str(error)) from error
    unchanging = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    try:
        seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
    except OSError:
        raise _Refused("not anonymous memory") from None
    if seals & unchanging != unchanging:
        raise _Refused("its memory can still change")
    size = os.fstat(memory).st_size
    if state.tokens < 1 or state.size < 1 or size != _TOKEN * state.tokens + state.size:
        raise _Refused(f"{size} bytes of memory for {state.tokens} tokens and {state.size} bytes")
    return SavedConversation(state.key, state.tenant, state.tokens, Bytes(size), memory)
