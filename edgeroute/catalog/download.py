"""Fetching a large file over HTTP, from where an earlier try stopped.

Owns what a server's answers mean; the file itself is `unfinished`'s.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx2

from edgeroute.catalog.unfinished import (
    GOES_ON,
    DownloadFailed,
    Progress,
    Whole,
    complete,
)
from edgeroute.domain.units import Bytes, format_bytes

_PARTIAL_CONTENT = 206
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
"""Seconds without a byte; a download as a whole takes as long as it takes."""


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


def download(remote: Remote, target: Path, progress: Progress | None = None) -> None:
    """Bring a file here; a file that is already there is not asked for again.

    Args:
        remote: What to fetch.
        target: Its final name; the folder is made.
        progress: Told how far it is.

    Raises:
        DownloadFailed: The server cannot be reached, refuses, or sends something else.
        DiskFull: There is no room; nothing is lost.
    """
    whole = Whole(remote.url, (remote.size,), remote.sha256)
    complete(whole, (target,), partial(_fetch, remote), progress)


def _fetch(
    remote: Remote, _number: int, file: io.BufferedRandom, told: Callable[[int], None]
) -> None:
    """Append what is missing."""
    have = file.tell()
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
                told(file.tell())
    except httpx2.HTTPStatusError as error:
        raise DownloadFailed(f"{remote.url} answered {error.response.status_code}") from error
    except httpx2.HTTPError as error:
        raise DownloadFailed(
            f"the download stopped after {format_bytes(Bytes(file.tell()))}: {error}",
            hint=GOES_ON,
        ) from error
