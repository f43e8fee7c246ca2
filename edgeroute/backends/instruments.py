"""Model files measured and written anew, each time in a process that is waited for.

Owns the processes of `worker.measure` and `worker.requantise`: their start, their messages, and
that none outlives its user. Unlike workers they serve nobody, so whoever starts one blocks.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from edgeroute.backends.environment import worker_environment
from edgeroute.domain.errors import EdgeRouteError, LoadFailed, WorkerDied
from edgeroute.wire.measuring import (
    Failed,
    MeasureSpeed,
    Quality,
    Ready,
    Requantised,
    Said,
    Share,
    Speed,
    encode_line,
    read_said,
)

Progress = Callable[[float], None]
"""Told the share of the work that is done, 0..1."""
T = TypeVar("T")


class CannotRequantise(EdgeRouteError):
    """llama.cpp does not write this file in that format."""

    code = "cannot_requantise"
    http_status = 422


class NoSpace(EdgeRouteError):
    """A file system takes no more bytes."""

    code = "no_space"
    http_status = 507


class Speedometer:
    """A loaded model whose speed is asked for again and again; close it.

    Args:
        model: The file.
        texts: Files to make prompts of.
        cpus: CPUs to keep to; without any, all that we may use.

    Attributes:
        pid: Its process.

    Raises:
        LoadFailed: In llama.cpp's words.
        WorkerDied: It was killed.
    """

    def __init__(self, model: Path, texts: Sequence[Path], cpus: Sequence[int] = ()) -> None:
        keep_to = ("--cpus", ",".join(map(str, cpus))) if cpus else ()
        self._process = _Process("measure", "speed", model, *texts, *keep_to)
        self.pid = self._process.pid
        try:
            self._process.hear(Ready)
        except BaseException:
            self.close()
            raise

    def measure(self, sequences: int, threads: int, tokens: int) -> Speed:
        """Let it answer once; see `MeasureSpeed`.

        Raises:
            WorkerDied: It was killed.
        """
        self._process.order(MeasureSpeed(sequences, threads, tokens))
        return self._process.hear(Speed)

    def close(self) -> None:
        """End it."""
        self._process.end()


def measure_quality(
    model: Path, texts: Sequence[Path], threads: int, progress: Progress | None = None
) -> Quality:
    """Let a model read texts.

    Raises:
        LoadFailed: In llama.cpp's words.
        WorkerDied: The process was killed.
    """
    process = _Process("measure", "quality", model, *texts, "--threads", threads)
    try:
        return process.hear(Quality, progress)
    finally:
        process.end()


def requantised_bytes(source: Path, format_: str) -> int:
    """Bytes that the weights of a file would have in another format; the header comes on top.

    Raises:
        CannotRequantise: In llama.cpp's words.
        WorkerDied: The process was killed.
    """
    nowhere = Path(os.devnull)
    return _requantise(source, nowhere, format_, "--threads", 1, "--dry-run").tensor_bytes


def requantise(
    source: Path, target: Path, format_: str, threads: int, progress: Progress | None = None
) -> None:
    """Write a model file in another format; after a failure there is no target.

    Args:
        source: The file; it is only read.
        target: Replaced where it is there.
        format_: A name of `wire.ggml.FILE_TYPES`.
        threads: To compute with.
        progress: Told how far it is.

    Raises:
        CannotRequantise: In llama.cpp's words.
        NoSpace: The file system is full.
        WorkerDied: The process was killed.
    """
    try:
        _requantise(source, target, format_, "--threads", threads, progress=progress)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _requantise(
    source: Path, target: Path, *arguments: str | int, progress: Progress | None = None
) -> Requantised:
    process = _Process("requantise", source, target, *arguments)
    try:
        return process.hear(Requantised, progress)
    finally:
        process.end()


class _Process:
    """One process of `edgeroute.worker`, and the lines that go to and fro."""

    def __init__(self, module: str, *arguments: str | int | Path) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-m", f"edgeroute.worker.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(os.environ.items()),
            start_new_session=True,  # Ctrl-C is for us; we end it
        )
        assert self._process.stdin is not None  # noqa: S101 - pipes, as asked for
        assert self._process.stdout is not None  # noqa: S101
        self._orders, self._lines = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def order(self, message: MeasureSpeed) -> None:
        try:
            self._orders.write(encode_line(message))
            self._orders.flush()
        except BrokenPipeError:
            raise self._death() from None

    def hear(self, kind: type[T], progress: Progress | None = None) -> T:
        """Wait for its answer; anything but `kind` is raised."""
        for line in self._lines:
            said = self._read(line)
            if isinstance(said, kind):
                return said
            if isinstance(said, Share) and progress is not None:
                progress(said.share)
            if isinstance(said, Failed):
                raise self._failure(said)
        raise self._death()

    def _read(self, line: bytes) -> Said:
        try:
            return read_said(line)
        except msgspec.DecodeError as error:
            raise WorkerDied(f"the process that should {self._module} makes no sense") from error

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()
        with suppress(BrokenPipeError):
            self._orders.close()

    def _failure(self, said: Failed) -> EdgeRouteError:
        if said.no_space:
            return NoSpace(f"the new file could not be written: {said.message}")
        return (CannotRequantise if self._module == "requantise" else LoadFailed)(said.message)

    def _death(self) -> WorkerDied:
        status = self._process.wait()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return WorkerDied(f"the process that should {self._module} was ended {how}")
