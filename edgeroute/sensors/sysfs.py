"""The text files of one machine: its own `/proc` and `/sys`, or a folder that stands for a machine.

Owns what a failed read means: "not there" is an answer, "not readable" is a `Gap`. Must not know
what any file says.
"""

import errno
import os
import re
from pathlib import Path

from edgeroute.domain.hardware import Gap

_CHUNK = 1 << 16
_LIMIT = 4 << 20
"""The longest file that is read; `/proc/cpuinfo` of 1024 processors is under 2 MiB."""

_NOT_THERE = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR,
        errno.ESRCH,  # the process ended
        errno.ENODEV, errno.ENXIO,  # the device left between listing and reading
        errno.EAGAIN, errno.EINVAL, errno.ENODATA,  # the driver has no value now: a gated sensor
        errno.EOPNOTSUPP,  # pressure accounting built in but switched off
    }
)  # fmt: skip
_PADDING = " \t\n\0"  # the device tree ends its strings with NUL
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


class Tree:
    """One reading of one machine's files.

    Args:
        root: `/`, or a folder that stands for a machine. No link leads out of such a folder, so
            that nothing of the real machine is taken for the drawn one.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.real = root == Path("/")
        self._root = "" if self.real else os.path.realpath(root)
        self._gaps: dict[str, Gap] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read so far, one per file or sensor."""
        return tuple(self._gaps.values())

    def gap(self, what: str, why: str) -> None:
        """Record that something could not be read."""
        self._gaps.setdefault(what, Gap(what, why))

    def failed(self, what: str) -> bool:
        """Whether something of that name, or in that folder, could not be read."""
        return any(name.startswith(what) for name in self._gaps)

    def read(self, path: str) -> str | None:
        """Text of a file without padding around it; `None` where it is not there or unreadable."""
        try:
            return self.fetch(path).decode(errors="replace").strip(_PADDING)
        except (OSError, ValueError) as error:
            self._failed(path, error)
            return None

    def integer(
        self, path: str, *, low: int = 0, high: int = 1 << 63, word: str | None = None
    ) -> int | None:
        """A file that holds one number.

        Args:
            path: Absolute in the machine.
            low: Least number that makes sense; a lesser one is a gap.
            high: Greatest number that makes sense.
            word: What the file says instead where there is no number, such as `max`.
        """
        text = self.read(path)
        if text is None or text == word:
            return None
        if not _INTEGER.fullmatch(text):
            self.gap(path, f"{text[:40]!r} is not a number")
            return None
        if not low <= int(text) <= high:
            self.gap(path, f"{text} is out of range")
            return None
        return int(text)

    def names(self, folder: str) -> list[str]:
        """Names in a folder, `zone2` before `zone10`; empty where it is not there or unreadable."""
        try:
            return sorted(self.listing(folder), key=lambda name: (len(name), name))
        except (OSError, ValueError) as error:
            self._failed(folder, error)
            return []

    def fetch(self, path: str) -> bytes:
        """Bytes of a file.

        Raises:
            OSError: It cannot be read.
            ValueError: The path has a NUL inside.
        """
        # Without O_NONBLOCK a pipe in a drawn tree would hold up the reading for ever.
        file = os.open(self._inside(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        content = bytearray()
        try:
            while chunk := os.read(file, _CHUNK):
                content += chunk
                if len(content) > _LIMIT:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        finally:
            os.close(file)
        return bytes(content)

    def listing(self, folder: str) -> list[str]:
        """Names in a folder, in any order; raises like `fetch`."""
        with os.scandir(self._inside(folder)) as entries:
            return [entry.name for entry in entries]

    def _inside(self, path: str) -> str:
        if self.real:
            return path
        located = os.path.realpath(self._root + path)
        if not located.startswith(self._root + os.sep):
            raise OSError(errno.EXDEV, f"leads out of {self._root}")
        return located

    def _failed(self, path: str, error: OSError | ValueError) -> None:
        if isinstance(error, ValueError):
            self.gap(path, str(error))
        elif error.errno not in _NOT_THERE:
            self.gap(path, error.strerror or str(error))
