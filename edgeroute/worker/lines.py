"""Messages with whoever started this process for one measurement: lines on its standard streams.

Owns the end of such a process: with the end of its input its starter is gone, and so is it, even in
the midst of a call into llama.cpp.
"""

import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

import msgspec
from msgspec import Struct

from edgeroute.wire.measuring import MeasureSpeed, Share, encode_line, read_order

EXIT_NONSENSE = 65
_EVERY = 0.01
"""Share of the work between two lines that tell it."""


def say(message: Struct) -> None:
    """Write a message."""
    sys.stdout.buffer.write(encode_line(message))
    sys.stdout.buffer.flush()


def share_teller() -> Callable[[float], None]:
    """Make what tells shares of the work, 0..1, a hundred times at most."""
    told = -1.0

    def tell(share: float) -> None:
        nonlocal told
        if share - told >= _EVERY:
            told = share
            say(Share(share))

    return tell


def listen() -> "SimpleQueue[MeasureSpeed]":
    """Begin to read orders in a thread; the process ends with them, or with one that is none."""
    orders: SimpleQueue[MeasureSpeed] = SimpleQueue()

    def read() -> None:
        try:
            for line in sys.stdin.buffer:
                orders.put(read_order(line))
        except msgspec.DecodeError:
            os._exit(EXIT_NONSENSE)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return orders
