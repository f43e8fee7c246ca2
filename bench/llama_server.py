#!/usr/bin/env python3
"""Build the peer of `bench/engine.py`: a native llama-server of the very llama.cpp that we run.

The source is the one inside llama-cpp-python's sdist, pinned like the wheel, so that commit, flags
and compiler are the same and what differs is the serving loop. Built once (about 5 minutes on two
cores) and kept beside the wheels.

Usage: python bench/llama_server.py      prints the path of the binary
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from places import cache, download

ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    *("-DGGML_NATIVE=ON", "-DGGML_OPENMP=ON"),  # as `setup_hw.sh plan` builds the wheel for a CPU
    *("-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF"),
    *("-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"),
    *("-DLLAMA_BUILD_APP=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF"),
]


def pinned(name: str) -> str:
    """A value that `setup_hw.sh` pins."""
    found = re.search(rf"^{name}=(\S+)", (ROOT / "setup_hw.sh").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def binary() -> Path:
    """Where the binary is, built or not: one folder per version and flags."""
    key = hashlib.sha256(" ".join([pinned("LLAMA"), *FLAGS]).encode()).hexdigest()[:16]
    return cache() / "llama-server" / key / "llama-server"


def build() -> Path:
    """Return the binary, building it where it is missing.

    Raises:
        SystemExit: The source's sha256 is not the pinned one.
    """
    target = binary()
    if target.exists():
        return target
    work = target.parent.with_suffix(".work")
    work.mkdir(parents=True, exist_ok=True)
    source = _source(work)
    objects = work / "objects"
    configure = ["cmake", "-S", str(source), "-B", str(objects), *FLAGS]
    if shutil.which("ninja"):
        configure += ["-G", "Ninja"]
    _run(configure)
    jobs = str(len(os.sched_getaffinity(0)))
    _run(["cmake", "--build", str(objects), "--target", "llama-server", "-j", jobs])
    target.parent.mkdir(parents=True, exist_ok=True)
    (objects / "bin" / "llama-server").rename(target)
    shutil.rmtree(work)
    return target


def _source(work: Path) -> Path:
    unpacked = work / "source"
    if not unpacked.exists():
        source = ("--no-build-isolation", "--no-binary", "llama-cpp-python")
        download([pinned("LLAMA")], work, *source)
        (archive,) = work.glob("llama_cpp_python-*.tar.gz")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != pinned("LLAMA_SHA256"):
            archive.unlink()
            raise SystemExit(f"the source's sha256 is {digest}, not the pinned one")
        with tarfile.open(archive) as tar:
            tar.extractall(work / "unpacking", filter="data")
        archive.unlink()
        (top,) = (work / "unpacking").iterdir()
        top.rename(unpacked)
    return unpacked / "vendor" / "llama.cpp"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    print(build())
