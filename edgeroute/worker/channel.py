"""The worker's end of the socketpair: messages in, frames out, and the one rule of its life.

The rule: EOF means that the daemon is gone, and ends this process at once, whatever it does: a
thread sleeps until then. Not by the parent's death signal, which follows the daemon's thread that
spawned, not the daemon.
"""

import os
import select
import socket
import sys
import threading
import time
from collections import deque
from typing import NoReturn

from edgeroute.domain.errors import InvalidRequest
from edgeroute.wire.frames import FromWorker, ToWorker, worker_inbox
from edgeroute.wire.framing import encode

READ_SIZE = 1 << 18
MAX_UNSENT = 4 << 20
"""Bytes that wait for a daemon that does not read; beyond, the worker waits too."""
GLANCE_S = 0.02
"""How often a callback in the middle of a decode looks at the socket."""
EXIT_PROTOCOL = 65
"""Exit status where the daemon's bytes make no sense (`EX_DATAERR`)."""


class Channel:
    """Non-blocking; all of it but the watch is for one thread.

    Attributes:
        messages: What has arrived and is not taken yet, oldest first.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)  # never blocks; waiting is by poll
        self.messages: deque[ToWorker] = deque()
        self._sock = sock
        self._inbox = worker_inbox()
        self._unsent = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._next_glance = 0.0

    def watch(self) -> None:
        """End the process as soon as the daemon is gone, also in the middle of a load or a decode.

        llama.cpp works without the interpreter's lock, so the watching thread can run; until there
        is something to do it costs nothing.
        """
        threading.Thread(target=_watch, args=(self._sock.fileno(),), daemon=True).start()

    def wake_for(self, sock: socket.socket) -> None:
        """Let `receive` return, too, when another socket can be read."""
        self._poll.register(sock, select.POLLIN)

    def receive(self, *, wait: bool = False) -> None:
        """Take what has arrived; with `wait`, sleep until the socket can be read or written."""
        for descriptor, event in self._poll.poll(None if wait else 0):
            if descriptor != self._sock.fileno():
                if event & ~select.POLLIN:
                    self._poll.unregister(descriptor)  # hung up; it would wake us for ever
                continue
            if event & select.POLLOUT:
                self._flush()
            if event & ~select.POLLOUT:
                self._read()

    def glance(self) -> bool:
        """Take what has arrived, unless that was done a moment ago; cheap enough for a callback.

        Returns:
            Whether it looked.
        """
        now = time.perf_counter()
        if now < self._next_glance:
            return False
        self._next_glance = now + GLANCE_S
        self.receive()
        return True

    def send(self, message: FromWorker) -> None:
        """Send a frame, or keep it until the socket takes it."""
        self._unsent += encode(message)
        self._flush()
        while len(self._unsent) > MAX_UNSENT:
            self.receive(wait=True)

    def drain(self) -> None:
        """Return when everything is sent."""
        while self._unsent:
            self.receive(wait=True)

    def _read(self) -> None:
        while True:
            try:
                data = self._sock.recv(READ_SIZE)
            except BlockingIOError:
                return
            except ConnectionError:
                _leave(0)
            if not data:
                _leave(0)
            try:
                self.messages.extend(self._inbox.feed(data))
            except InvalidRequest as error:
                sys.stderr.write(f"edgeroute worker: the daemon is out of step: {error}\n")
                _leave(EXIT_PROTOCOL)

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except ConnectionError:
            _leave(0)
        wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        self._poll.modify(self._sock, wanted)


def _watch(descriptor: int) -> None:
    hang_up = select.poll()
    hang_up.register(descriptor, 0)  # which is reported unasked
    hang_up.poll()
    _leave(0)


def _leave(status: int) -> NoReturn:
    """End now, from whatever depth; there is nothing to save, and the kernel frees the memory."""
    os._exit(status)
