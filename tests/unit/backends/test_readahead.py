"""Reading ahead is advice: whole, of every part, and never a failure."""

import os
from pathlib import Path

import pytest

from edgeroute.backends.readahead import read_ahead


def test_every_part_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [tmp_path / f"big-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(b"x" * 10)
    asked: list[tuple[str, int, int, int]] = []

    def note(descriptor: int, offset: int, length: int, advice: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        asked.append((name, offset, length, advice))

    monkeypatch.setattr(os, "posix_fadvise", note)
    before = set(Path("/proc/self/fd").iterdir())
    read_ahead(str(parts[0]))
    assert asked == [(part.name, 0, 0, os.POSIX_FADV_WILLNEED) for part in parts]
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("name", ["gone.gguf", "gone-00001-of-00002.gguf", "."])
def test_what_cannot_be_read_is_left_to_the_load(tmp_path: Path, name: str) -> None:
    read_ahead(str(tmp_path / name))
