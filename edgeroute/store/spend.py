"""What was spent, in a file of its own: written and synced before anything is asked for.

Owns the file and the thread that alone touches it. What is asked for at once is written at once:
one sync for all who wait. A hold that nobody settled, since the daemon was killed, is taken for
spent in full. The latest days are kept and no others.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.spending import REMEMBERED_DAYS

_log = logging.getLogger(__name__)

_BUSY_S = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
  day TEXT, app TEXT, amount INTEGER NOT NULL, PRIMARY KEY (day, app)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
  number INTEGER PRIMARY KEY, day TEXT NOT NULL, app TEXT NOT NULL, amount INTEGER NOT NULL
);
"""
_ADD = """
INSERT INTO spent VALUES (?, ?, ?)
ON CONFLICT (day, app) DO UPDATE SET amount = amount + excluded.amount
"""

_FORGET = """
DELETE FROM spent WHERE day <> ? AND day NOT IN (
  SELECT DISTINCT day FROM spent ORDER BY day DESC LIMIT ?
)
"""
"""Today stays, however old a clock that is wrong says that it is."""

_Statement = tuple[str, Sequence[Any]]


class SpendStore:
    """The file of one daemon.

    Args:
        path: Made where it is missing.
        day: Today.

    Attributes:
        spent: What had been by its start, in billionths of a dollar, by day and app, of the latest
            days.

    Raises:
        InvalidConfig: The file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, day: str) -> None:
        self._db: sqlite3.Connection
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spend")
        self._waiting: deque[_Statement] = deque()
        self._day = day
        try:
            self.spent = self._thread.submit(self._open, path).result()
        except sqlite3.Error as error:
            raise InvalidConfig(
                f"{path} cannot be used, and what was spent is not known without it: {error}",
                hint="move the file away; today's spending is then counted anew",
            ) from error

    async def hold(self, number: int, day: str, app: str, amount: int) -> None:
        """Write down what is held; it is on the disk when this returns.

        Raises:
            OSError: It could not be written.
        """
        if day != self._day:
            self._day = day
            self._waiting.append((_FORGET, (day, REMEMBERED_DAYS)))
        self._waiting.append(("INSERT INTO holds VALUES (?, ?, ?, ?)", (number, day, app, amount)))
        try:
            await asyncio.wrap_future(self._thread.submit(self._commit))
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    def settle(self, number: int, day: str, app: str, amount: int) -> None:
        """Have it written down what was spent, and that nothing is held for it any more."""
        self._waiting.append(("DELETE FROM holds WHERE number = ?", (number,)))
        self._waiting.append((_ADD, (day, app, amount)))
        self._thread.submit(self._commit).add_done_callback(_settled)

    def close(self) -> None:
        """Write what waits."""
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()

    def _open(self, path: Path) -> dict[tuple[str, str], int]:
        self._db = db = sqlite3.connect(path, _BUSY_S, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_SCHEMA)
        holds = db.execute("SELECT day, app, amount FROM holds").fetchall()
        folded = [*((_ADD, hold) for hold in holds), ("DELETE FROM holds", ())]
        self._write([*folded, (_FORGET, (self._day, REMEMBERED_DAYS))])
        rows = db.execute("SELECT day, app, amount FROM spent").fetchall()
        return {(day, app): amount for day, app, amount in rows}

    def _commit(self) -> None:
        """Write what waits; what cannot be written waits on, in its order."""
        batch = []
        while self._waiting:
            batch.append(self._waiting.popleft())
        if not batch:
            return  # it was written with what was asked for before it
        try:
            self._write(batch)
        except sqlite3.Error:
            self._waiting.extendleft(reversed(batch))
            raise

    def _write(self, batch: Sequence[_Statement]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in batch:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _settled(written: "Future[None]") -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        _log.warning("what was spent could not be written yet: %s", error)
