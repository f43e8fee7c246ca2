"""Reading a model's files before its worker asks for them."""

import os
from pathlib import Path

from edgeroute.wire.parts import parts_of


def read_ahead(path: str) -> None:
    """Have the kernel bring a model's files into the page cache, all parts of it.

    A worker's process takes a third of a second to start, in which a disk reads a small model
    whole. Advice: what cannot be read is told by the load itself, and macOS knows no such call.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        for part in parts_of(Path(path)):
            descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)
    except OSError:
        return
