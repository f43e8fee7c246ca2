"""Files on their way here: resumed where they were left, checked, then put in place at once.

Owns the unfinished files: `NAME.<hash>.partial` beside each final one, named after what they are
going to be, so that a file changed at its source is begun anew. Nobody ever sees half a file under
its final name, and what was ended in whatever way goes on where it stopped.
"""

import errno
import fcntl
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.units import Bytes, format_bytes

GOES_ON = "pull it again: it goes on where it stopped"

Progress = Callable[[int, int], None]
"""Bytes that are here, bytes in all."""
Fetch = Callable[[int, io.BufferedRandom, Callable[[int], None]], None]
"""Appends to one of the files, by its number, what is missing; tells how long it is by now."""


class DownloadFailed(EdgeRouteError):
    """A file could not be fetched; what was fetched so far is kept."""

    code = "download_failed"
    http_status = 502


class DiskFull(EdgeRouteError):
    """There is no room for a file; what was fetched so far is kept."""

    code = "disk_full"
    http_status = 507


class Whole(NamedTuple):
    """What is to be here in the end.

    Attributes:
        source: Where it comes from, in words.
        sizes: Bytes of each file.
        sha256: What the bytes of all files, as if they were one, must hash to.
    """

    source: str
    sizes: Sequence[int]
    sha256: str


def complete(
    whole: Whole, targets: Sequence[Path], fetch: Fetch, progress: Progress | None = None
) -> None:
    """Bring files here; where all are already there nothing is asked for.

    Args:
        whole: What they are.
        targets: Their final names, in one folder, which is made.
        fetch: Asked only for what is missing.
        progress: Told how far it is.

    Raises:
        DownloadFailed: They cannot be fetched, or are something else.
        DiskFull: There is no room; nothing is lost.
    """
    if all(target.exists() for target in targets):
        return
    partials = [
        target.with_name(f"{target.name}.{whole.sha256[:16]}.partial") for target in targets
    ]
    folder, total = targets[0].parent, sum(whole.sizes)
    folder.mkdir(parents=True, exist_ok=True)
    with _full_disk_told(folder, total), ExitStack() as held:
        files = [held.enter_context(_locked(partial)) for partial in partials]
        if all(target.exists() for target in targets):  # another process was quicker
            return
        have = [file.seek(0, io.SEEK_END) for file in files]
        _refuse_full_disk(folder, total - sum(have))
        for number, (file, size) in enumerate(zip(files, whole.sizes, strict=True)):
            if have[number] < size:
                others = sum(have) - have[number]
                fetch(number, file, _Counted(progress, others, total))
                have[number] = file.tell()
        _check(whole, files, partials)
        for partial, target in zip(partials, targets, strict=True):
            partial.replace(target)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one file has, told with what the others have."""

    progress: Progress | None
    others: int
    total: int

    def __call__(self, done: int) -> None:
        if self.progress is not None:
            self.progress(self.others + done, self.total)


def _check(whole: Whole, files: Sequence[io.BufferedRandom], partials: Sequence[Path]) -> None:
    """Raise unless the bytes are those that were announced; others are thrown away."""
    digest = hashlib.sha256()
    for file, size in zip(files, whole.sizes, strict=True):
        if (have := file.seek(0, io.SEEK_END)) < size:
            raise DownloadFailed(f"the connection ended after {have} of {size} bytes", hint=GOES_ON)
        file.seek(0)
        hashlib.file_digest(file, lambda: digest)
    found = digest.hexdigest()
    if found != whole.sha256:
        for partial in partials:
            partial.unlink()
        raise DownloadFailed(
            f"{whole.source}: sha256 {found} is not {whole.sha256}, as announced",
            hint="pull it again; if that stays so, its source is broken",
        )


@contextmanager
def _locked(partial: Path) -> Iterator[io.BufferedRandom]:
    """An unfinished file, ours alone."""
    with partial.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadFailed(
                f"another process downloads {partial.name}", hint="wait until it is done"
            ) from None
        yield file


@contextmanager
def _full_disk_told(folder: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_full(folder, size) from error


def _refuse_full_disk(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise _disk_full(folder, needed)


def _disk_full(folder: Path, needed: int) -> DiskFull:
    free = format_bytes(Bytes(shutil.disk_usage(folder).free))
    return DiskFull(
        f"{folder} has {free} free and {format_bytes(Bytes(needed))} are needed",
        hint="make room there, or move the data folder with EDGEROUTE_DATA_DIR; then pull again",
    )
