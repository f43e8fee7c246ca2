"""A cable that can be made bad: these kernels have no netem, so a process carries the frames.

    python cable.py NEAR FAR

Makes two cards in its network namespace, each with a tap, and carries whole Ethernet frames from
one to the other. What is lost here is lost as on a bad radio: both kernels' TCP finds it out and
sends again. A line `DELAY_S LOSS` on stdin holds from then on, for each way alone, and is answered
with `ok`. The cards go when the process does.
"""

import asyncio
import fcntl
import os
import random
import struct
import sys

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
_LONGEST = 1 << 16
"""Bytes of a frame."""


def tap(name: str) -> int:
    """A new card's other side."""
    side = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(side, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    return side


class Cable:
    """Carries frames, late or never."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.delay_s = 0.0
        self.loss = 0.0
        self._loop = loop
        self._chance = random.Random(7)  # noqa: S311 - chance, not secrecy

    def carry(self, source: int, sink: int) -> None:
        """Take every frame that waits at one end."""
        while True:
            try:
                frame = os.read(source, _LONGEST)
            except BlockingIOError:
                return
            except OSError:  # the card went with its namespace
                self._loop.remove_reader(source)
                return
            if self._chance.random() < self.loss:
                continue
            if self.delay_s:
                self._loop.call_later(self.delay_s, put, sink, frame)
            else:
                put(sink, frame)


def put(sink: int, frame: bytes) -> None:
    """Hand a frame to a card; one that is down, or whose queue is full, loses it."""
    try:
        os.write(sink, frame)
    except OSError:
        return


async def main(near: str, far: str) -> None:
    loop = asyncio.get_running_loop()
    cable, ends = Cable(loop), (tap(near), tap(far))
    loop.add_reader(ends[0], cable.carry, ends[0], ends[1])
    loop.add_reader(ends[1], cable.carry, ends[1], ends[0])
    sys.stdout.write("ok\n")
    sys.stdout.flush()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        cable.delay_s, cable.loss = map(float, line.split())
        sys.stdout.write("ok\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
