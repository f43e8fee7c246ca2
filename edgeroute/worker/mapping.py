"""Pages of this process that it does not need, or not yet: given back to the kernel.

- Those of a mapped model file that loading alone needed. llama.cpp copies some weights into the
  order its kernels like ("repacking") and never reads the originals again, but they stay mapped: of
  Qwen2.5 1.5B Q4_K_M's 1066 MiB 468 are dead weight. Given back they are page cache like any other.
- Cells that no token has filled. llama.cpp writes zeros over the whole KV cache when it makes it:
  360 MiB for 16 slots of 1,024 tokens (SmolLM2), of which 16 conversations of 128 tokens fill 45.

What a worker is measured to hold is then what it uses; what it may come to use it says.
"""

import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4
"""Of Linux: drops the pages from this process. Those of a file stay in the page cache, anonymous
ones read as zeros again."""
_MADV_NOHUGEPAGE = 15
"""A page of 2 MiB would come back whole for one token of one layer."""
_BLOCK = 1 << 20
"""Bytes that are compared with zeros at once."""
_LEAST_RUN = 4 * _BLOCK
"""Bytes of zeros from which on they are given back. While they are looked at and given back the
interpreter makes objects of its own; it takes memory for them by 1 MiB at most, and uses it from
its beginning, so that they are never inside such a run."""


def give_back_pages(path: str) -> None:
    """Unmap every page of a mapped file; the next read of one brings it back, a minor fault.

    Does nothing where there is no `/proc/self/maps`.
    """
    if sys.platform != "linux":
        return
    madvise = _libc().madvise
    file = os.path.realpath(path)
    for start, end, _, name in _mappings():
        if name == file:
            madvise(start, end - start, _MADV_DONTNEED)  # advice: a refusal costs only memory


def give_back_zeros() -> int:
    """Give back anonymous memory that holds zeros; what is read of it later is zeros again.

    To be called while nothing else in this process computes.

    Returns:
        Bytes that this process holds less now, and may all come to hold again; 0 where there is
        no `/proc`.
    """
    if sys.platform != "linux":
        return 0
    libc = _libc()
    held = _anonymous_bytes()
    for start, end, access, name in _mappings():
        if name or access != "rw-p" or end - start < _LEAST_RUN:
            continue
        for first, last in _zeros(libc, start, end):
            libc.madvise(first, last - first, _MADV_NOHUGEPAGE)
            libc.madvise(first, last - first, _MADV_DONTNEED)
    return max(0, held - _anonymous_bytes())


def _zeros(libc: ctypes.CDLL, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of blocks of zeros that are long enough, as addresses."""
    zeros = bytes(_BLOCK)
    first = start
    for block in range(start, end, _BLOCK):
        size = min(_BLOCK, end - block)
        if libc.memcmp(block, zeros, size):
            if block - first >= _LEAST_RUN:
                yield first, block
            first = block + size
    if end - first >= _LEAST_RUN:
        yield first, end


def _anonymous_bytes() -> int:
    _, resident, shared, *_ = Path("/proc/self/statm").read_text("utf-8").split()
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def _mappings() -> Iterator[tuple[int, int, str, str]]:
    """Start, end, access and name of all memory of this process; anonymous memory has no name."""
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        addresses, access, _offset, _device, _inode, *name = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        yield start, end, access, name[0] if name else ""


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return libc
