"""What this machine tells its peers of the answers that it judged, and what it hears from them.

Owns what is told: counts of this machine's own verdicts, by model file, task and run of events. No
text and no vector is near it, speeds and joules are each machine's own, and apps are told by names
that only this machine can read. What is heard is kept by who said it and under which edition of its
memory, so that it can be merged in any order, replaced as a whole, and forgotten.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2b
from itertools import takewhile
from typing import Final

from edgeroute.domain.belief import (
    EVENTS,
    EVENTS_PER_BUCKET,
    HERE,
    PARTS,
    PROBES,
    BucketKey,
    Counts,
    machine_of,
    origin_of,
)
from edgeroute.domain.errors import InvalidRequest, Overloaded
from edgeroute.domain.peer import DeviceId
from edgeroute.ports import Journal
from edgeroute.routing.buckets import Change
from edgeroute.routing.quality import CELLS, Quality
from edgeroute.wire.findings import MOST_TOLD, Bucket, Column, Findings, Heard

MOST_HELD: Final = 16384
"""Buckets of one peer, 3 MB: five apps that judge eight models in ten tasks, and forty of each."""
_LOOK_AT: Final = 4096
_FILE = re.compile(r"[0-9a-f]{64}")
_PROBED = re.compile(PROBES + r"[0-9a-f]{16}")


class Experience:
    """The counts of this machine and of its peers.

    Args:
        quality: Where they are believed.
        journal: Where they are kept.
        secret: Random and of that journal: a machine that lost its memory begins another edition.
        run: A random number of this run of the daemon.
    """

    def __init__(self, quality: Quality, journal: Journal, secret: bytes, run: int) -> None:
        self._quality = quality
        self._buckets = quality.beliefs.buckets
        self._journal = journal
        self._secret = secret
        self._edition = blake2b(secret, digest_size=16, person=b"edition").digest()
        self._run = run
        self._number = 0
        self._changed: dict[BucketKey, int] = {}  # own ones, the latest change last
        self._look_at = _LOOK_AT
        self._heard: dict[DeviceId, Heard] = {}
        self._note(self._buckets.rows())

    # ---- what is told -------------------------------------------------------------------------

    def keep(self, changes: Sequence[Change]) -> None:
        """Buckets of this machine's own have changed."""
        self._journal.write_beliefs(changes)
        self._note(changes)

    def _note(self, changes: Iterable[Change]) -> None:
        for key, _ in changes:
            if machine_of(key.origin) == HERE and (key.target == EVENTS or _is_file(key.target)):
                self._number += 1
                self._changed.pop(key, None)
                self._changed[key] = self._number
        if len(self._changed) > self._look_at:  # many are of buckets that count no more
            kept = {k: n for k, n in self._changed.items() if self._buckets.at(k) is not None}
            self._changed, self._look_at = kept, 2 * len(kept) + _LOOK_AT

    def findings(self, heard: Heard) -> Findings | None:
        """What a peer has not heard, as much of it as one message takes; `None` of nothing."""
        since = heard.number if heard.run == self._run else 0
        if since >= self._number:
            return None
        newest_first = takewhile(lambda change: change[1] > since, reversed(self._changed.items()))
        missed = [
            (key, counts, number)
            for key, number in newest_first
            if (counts := self._buckets.at(key)) is not None  # else its events are too long ago
        ][::-1]
        told = _Telling(self._app)
        for key, counts, _ in missed[:MOST_TOLD]:
            told.add(key, counts)
        number = missed[MOST_TOLD - 1][2] if len(missed) > MOST_TOLD else self._number
        return told.message(self._run, number, self._edition)

    def _app(self, origin: str) -> str:
        app = origin.removeprefix(origin_of(HERE, ""))
        if _PROBED.fullmatch(app):
            return app
        return blake2b(app.encode(), digest_size=8, key=self._secret).hexdigest()

    # ---- what is heard ------------------------------------------------------------------------

    def heard(self, peer: DeviceId) -> Heard:
        """How far a peer has been heard."""
        return self._heard.get(peer, Heard())

    def take(self, peer: DeviceId, findings: Findings) -> None:
        """Hear a peer. It speaks for itself, whatever it says: the origin is not its to choose.

        Raises:
            InvalidRequest: What it says cannot be; nothing is taken in then.
            Overloaded: It tells of more than is kept of one machine; nor is it then.
        """
        edition = origin_of(peer, findings.edition.hex())
        rows = _rows(edition, findings)
        stale = self._quality.forget(
            lambda origin: machine_of(origin) == peer and not origin.startswith(f"{edition}/")
        )
        self._journal.forget_beliefs(stale)
        new = sum(self._buckets.at(key) is None for key, _ in rows)
        if self._buckets.size(peer) + new > MOST_HELD:
            raise Overloaded(f"it tells of over {MOST_HELD} counts")
        self._journal.write_beliefs(self._quality.merge(rows))
        self._heard[peer] = Heard(findings.run, findings.number)

    def forget(self, peer: DeviceId) -> None:
        """Drop all that a peer has told."""
        self._heard.pop(peer, None)
        self._drop(lambda machine: machine == peer)

    def keep_only(self, peers: Collection[DeviceId]) -> None:
        """Drop what others than these have told: they are not paired any more, or not heeded."""
        self._drop(lambda machine: machine != HERE and machine not in peers)

    def _drop(self, gone: Callable[[str], bool]) -> None:
        dropped = self._quality.forget(lambda origin: gone(machine_of(origin)))
        self._journal.forget_beliefs(dropped)

    def verdicts(self, machine: str) -> int:
        """How many verdicts of a machine are known, `HERE` or a peer's `DeviceId`."""
        return self._buckets.events_of(machine)


class _Telling:
    """Buckets as they are told: what many share is told once."""

    def __init__(self, app: Callable[[str], str]) -> None:
        self._app = app
        self._models: dict[str, int] = {}
        self._columns: dict[tuple[str, str], int] = {}
        self._buckets: list[Bucket] = []

    def add(self, key: BucketKey, counts: Counts) -> None:
        """Tell what a bucket holds."""
        model = 0
        if key.target != EVENTS:
            model = self._models.setdefault(key.target, len(self._models) + 1)
        column = self._columns.setdefault((key.origin, key.cell), len(self._columns))
        self._buckets.append(Bucket(column, model, key.bucket, *counts))

    def message(self, run: int, number: int, edition: bytes) -> Findings:
        """All of it."""
        return Findings(
            run,
            number,
            edition,
            tuple(map(bytes.fromhex, self._models)),
            tuple(Column(self._app(origin), cell) for origin, cell in self._columns),
            tuple(self._buckets),
        )


def _is_file(target: str) -> bool:
    """Whether a target is the same model everywhere, and not a name that somebody gave it here."""
    return _FILE.fullmatch(target) is not None


def _rows(edition: str, findings: Findings) -> list[Change]:
    """What a peer says, as counts of its own; cells that are unknown here are left out.

    Raises:
        InvalidRequest: It speaks of what it does not name, or counts what cannot be.
    """
    targets = (EVENTS, *(model.hex() for model in findings.models))
    rows = []
    for bucket in findings.buckets:
        if bucket.column >= len(findings.columns) or bucket.model >= len(targets):
            raise InvalidRequest("it counts what it does not name")
        most = EVENTS_PER_BUCKET * (PARTS if bucket.model else 1)
        if bucket.ok + bucket.bad > most:
            raise InvalidRequest("it counts more than a bucket holds")
        column = findings.columns[bucket.column]
        if column.cell in CELLS:
            origin = f"{edition}/{column.app}"
            key = BucketKey(origin, targets[bucket.model], column.cell, bucket.number)
            rows.append((key, Counts(bucket.ok, bucket.bad)))
    return rows
