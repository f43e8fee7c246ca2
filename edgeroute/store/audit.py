"""The audit log: one line per payload that left, chained, so that a change to any is found.

Owns the files: `audit.jsonl`, older segments beside it, the key of the chain, and the head, which
says how many records there must be. Every line is JSON and ends with the keyed hash of itself and
of the hash before it. Whoever has this user's rights has the key too: what is found is damage, and
the work of those who have not thought of it.

    append     all that wait are written, then synced once; only then does any of them count
    crash      half a line was never synced, and nothing was sent for it: it is cut off
    head       written after the sync and not synced: it may be behind, never ahead
"""

import asyncio
import errno
import fcntl
import os
import re
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgeroute.domain.audit import Departure
from edgeroute.domain.errors import AuditUnavailable
from edgeroute.wire.undecodable import UNDECODABLE

_HASH_BYTES = 16
_BEGINNING = bytes(_HASH_BYTES)
_TAIL = b',"hash":"'
_TAIL_SIZE = len(_TAIL) + 2 * _HASH_BYTES + len(b'"}\n')
_SEGMENT = re.compile(r"audit\.(\d{8})\.jsonl")
_SEGMENT_BYTES = 16 << 20
_MOST_SEGMENTS = 16
"""Kept beside the present one; some 600,000 records in all, then the oldest segment goes."""
_NEAR_END = 1 << 16
"""Bytes in which the last line is looked for; lines are some 400 bytes."""


class Head(msgspec.Struct, frozen=True):
    """How many records there are, which is the first that is still kept, and the last's hash."""

    first: int
    records: int
    hash: str


class Fault(NamedTuple):
    """A place at which the log is not what was written."""

    record: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the whole log found.

    Attributes:
        records: How many there are.
        faults: The first of each kind of damage, in order; empty where all is as it was written.
    """

    records: int
    faults: tuple[Fault, ...]


class Record(msgspec.Struct, frozen=True):
    """A line as it is read again.

    Attributes:
        digest: Keyed, of the payload: whether two were the same, and not what they were.
    """

    n: int
    departure: Departure
    digest: str
    hash: str


class _Link(msgspec.Struct, frozen=True, gc=False):
    """What a check reads of a line: a third of the time that the whole record takes."""

    n: int
    hash: str


_link_of: "msgspec.json.Decoder[_Link]" = msgspec.json.Decoder(_Link)
_line: "msgspec.json.Decoder[Record]" = msgspec.json.Decoder(Record)
_encode = msgspec.json.Encoder().encode


class AuditLog:
    """Writes the log of one daemon (see `ports.Audit`).

    Nothing is opened before the first record: a folder that cannot be written to keeps payloads
    from leaving, not the daemon from starting.

    Args:
        folder: Where it lies; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._waiting: deque[tuple[Departure, bytes, Future[None]]] = deque()
        self._open: _Open | None = None

    async def write(self, departure: Departure, body: bytes) -> None:
        """Write a record and sync it (see `ports.Audit`)."""
        written: Future[None] = Future()
        self._waiting.append((departure, body, written))
        self._thread.submit(self._write_waiting)
        await asyncio.wrap_future(written)

    def close(self) -> None:
        """Let go of the file; what waits is written."""
        self._thread.shutdown()
        self._let_go()

    def _write_waiting(self) -> None:
        batch = []
        while self._waiting:  # only this thread takes
            batch.append(self._waiting.popleft())
        if not batch:
            return
        try:
            if self._open is not None and self._open.gone:
                self._let_go()
            if self._open is None:
                self._open = _Open(self._folder)
            self._open.append([(departure, body) for departure, body, _ in batch])
        except OSError as error:
            self._let_go()  # it is opened anew, and looked at, for the next record
            for *_, written in batch:
                written.set_exception(_unavailable(error))
        else:
            for *_, written in batch:
                written.set_result(None)
            self._tell_head(self._open)

    def _tell_head(self, opened: "_Open") -> None:
        """What is written may go; the head, which may be behind, holds nobody up."""
        try:
            opened.write_head()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Open:
    """The present segment, open for appending, and where the chain stands."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = _key(folder)
        self._path = folder / "audit.jsonl"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._file, 0o600)
            self._head = self._found()
            _sync_folder(folder)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def gone(self) -> bool:
        """Whether somebody has moved the file away or taken lines from its end."""
        try:
            there = self._path.stat()
        except OSError:
            return True
        return there.st_ino != os.fstat(self._file).st_ino or there.st_size != self._size

    def append(self, departures: list[tuple[Departure, bytes]]) -> None:
        """Write records and sync; where that fails nothing of them is left."""
        head, lines = self._head, []
        for departure, body in departures:
            count = head.records + 1
            digest = blake2b(body, digest_size=_HASH_BYTES, key=self._key).hexdigest()
            told = _encode({"n": count, "departure": departure, "digest": digest})[:-1]
            link = _link(self._key, bytes.fromhex(head.hash), told)
            lines.append(told + _TAIL + link.encode() + b'"}\n')
            head = Head(head.first, count, link)
        data = b"".join(lines)
        try:
            _write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._head = head

    def write_head(self) -> None:
        """Say how many records there are, and begin a new segment where this one is full."""
        _write_head(self._folder, self._head)
        if self._size >= _SEGMENT_BYTES:
            self._turn_over()

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._file)

    def _found(self) -> Head:
        """Where the chain stands; half a line is cut off."""
        self._size = os.fstat(self._file).st_size
        end = os.pread(self._file, _NEAR_END, max(0, self._size - _NEAR_END))
        torn = len(end) - (end.rfind(b"\n") + 1)
        if torn:
            self._size -= torn
            os.ftruncate(self._file, self._size)
        known = read_head(self._folder) or Head(1, 0, _BEGINNING.hex())
        lines = end[: len(end) - torn].splitlines()
        try:
            last = _line.decode(lines[-1]) if lines else None
        except UNDECODABLE:
            last = None
        # What is missing stays missing: the chain goes on from where the head says that it was.
        if last is None or last.n < known.records:
            return known
        return Head(known.first, last.n, last.hash)

    def _turn_over(self) -> None:
        """Begin a new segment; the chain goes through, the oldest one goes."""
        older = self._folder / f"audit.{self._head.records:08}.jsonl"
        self._path.rename(older)
        kept = segments(self._folder)
        first = self._head.first
        for path in kept[: -_MOST_SEGMENTS - 1]:
            first = int(path.name.split(".")[1]) + 1
            path.unlink()
        _write_head(self._folder, msgspec.structs.replace(self._head, first=first))


def segments(folder: Path) -> list[Path]:
    """The files of a log that are there, the oldest first."""
    older = sorted(path for path in folder.glob("audit.*.jsonl") if _SEGMENT.fullmatch(path.name))
    present = folder / "audit.jsonl"
    return [*older, present] if present.exists() else older


def records(folder: Path) -> Iterator[Record]:
    """Every record that can be read, the oldest first."""
    for path in segments(folder):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield _line.decode(line)
                except UNDECODABLE:
                    continue  # `verify` tells of it


def verify(folder: Path) -> Verdict:
    """Check every record, its place in the chain, and that none is missing at either end.

    Raises:
        OSError: The files cannot be read.
    """
    paths = segments(folder)
    if not paths and read_head(folder) is None:
        return Verdict(0, ())
    return _Check(folder).run(paths)


class _Check:
    """One walk along the chain."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = _key(folder, make=False)
        self._faults: list[Fault] = []
        self._count = 0
        self._expected: int | None = None
        self._hash: bytes | None = None

    def run(self, paths: list[Path]) -> Verdict:
        head = read_head(self._folder)
        for path in paths:
            if path.stat().st_mode & 0o077:
                self._faults.append(Fault(self._expected or 1, f"{path.name} is open to others"))
            with path.open("rb") as file:
                for line in file:
                    self._look(line, head)
        if head is None:
            self._faults.append(Fault(self._count, "the head is missing: the end may be cut off"))
        elif (self._expected or head.first) <= head.records:
            missing = f"records {self._expected or head.first} to {head.records} are missing"
            self._faults.append(Fault(head.records, missing))
        return Verdict(self._count, tuple(self._faults[:10]))

    def _look(self, line: bytes, head: Head | None) -> None:
        if self._expected is None:
            first = 1 if head is None else head.first
            self._expected, self._hash = first, _BEGINNING if first == 1 else None
        if not line.endswith(b"\n") and head is not None and self._expected > head.records:
            return  # it was being written, or a crash has torn it: nothing was sent for it
        self._count += 1
        told = line[:-_TAIL_SIZE]
        try:
            record = _link_of.decode(line)
        except UNDECODABLE:
            record = None
        if record is None or not line.startswith(_TAIL, len(told)):
            self._fault("the line cannot be read")
            self._expected, self._hash = self._expected + 1, None
            return
        if record.n != self._expected:
            self._fault(f"record {record.n} stands in its place")
        if self._hash is not None and _link(self._key, self._hash, told) != record.hash:
            self._fault("the record or the one before it is not as it was written")
        self._expected = record.n + 1
        try:
            self._hash = bytes.fromhex(record.hash)
        except ValueError:
            self._hash = None

    def _fault(self, what: str) -> None:
        assert self._expected is not None  # noqa: S101 - set with the first line
        self._faults.append(Fault(self._expected, what))


def read_head(folder: Path) -> Head | None:
    """The head, `None` where there is none that can be read."""
    try:
        return msgspec.json.decode((folder / "audit.head").read_bytes(), type=Head)
    except (FileNotFoundError, *UNDECODABLE):
        return None


def _write_head(folder: Path, head: Head) -> None:
    partial = folder / "audit.head.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _encode(head))
    finally:
        os.close(descriptor)
    partial.replace(folder / "audit.head")


def _write_all(file: int, data: bytes) -> None:
    if os.write(file, data) < len(data):  # as on a disk that fills up
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: Path) -> None:
    """The file's name must outlive a crash as its lines do."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(key: bytes, before: bytes, told: bytes) -> str:
    return blake2b(before + told, digest_size=_HASH_BYTES, key=key).hexdigest()


def _key(folder: Path, *, make: bool = True) -> bytes:
    path = folder / "audit.key"
    try:
        return path.read_bytes()[:64]
    except FileNotFoundError:
        if not make:
            return b""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_bytes(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return key


def _unavailable(error: OSError) -> AuditUnavailable:
    return AuditUnavailable(
        f"nothing leaves this device: the audit log cannot be written ({error.strerror})",
        hint="make room for it, or let the daemon write to its state folder",
    )
