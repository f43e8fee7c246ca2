"""Fetching a large file over HTTP: resumed where it was left, checked, then put in place at once.

Owns the unfinished file: `NAME.<hash>.partial` beside the final one, named after what it is going
to be, so that a file changed at its source is begun anew. Nobody ever sees half a file under its
final name, and a download that was ended in whatever way goes on where it stopped.
"""

import errno
import fcntl
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.units import Bytes, format_bytes

_PARTIAL_CONTENT = 206
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
"""Seconds without a byte; a download as a whole takes as long as it takes."""


class DownloadFailed(EdgeRouteError):
    """A file could not be fetched; what was fetched so far is kept."""

    code = "download_failed"
    http_status = 502


class DiskFull(EdgeRouteError):
    """There is no room for a file; what was fetched so far is kept."""

    code = "disk_full"
    http_status = 507


class Remote(NamedTuple):
    """A file somewhere else.

    Attributes:
        url: Redirects are followed.
        headers: Sent with the request; never to another host.
        size: Bytes.
        sha256: What its bytes must hash to.
    """

    url: str
    headers: Mapping[str, str]
    size: int
    sha256: str


def download(
    remote: Remote, target: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Bring a file here; a file that is already there is not asked for again.

    Args:
        remote: What to fetch.
        target: Its final name; the folder is made.
        progress: Called with the bytes that are here and the bytes in all.

    Raises:
        DownloadFailed: The server cannot be reached, refuses, or sends something else.
        DiskFull: There is no room; nothing is lost.
    """
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.{remote.sha256[:16]}.partial")
    with _full_disk_told(partial, remote.size), _locked(partial) as file:
        if target.exists():  # another process was quicker
            return
        _fetch(remote, file, progress)
        _check(file, remote, partial)
        partial.replace(target)


def _fetch(
    remote: Remote, file: io.BufferedRandom, progress: Callable[[int, int], None] | None
) -> None:
    """Append what is missing."""
    have = file.seek(0, 2)
    if have >= remote.size:
        return
    _refuse_full_disk(Path(file.name).parent, remote.size - have)
    headers = {**remote.headers, "accept-encoding": "identity"}
    if have:
        headers["range"] = f"bytes={have}-"
    try:
        with httpx2.stream(
            "GET", remote.url, headers=headers, follow_redirects=True, timeout=_TIMEOUT
        ) as answer:
            answer.raise_for_status()
            if answer.status_code != _PARTIAL_CONTENT:
                file.truncate(0)  # a server without ranges sends the whole file
            for block in answer.iter_raw():
                if file.write(block) and file.tell() > remote.size:
                    file.truncate(0)
                    raise DownloadFailed(f"{remote.url} sends more than it announced")
                if progress is not None:
                    progress(file.tell(), remote.size)
    except httpx2.HTTPStatusError as error:
        raise DownloadFailed(f"{remote.url} answered {error.response.status_code}") from error
    except httpx2.HTTPError as error:
        raise DownloadFailed(
            f"the download stopped after {format_bytes(Bytes(file.tell()))}: {error}",
            hint="pull it again: it goes on where it stopped",
        ) from error


def _check(file: io.BufferedRandom, remote: Remote, partial: Path) -> None:
    """Raise unless the bytes are those that were announced; others are thrown away."""
    if file.tell() < remote.size:
        raise DownloadFailed(
            f"the connection ended after {file.tell()} of {remote.size} bytes",
            hint="pull it again: it goes on where it stopped",
        )
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != remote.sha256:
        partial.unlink()
        raise DownloadFailed(
            f"{remote.url}: sha256 {found} is not {remote.sha256}, as announced",
            hint="pull it again; if that stays so, its source is broken",
        )


@contextmanager
def _locked(partial: Path) -> Iterator[io.BufferedRandom]:
    """The unfinished file, ours alone."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadFailed(
                f"another process downloads {partial.name}", hint="wait until it is done"
            ) from None
        yield file


@contextmanager
def _full_disk_told(partial: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_full(partial.parent, size) from error


def _refuse_full_disk(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise _disk_full(folder, needed)


def _disk_full(folder: Path, needed: int) -> DiskFull:
    free = format_bytes(Bytes(shutil.disk_usage(folder).free))
    return DiskFull(
        f"{folder} has {free} free and {format_bytes(Bytes(needed))} are needed",
        hint="make room there, or move the data folder with EDGEROUTE_DATA_DIR; then pull again",
    )
