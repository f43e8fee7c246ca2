"""Pages of a mapped model file: give back those that loading alone needed.

llama.cpp copies some weights into the order its kernels like ("repacking") and never reads the
originals again, but they stay mapped: of Qwen2.5 1.5B Q4_K_M's 1066 MiB 468 are dead weight. Given
back they are page cache like any other, and what a worker is measured to hold is what it uses.
"""

import ctypes
import os
import sys
from pathlib import Path

from edgeroute.wire.parts import parts_of

_MADV_DONTNEED = 4
"""Of Linux: for a mapped file it drops the pages from this process, not from the page cache."""


def give_back_pages(path: str) -> None:
    """Unmap every page of a mapped model, all its parts; the next read of one is a minor fault.

    Does nothing where there is no `/proc/self/maps`.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    files = {os.path.realpath(part) for part in parts_of(Path(path))}
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        addresses, *_, name = line.split(maxsplit=5)
        if name in files:
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(start, end - start, _MADV_DONTNEED)  # advice: a refusal costs only memory
