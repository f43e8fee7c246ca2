"""Counts of verdicts in buckets that machines merge: late, twice, or in any order, all the same.

Owns the buckets and how they fade. A key is written by its origin alone and its counts only grow,
so merging takes the maximum per key. Nothing stored is ever faded: a bucket loses weight when it is
read, by how many buckets its origin has begun in that cell since, whichever targets they count: no
clock has a part in it, right or wrong.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from edgeroute.domain.belief import (
    ANY_CELL,
    EVENTS,
    EVENTS_PER_BUCKET,
    PARTS,
    PROBES,
    BucketKey,
    Counts,
    machine_of,
)

FADE_PER_EVENT = 0.995
FADE = FADE_PER_EVENT**EVENTS_PER_BUCKET
_KEPT = 40
"""Buckets behind the newest that still count; the last weighs under 0.2%."""
MOST_REMOTE = 30.0
"""Observations of one cell for which another origin counts at most, and another machine with all
of its origins: as many as a prior weighs, so that whoever lies takes half of a belief at most."""
MOST_REMOTE_IN_ALL = 10.0
"""The same over all tasks, where it would speak for tasks that it never judged."""
_NONE = Counts(0, 0)

Change = tuple[BucketKey, Counts]


class Seen(NamedTuple):
    """Observations of a target, faded; `heard` are those that other machines made."""

    good: float
    bad: float
    heard: float


class Buckets:
    """All counts that are known, of this machine's apps and of other machines'."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[str, _Column]] = defaultdict(dict)

    def observe(
        self, origin: str, cells: Sequence[str], verdicts: Mapping[str, Counts]
    ) -> list[Change]:
        """Count one event: what `origin` found of one or more targets' answers to one request.

        Returns:
            The buckets as they are now, for whoever keeps them.
        """
        changes = []
        for cell in cells:
            column = self._column(cell, origin)
            bucket, events = column.begin_event()
            changes.append((BucketKey(origin, EVENTS, cell, bucket), events))
            for target, counts in verdicts.items():
                now = column.add(target, bucket, counts)
                changes.append((BucketKey(origin, target, cell, bucket), now))
        return changes

    def merge(self, rows: Iterable[Change]) -> list[Change]:
        """Take in buckets from anywhere.

        Returns:
            Those that changed, as they are now, for whoever keeps them.

        Raises:
            ValueError: A count or a bucket's number is negative; nothing was taken in then.
        """
        taken = list(rows)
        for key, counts in taken:
            if min(*counts, key.bucket) < 0:
                raise ValueError(f"{key} has negative counts {tuple(counts)}")
        merged = [
            (key, self._column(key.cell, key.origin).merge(key.target, key.bucket, Counts(*counts)))
            for key, counts in taken
        ]
        return [(key, now) for key, now in merged if now is not None]

    def forget(self, gone: Callable[[str], bool]) -> set[str]:
        """Drop all that some origins counted.

        Args:
            gone: Whether it is said of an origin.

        Returns:
            The origins that were dropped.
        """
        dropped = set()
        for columns in self._cells.values():
            for origin in [origin for origin in columns if gone(origin)]:
                del columns[origin]
                dropped.add(origin)
        return dropped

    def at(self, key: BucketKey) -> Counts | None:
        """What a bucket holds; `None` where there is none any more."""
        column = self._cells.get(key.cell, {}).get(key.origin)
        return None if column is None else column.at(key.target, key.bucket)

    def size(self, machine: str) -> int:
        """How many buckets of a machine are held."""
        return sum(
            column.size
            for columns in self._cells.values()
            for column in columns.values()
            if column.machine == machine
        )

    def rows(self) -> Iterator[Change]:
        """Every bucket that still counts."""
        for cell, columns in self._cells.items():
            for origin, column in columns.items():
                for target, bucket, counts in column.rows():
                    yield BucketKey(origin, target, cell, bucket), counts

    def faded(self, cell: str, target: str, reader: str) -> Seen:
        """Observations of a target in a cell, as `reader` may count them.

        Probes of several machines are one and the same: those of this one count, where it made
        any, else those of whoever made the most.
        """
        most = MOST_REMOTE_IN_ALL if cell == ANY_CELL else MOST_REMOTE
        home = machine_of(reader)
        found: dict[str, tuple[float, float]] = {}
        probed: dict[str, tuple[float, float]] = {}
        for origin, column in self._cells.get(cell, {}).items():
            if target not in column.counts:
                continue
            counted = column.faded(target)
            if origin != reader:
                counted = _bounded(most, *counted)
            of_kind = probed if column.probes else found
            before = of_kind.get(column.machine, _NONE)
            of_kind[column.machine] = before[0] + counted[0], before[1] + counted[1]
        if probed:
            told_by = max(probed, key=lambda name: (name == home, sum(probed[name]), name))
            ok, bad = found.get(told_by, _NONE)
            found[told_by] = ok + probed[told_by][0], bad + probed[told_by][1]
        good, poor, heard = 0.0, 0.0, 0.0
        for machine, (ok, bad) in found.items():
            if machine != home:
                ok, bad = _bounded(most, ok, bad)  # noqa: PLW2901
                heard += ok + bad
            good, poor = good + ok, poor + bad
        return Seen(good, poor, heard)

    def counted(self, cell: str, target: str, origin: str) -> tuple[float, float]:
        """Observations (good, bad) of a target by one origin, unfaded, as far as they are kept."""
        column = self._cells.get(cell, {}).get(origin)
        counts = [] if column is None else column.of(target)
        return sum(c.ok for c in counts) / PARTS, sum(c.bad for c in counts) / PARTS

    def events(self, cell: str, origin: str) -> int:
        """How many events an origin has counted in a cell."""
        column = self._cells.get(cell, {}).get(origin)
        return 0 if column is None else column.events

    def events_of(self, machine: str) -> int:
        """How many events all origins of a machine have counted."""
        columns = self._cells.get(ANY_CELL, {}).values()
        return sum(column.events for column in columns if column.machine == machine)

    def _column(self, cell: str, origin: str) -> "_Column":
        columns = self._cells[cell]
        if origin not in columns:
            columns[origin] = _Column(origin)
        return columns[origin]


def _bounded(most: float, ok: float, bad: float) -> tuple[float, float]:
    """Observations that count for so many at most, good and bad in proportion."""
    share = most / max(most, ok + bad)
    return share * ok, share * bad


class _Column:
    """What one origin has counted in one cell.

    Attributes:
        machine: The origin's.
        probes: The origin counts probes.
        newest: The last bucket that was begun.
        counts: By target and bucket.
    """

    def __init__(self, origin: str) -> None:
        self.machine = machine_of(origin)
        self.probes = f"/{PROBES}" in origin
        self.newest = 0
        self.counts: dict[str, dict[int, Counts]] = {}
        self._faded: dict[str, tuple[float, float]] = {}

    def begin_event(self) -> tuple[int, Counts]:
        """Count an event; the bucket that it is in, and how many are there now."""
        if (self.at(EVENTS, self.newest) or _NONE).ok >= EVENTS_PER_BUCKET:
            self._advance(self.newest + 1)
        return self.newest, self.add(EVENTS, self.newest, Counts(1, 0))

    @property
    def events(self) -> int:
        """That were counted; every bucket before the newest is full."""
        return EVENTS_PER_BUCKET * self.newest + (self.at(EVENTS, self.newest) or _NONE).ok

    @property
    def size(self) -> int:
        """Buckets of all targets."""
        return sum(map(len, self.counts.values()))

    def add(self, target: str, bucket: int, more: Counts) -> Counts:
        """Add to a target's counts; what they are now."""
        ok, bad = self.at(target, bucket) or _NONE
        now = Counts(ok + more.ok, bad + more.bad)
        self.counts.setdefault(target, {})[bucket] = now
        self._faded.pop(target, None)
        return now

    def merge(self, target: str, bucket: int, counts: Counts) -> Counts | None:
        """Take the greater of these counts and those known; `None` where nothing changed."""
        if bucket <= self.newest - _KEPT:
            return None
        if bucket > self.newest:
            self._advance(bucket)
        before = self.at(target, bucket)
        now = counts if before is None else Counts(*map(max, before, counts))
        if now == before:
            return None
        self.counts.setdefault(target, {})[bucket] = now
        self._faded.pop(target, None)
        return now

    def of(self, target: str) -> list[Counts]:
        """All buckets of a target."""
        return list(self.counts.get(target, {}).values())

    def rows(self) -> Iterator[tuple[str, int, Counts]]:
        """Everything that still counts."""
        for target, buckets in self.counts.items():
            for bucket, counts in buckets.items():
                yield target, bucket, counts

    def faded(self, target: str) -> tuple[float, float]:
        """Observations of a target, good and bad, each weighing less by its age."""
        known = self._faded.get(target)
        if known is None:
            weighed = [
                (FADE ** (self.newest - bucket) / PARTS, counts)
                for bucket, counts in sorted(self.counts.get(target, {}).items())
            ]
            known = self._faded[target] = (
                sum(weight * counts.ok for weight, counts in weighed),
                sum(weight * counts.bad for weight, counts in weighed),
            )
        return known

    def at(self, target: str, bucket: int) -> Counts | None:
        """What a bucket holds."""
        return self.counts.get(target, {}).get(bucket)

    def _advance(self, bucket: int) -> None:
        self.newest = bucket
        self._faded.clear()
        for buckets in self.counts.values():
            for old in [at for at in buckets if at <= bucket - _KEPT]:
                del buckets[old]
