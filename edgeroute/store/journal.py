"""The journal: decisions, how they ended, and what was measured, in one SQLite file.

Owns the file and one thread that alone touches it, so the event loop never waits for a disk.
Writes are queued in order; a read comes after every write that was asked for before it. Holds no
prompt text: what it is given are features.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Rates
from edgeroute.domain.units import Bytes, RequestId
from edgeroute.ports import DecisionRow

_log = logging.getLogger(__name__)

_KEPT_S = 90 * 24 * 3600
"""Seconds that decisions are kept."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
  id TEXT PRIMARY KEY, at REAL NOT NULL, view BLOB NOT NULL, outcome BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_at ON decisions (at);
CREATE TABLE IF NOT EXISTS footprints (
  sha256 TEXT, plan TEXT, engine TEXT, file INTEGER, anon INTEGER, gpu TEXT,
  PRIMARY KEY (sha256, plan, engine)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
  sha256 TEXT PRIMARY KEY, load_s REAL, prefill_tok_s REAL, decode_tok_s REAL, watts REAL
) WITHOUT ROWID;
"""


class SqliteJournal:
    """The journal of one daemon (see `ports.Journal`).

    Args:
        path: The database file; made where it is missing.
        now: Unix seconds; rows older than 90 days are dropped.

    Raises:
        InvalidConfig: The file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._db: sqlite3.Connection
        self._thread.submit(self._open, now).result()

    def _open(self, now: float) -> None:
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("DELETE FROM decisions WHERE at < ?", (now - _KEPT_S,))
        except sqlite3.Error as error:
            raise InvalidConfig(
                f"the journal {self._path} cannot be used: {error}",
                hint="move the file away; a new one is made at the next start",
            ) from error

    def write_decision(self, request: RequestId, at: float, view: bytes) -> None:
        """Queue a decision for writing."""
        self._write("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, NULL)", (request, at, view))

    def write_outcome(self, request: RequestId, outcome: bytes) -> None:
        """Queue how a request ended."""
        self._write("UPDATE decisions SET outcome = ? WHERE id = ?", (outcome, request))

    async def read_decision(self, request: RequestId) -> DecisionRow | None:
        """A decision by its id, after all writes asked for so far."""
        query = "SELECT view, outcome FROM decisions WHERE id = ?"
        rows = await asyncio.wrap_future(self._read(query, (request,)))
        return DecisionRow(*rows[0]) if rows else None

    def write_footprint(self, sha256: str, plan: str, engine: str, measured: Footprint) -> None:
        """Queue a measured footprint; it replaces an older one of the same plan."""
        gpu = ",".join(str(size) for size in measured.gpu)
        self._write(
            "INSERT OR REPLACE INTO footprints VALUES (?, ?, ?, ?, ?, ?)",
            (sha256, plan, engine, measured.file, measured.anon, gpu),
        )

    def footprints(self, engine: str) -> dict[tuple[str, str], Footprint]:
        """Measured footprints by model sha256 and plan key; blocks, for the start only."""
        query = "SELECT sha256, plan, file, anon, gpu FROM footprints WHERE engine = ?"
        rows = self._read(query, (engine,)).result()
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
        rows = self._read(query, ()).result()
        return {
            sha256: Rates(load_s, prefill, decode, watts, measured=True)
            for sha256, load_s, prefill, decode, watts in rows
        }

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._db.close()

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        written = self._thread.submit(lambda: self._db.execute(statement, values))
        written.add_done_callback(_tell_failure)

    def _read(self, query: str, values: Sequence[Any]) -> "Future[list[tuple[Any, ...]]]":
        return self._thread.submit(lambda: self._db.execute(query, values).fetchall())


def _tell_failure(written: "Future[sqlite3.Cursor]") -> None:
    error = written.exception()
    if error is not None:
        _log.warning("the journal could not be written: %s", error)
