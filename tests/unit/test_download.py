"""Downloads: resumed, checked, and never half there under their final name."""

import errno
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeroute.catalog.download import Remote, download
from edgeroute.catalog.unfinished import DiskFull, DownloadFailed
from tests.file_server import FileServer, serving

BODY = hashlib.shake_128(b"a model").digest(300_000)
PATH = "/m.gguf"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer({PATH: BODY})) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "pulled" / "m.gguf"


def remote(server: FileServer) -> Remote:
    return Remote(server.url + PATH, {}, len(BODY), server.sha256(PATH))


def partials(target: Path) -> list[Path]:
    return list(target.parent.glob("*.partial"))


def test_a_file_is_fetched_once(server: FileServer, target: Path) -> None:
    told: list[tuple[int, int]] = []
    download(remote(server), target, lambda done, size: told.append((done, size)))
    download(remote(server), target)
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert server.asked == [(PATH, None)]
    assert partials(target) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_what_was_cut_off_goes_on(server: FileServer, target: Path, *, ranges: bool) -> None:
    server.cut_after, server.ranges = 100_000, ranges
    with pytest.raises(DownloadFailed) as failed:
        download(remote(server), target)
    assert failed.value.hint == "pull it again: it goes on where it stopped"
    assert not target.exists()
    (partial,) = partials(target)
    had = partial.stat().st_size
    assert 0 < had <= 100_000
    server.cut_after = None
    download(remote(server), target)
    assert target.read_bytes() == BODY
    assert server.asked[1] == (PATH, f"bytes={had}-")


def test_a_file_that_changed_at_its_source_is_begun_anew(server: FileServer, target: Path) -> None:
    server.cut_after = 100_000
    with pytest.raises(DownloadFailed):
        download(remote(server), target)
    server.cut_after = None
    server.files[PATH] = bytes(reversed(BODY))
    download(remote(server), target)
    assert target.read_bytes() == bytes(reversed(BODY))
    assert server.asked[1] == (PATH, None)


def test_other_bytes_than_announced_are_thrown_away(server: FileServer, target: Path) -> None:
    wanted = remote(server)
    server.files[PATH] = bytes(len(BODY))
    with pytest.raises(DownloadFailed, match=r"is not \w+, as announced"):
        download(wanted, target)
    assert not target.exists()
    assert partials(target) == []
    server.files[PATH] = BODY
    download(wanted, target)
    assert target.read_bytes() == BODY


def test_more_bytes_than_announced_are_not_taken(server: FileServer, target: Path) -> None:
    wanted = remote(server)
    server.files[PATH] = BODY + b"x"
    with pytest.raises(DownloadFailed, match="more than it announced"):
        download(wanted, target)
    assert not target.exists()


def test_a_refusal_keeps_what_is_there(server: FileServer, target: Path) -> None:
    server.cut_after = 100_000
    with pytest.raises(DownloadFailed):
        download(remote(server), target)
    had = partials(target)[0].stat().st_size
    wanted, body = remote(server), server.files.pop(PATH)
    with pytest.raises(DownloadFailed, match="answered 404"):
        download(wanted, target)
    assert partials(target)[0].stat().st_size == had
    server.files[PATH], server.cut_after = body, None
    download(wanted, target)
    assert target.read_bytes() == BODY


def test_no_server_at_all_is_said(server: FileServer, target: Path) -> None:
    with pytest.raises(DownloadFailed, match="the download stopped after 0"):
        download(remote(server)._replace(url="http://127.0.0.1:1/m.gguf"), target)


def test_a_token_stays_with_its_host(server: FileServer, target: Path) -> None:
    token = {"authorization": "Bearer secret"}
    with serving(FileServer({PATH: BODY})) as elsewhere:
        server.moved[PATH] = elsewhere.url.replace("127.0.0.1", "localhost") + PATH
        download(remote(server)._replace(headers=token), target)
        assert (server.authorised, elsewhere.authorised) == (["Bearer secret"], [None])
    assert target.read_bytes() == BODY


def test_two_at_once_are_refused(server: FileServer, target: Path) -> None:
    def again(_done: int, _size: int) -> None:
        with pytest.raises(DownloadFailed, match="another process downloads"):
            download(remote(server), target)

    download(remote(server), target, again)
    assert target.read_bytes() == BODY


class Usage(NamedTuple):
    free: int


def test_a_full_disk_is_told_before_the_first_byte(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(1000))
    with pytest.raises(DiskFull, match=r"1000 B free and 293\.0 KiB are needed"):
        download(remote(server), target)
    assert server.asked == []


def test_a_disk_that_fills_meanwhile_loses_nothing(server: FileServer, target: Path) -> None:
    def fills(done: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull):
        download(remote(server), target, fills)
    assert len(partials(target)) == 1
    download(remote(server), target)
    assert target.read_bytes() == BODY
