"""The journal: decisions, how they ended, and what was measured, in one SQLite file.

Owns the file and one thread that alone touches it, so the event loop never waits for a disk; what
it forgets is `bounds`' to say.
Writes are queued in order; a read comes after every write that was asked for before it. Holds no
prompt text: what it is given are features.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from edgeroute.domain.belief import BucketKey, Counts
from edgeroute.domain.calibration import Calibration
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Rates
from edgeroute.domain.units import Bytes, RequestId
from edgeroute.ports import DecisionRow
from edgeroute.store.bounds import LOOK_EVERY, let_go
from edgeroute.store.packing import add_packing

_log = logging.getLogger(__name__)

_BUSY_S = 0.2
"""Seconds that a write waits where another process has locked the file; then the row is lost."""
_CLOSE_S = 3.0
_MOST_QUEUED = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
  id TEXT PRIMARY KEY NOT NULL, at REAL NOT NULL, view BLOB NOT NULL, outcome BLOB
);
CREATE INDEX IF NOT EXISTS decisions_at ON decisions (at);
CREATE TABLE IF NOT EXISTS footprints (
  sha256 TEXT, plan TEXT, engine TEXT, file INTEGER, anon INTEGER, gpu TEXT,
  PRIMARY KEY (sha256, plan, engine)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
  sha256 TEXT PRIMARY KEY, load_s REAL, prefill_tok_s REAL, decode_tok_s REAL, watts REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uses (
  number INTEGER PRIMARY KEY, model TEXT NOT NULL, app TEXT NOT NULL, asked REAL NOT NULL,
  ended REAL NOT NULL
);
CREATE TRIGGER IF NOT EXISTS uses_bounded AFTER INSERT ON uses BEGIN
  DELETE FROM uses WHERE number <= new.number - 4000;
END;
CREATE TABLE IF NOT EXISTS calibrations (
  sha256 TEXT, engine TEXT, threads INTEGER, chosen INTEGER NOT NULL, prefill_tok_s REAL NOT NULL,
  decode_tok_s REAL NOT NULL, tok_s_1 REAL NOT NULL, joules_1 REAL NOT NULL, tok_s_8 REAL NOT NULL,
  joules_8 REAL NOT NULL, counted INTEGER NOT NULL, PRIMARY KEY (sha256, engine, threads)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beliefs (
  origin TEXT, target TEXT, cell TEXT, bucket INTEGER, ok INTEGER NOT NULL, bad INTEGER NOT NULL,
  PRIMARY KEY (origin, target, cell, bucket)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS beliefs_begun BEFORE INSERT ON beliefs
WHEN new.target = '' AND NOT EXISTS ( -- an origin begins a bucket, or is heard to: 40 count
  SELECT 1 FROM beliefs WHERE origin = new.origin AND target = '' AND cell = new.cell
  AND bucket = new.bucket
) BEGIN
  DELETE FROM beliefs
  WHERE origin = new.origin AND cell = new.cell AND bucket <= new.bucket - 40;
END;
CREATE TABLE IF NOT EXISTS secret (bytes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS verdicts (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, score REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS idle (
  scope TEXT, sha256 TEXT, watts REAL NOT NULL, PRIMARY KEY (scope, sha256)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consumption (key TEXT PRIMARY KEY, fit BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breakers (
  target TEXT PRIMARY KEY, opened INTEGER NOT NULL, until REAL
) WITHOUT ROWID;
"""


class SqliteJournal:
    """The journal of one daemon (see `ports.Journal`).

    Args:
        path: The database file; made where it is missing.
        now: Unix seconds.

    Raises:
        InvalidConfig: The file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._db: sqlite3.Connection
        self._queued = 0
        self._dropped = 0
        self._until_look = LOOK_EVERY
        self._thread.submit(self._open).result()
        self._look(now)

    def _open(self) -> None:
        try:
            self._db = sqlite3.connect(self._path, _BUSY_S, isolation_level=None)
            add_packing(self._db)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def write_decision(self, request: RequestId, at: float, decided: bytes) -> None:
        """Queue a decision for writing, with the view that it depends on."""
        self._write(
            "INSERT OR REPLACE INTO decisions (id, at, view) VALUES (?, ?, packed(?))",
            (request, at, decided),
        )
        self._until_look -= 1
        if not self._until_look:
            self._until_look = LOOK_EVERY
            self._look(at)

    def write_outcome(self, request: RequestId, outcome: bytes) -> None:
        """Queue how a request ended."""
        self._write("UPDATE decisions SET outcome = ? WHERE id = ?", (outcome, request))

    async def read_decision(self, request: RequestId) -> DecisionRow | None:
        """A decision by its id, after all writes asked for so far."""
        query = "SELECT unpacked(view), outcome FROM decisions WHERE id = ?"
        rows = await asyncio.wrap_future(self._read(query, (request,)))
        return DecisionRow(*rows[0]) if rows else None

    def write_beliefs(self, rows: Sequence[tuple[BucketKey, Counts]]) -> None:
        """Queue what buckets of verdicts hold now, all of them at once or none."""
        values = [(*key, *counts) for key, counts in rows]
        self._write_all("INSERT OR REPLACE INTO beliefs VALUES (?, ?, ?, ?, ?, ?)", values)

    def forget_beliefs(self, origins: Collection[str]) -> None:
        """Queue that nothing is kept of what these origins counted."""
        rows = [(origin,) for origin in origins]
        self._write_all("DELETE FROM beliefs WHERE origin = ?", rows)

    def beliefs(self) -> list[tuple[BucketKey, Counts]]:
        """Every bucket of verdicts; blocks, for the start only."""
        query = "SELECT origin, target, cell, bucket, ok, bad FROM beliefs"
        rows = self._read_now(query, ())
        return [(BucketKey(*row[:4]), Counts(*row[4:])) for row in rows]

    def secret(self) -> bytes:
        """32 random bytes that are this journal's own; blocks, for the start only."""
        rows = self._read_now("SELECT bytes FROM secret", ())
        if not rows:
            self._read_now("INSERT INTO secret SELECT randomblob(32)", ())
            rows = self._read_now("SELECT bytes FROM secret", ())
        return bytes(rows[0][0])

    def write_verdict(self, request: RequestId, score: float) -> None:
        """Queue that an answer was judged; kept as long as its decision."""
        self._write(
            "INSERT OR IGNORE INTO verdicts (id, score) SELECT id, ? FROM decisions WHERE id = ?",
            (score, request),
        )

    async def read_verdict(self, request: RequestId) -> float | None:
        """The score that an answer was given, after all writes asked for so far."""
        query = "SELECT score FROM verdicts WHERE id = ?"
        rows = await asyncio.wrap_future(self._read(query, (request,)))
        return rows[0][0] if rows else None

    def write_footprint(self, sha256: str, plan: str, where: str, learned: Footprint) -> None:
        """Queue a learned footprint; it replaces an older one of the same plan."""
        gpu = ",".join(str(size) for size in learned.gpu)
        self._write(
            "INSERT OR REPLACE INTO footprints VALUES (?, ?, ?, ?, ?, ?)",
            (sha256, plan, where, learned.file, learned.anon, gpu),
        )

    def footprints(self, where: str) -> dict[tuple[str, str], Footprint]:
        """Learned footprints by model sha256 and plan key; blocks, for the start only."""
        query = "SELECT sha256, plan, file, anon, gpu FROM footprints WHERE engine = ?"
        rows = self._read_now(query, (where,))
        return {
            (sha256, plan): Footprint(
                Bytes(file), Bytes(anon), tuple(Bytes(int(size)) for size in gpu.split(",") if size)
            )
            for sha256, plan, file, anon, gpu in rows
        }

    def write_rates(self, sha256: str, rates: Rates) -> None:
        """Queue measured rates of a model."""
        self._write(
            "INSERT OR REPLACE INTO rates VALUES (?, ?, ?, ?, ?)",
            (sha256, rates.load_s, rates.prefill_tok_s, rates.decode_tok_s, rates.watts),
        )

    def rates(self) -> dict[str, Rates]:
        """Measured rates by model sha256; blocks, for the start only."""
        query = "SELECT sha256, load_s, prefill_tok_s, decode_tok_s, watts FROM rates"
        rows = self._read_now(query, ())
        return {
            sha256: Rates(load_s, prefill, decode, watts, measured=True)
            for sha256, load_s, prefill, decode, watts in rows
        }

    def write_use(self, model: str, app: str, asked: float, ended: float) -> None:
        """Queue when a model was asked for; the last 4000 are kept."""
        self._write(
            "INSERT INTO uses (model, app, asked, ended) VALUES (?, ?, ?, ?)",
            (model, app, asked, ended),
        )

    def uses(self) -> list[tuple[str, str, float, float]]:
        """Model, app, and from when to when, Unix seconds; blocks, for the start only."""
        return [
            (model, app, asked, ended)
            for model, app, asked, ended in self._read_now(
                "SELECT model, app, asked, ended FROM uses ORDER BY number", ()
            )
        ]

    def write_calibrations(self, sha256: str, engine: str, rows: Sequence[Calibration]) -> None:
        """Queue what a model did with each thread count, in place of all that was known of it."""
        delete = "DELETE FROM calibrations WHERE sha256 = ? AND engine = ?"
        insert = "INSERT INTO calibrations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._write(delete, (sha256, engine))
        self._write_all(insert, [(sha256, engine, *astuple(row)) for row in rows])

    def calibrations(self, engine: str) -> dict[str, list[Calibration]]:
        """The same by model sha256, fewest threads first; blocks, for the start and a reload."""
        found: dict[str, list[Calibration]] = {}
        query = "SELECT * FROM calibrations WHERE engine = ? ORDER BY threads"
        for sha256, _, *figures in self._read_now(query, (engine,)):
            row = Calibration(*figures)
            row = replace(row, chosen=bool(row.chosen), counted=bool(row.counted))
            found.setdefault(sha256, []).append(row)
        return found

    def write_idle(self, scope: str, sha256: str, watts: float) -> None:
        """Queue what a model takes for being warm, or the machine alone where it has no hash."""
        self._write("INSERT OR REPLACE INTO idle VALUES (?, ?, ?)", (scope, sha256, watts))

    def idle(self) -> list[tuple[str, str, float]]:
        """Scope, model sha256 and watts, as calibrated; blocks, for the start only."""
        return [
            (scope, sha256, watts)
            for scope, sha256, watts in self._read_now("SELECT * FROM idle", ())
        ]

    def write_consumption(self, key: str, fit: bytes) -> None:
        """Queue what queries on a model take; replaces what was known by that key."""
        self._write("INSERT OR REPLACE INTO consumption VALUES (?, ?)", (key, fit))

    def consumption(self) -> dict[str, bytes]:
        """What queries take, by key; blocks, for the start only."""
        return dict(self._read_now("SELECT key, fit FROM consumption", ()))

    def write_breaker(self, target: str, opened: int, until: float | None) -> None:
        """Queue how a target's breaker stands."""
        self._write("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?)", (target, opened, until))

    def breakers(self) -> dict[str, tuple[int, float | None]]:
        """How often each opened, and its end, Unix seconds; blocks, for the start only."""
        rows = self._read_now("SELECT target, opened, until FROM breakers", ())
        return {target: (opened, until) for target, opened, until in rows}

    def close(self) -> None:
        """Write what is queued and close the file; gives up where the file stays locked."""
        with suppress(TimeoutError):
            self._thread.submit(self._db.close).result(_CLOSE_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        self._queue(lambda: self._db.execute(statement, values))

    def _write_all(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for each row, in one transaction: a disk is synced once for all."""

        def write() -> None:
            self._db.execute("BEGIN")
            try:
                self._db.executemany(statement, rows)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise

        if rows:
            self._queue(write)

    def _queue(self, write: Callable[[], object]) -> None:
        if self._queued >= _MOST_QUEUED:
            self._dropped += 1
            return
        self._queued += 1
        written = self._thread.submit(write)
        written.add_done_callback(self._written)

    def _look(self, now: float) -> None:
        """Let go of what is too old or too much, batch by batch, between other work."""

        def look() -> None:
            try:
                if let_go(self._db, now):
                    self._look(now)
            except sqlite3.Error as error:  # locked by another process: the next look does it
                _log.warning("the journal could not be trimmed: %s", error)
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

        with suppress(RuntimeError):  # it is being closed
            self._thread.submit(look)

    def _read_now(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._read(query, values).result()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> InvalidConfig:
        return InvalidConfig(
            f"the journal {self._path} cannot be used: {error}",
            hint="move the file away; a new one is made at the next start",
        )

    def _written(self, written: "Future[object]") -> None:
        self._queued -= 1
        if self._dropped and not self._queued:
            _log.warning("the journal could not keep up: %d rows were dropped", self._dropped)
            self._dropped = 0
        error = None if written.cancelled() else written.exception()
        if error is not None:
            _log.warning("the journal could not be written: %s", error)

    def _read(self, query: str, values: Sequence[Any]) -> "Future[list[tuple[Any, ...]]]":
        return self._thread.submit(lambda: self._db.execute(query, values).fetchall())
