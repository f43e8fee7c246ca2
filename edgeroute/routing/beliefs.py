"""What is believed of every target's quality, read from counts and priors.

Owns the hierarchy. What a card promises for a task is moved, in log-odds, by how all targets, then
those of the target's family, then the target itself have kept their promises; that is the prior of
the target in the task, and what it becomes there is the prior of the task's subjects. A cell is a
Beta posterior whose prior weighs `STRENGTH` observations. So a new model starts from its card or
its size, and from how its relatives did.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from edgeroute.domain.belief import ANY_CELL, Belief, Counts
from edgeroute.domain.features import Features, Subject, Task
from edgeroute.routing.beta import interval
from edgeroute.routing.buckets import Buckets, Change
from edgeroute.routing.candidates import Floats, Roster
from edgeroute.routing.tested import Tally

STRENGTH = 30.0
"""Observations that a prior weighs: a task x model table shrunk by 30 was best, or within noise of
it, on four public sets at 50 to 1000 labels."""
LEAST, MOST = 0.005, 0.995
"""No count of anything makes an answer impossible, or sure."""

_TINY = 1e-6
_WITH_SUBJECT = (Task.KNOWLEDGE_QA, Task.REASONING)
CELLS = [
    *(ANY_CELL if task is Task.UNKNOWN else task.value for task in Task),
    *(f"{task.value}/{subject.value}" for task in _WITH_SUBJECT for subject in Subject),
]
"""Every cell of verdicts, in the order of `prior.COLUMN`, then subjects. A task that is not known
is just any task."""
_AT = {cell: at for at, cell in enumerate(CELLS)}
_TASKS = len(Task)
_ANY = _AT[ANY_CELL]
_NAMED = [at for at in range(_TASKS) if at != _ANY]
_PARENT = [*range(_TASKS), *(_AT[cell.partition("/")[0]] for cell in CELLS[_TASKS:])]


def cells_of(features: Features) -> tuple[str, ...]:
    """The cells that a verdict on an answer to this request counts in."""
    cells = [ANY_CELL]
    if features.task is not Task.UNKNOWN:
        cells.append(features.task.value)
        finest = _finest(features)
        if finest not in cells:
            cells.append(finest)
    return tuple(cells)


def _finest(features: Features) -> str:
    task = ANY_CELL if features.task is Task.UNKNOWN else features.task.value
    if features.task in _WITH_SUBJECT and features.subject is not None:
        return f"{task}/{features.subject.value}"
    return task


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is believed of each candidate's answer to one request; arrays in the roster's order.

    Attributes:
        mean: P(acceptable) by the cells.
        ok: Observations in the finest cell that were good, faded.
        bad: Those that were not.
        heard: Of both, those that other machines of the owner made.
        correction: What the request's own features add to `mean`.
        grades: What grades of drafts are worth (`Grading.likelihoods`); `None` where the answer
            cannot be checked before it is given.
        judged: Answers to such requests that were judged, by target and grade (`Grading.judged`).
    """

    mean: Floats
    ok: Floats
    bad: Floats
    heard: Floats
    correction: Floats
    grades: Floats | None = None
    judged: tuple[tuple[Tally, ...], ...] = ()

    @property
    def p_ok(self) -> Floats:
        """P(acceptable), corrected."""
        return np.clip(self.mean + self.correction, LEAST, MOST)

    def record(self) -> tuple[Belief, ...]:
        """The same as plain data."""
        return tuple(map(self.belief, range(len(self.mean))))

    def belief(self, at: int) -> Belief:
        """That of one candidate."""
        grades = () if self.grades is None else tuple(map(tuple, self.grades[:, at].tolist()))
        return Belief(
            float(self.mean[at]),
            float(self.ok[at]),
            float(self.bad[at]),
            float(self.heard[at]),
            float(self.correction[at]),
            grades,
            self.judged[at] if self.judged else (),
        )

    @classmethod
    def of(cls, beliefs: Sequence[Belief]) -> Self:
        """From plain data."""
        rows = [(b.mean, b.ok, b.bad, b.heard, b.correction) for b in beliefs]
        mean, ok, bad, heard, correction = np.array(rows, dtype=np.float64).reshape(-1, 5).T
        grades = None
        if rows and all(belief.grades for belief in beliefs):
            grades = np.array([belief.grades for belief in beliefs], np.float64).swapaxes(0, 1)
        judged = tuple(tuple(Tally(*tally) for tally in belief.judged) for belief in beliefs)
        return cls(mean, ok, bad, heard, correction, grades, judged if any(judged) else ())


def credible(belief: Belief) -> tuple[float, float]:
    """The interval that holds P(acceptable) with 90%, by the cells."""
    weight = STRENGTH + belief.ok + belief.bad
    mean = min(MOST, max(LEAST, belief.mean))
    return interval(weight * mean, weight * (1 - mean))


class Beliefs:
    """Counts of this machine and of those that it hears from, and what follows from them."""

    def __init__(self, rows: Iterable[Change] = ()) -> None:
        self.buckets = Buckets()
        self._tables: dict[str, _Table] = {}
        self.merge(rows)

    def observe(
        self, origin: str, features: Features, verdicts: Mapping[str, Counts]
    ) -> list[Change]:
        """Count what was found of answers to one request.

        Args:
            origin: The machine and the app that judged.
            features: The request's.
            verdicts: By `Target.identity`.

        Returns:
            The buckets that changed.
        """
        cells = cells_of(features)
        changes = self.buckets.observe(origin, cells, verdicts)
        self._stale(cells)
        return changes

    def merge(self, rows: Iterable[Change]) -> list[Change]:
        """Take in buckets of any origin; the order and repetitions make no difference.

        Returns:
            The buckets that changed.

        Raises:
            ValueError: See `Buckets.merge`.
        """
        changed = self.buckets.merge(rows)
        self._stale({key.cell for key, _ in changed})
        return changed

    def forget(self, gone: Callable[[str], bool]) -> set[str]:
        """Drop what some origins counted (see `Buckets.forget`)."""
        dropped = self.buckets.forget(gone)
        self._stale(CELLS if dropped else ())
        return dropped

    def read(self, features: Features, roster: Roster, reader: str = "") -> Evidence:
        """What is believed of every candidate's answer to a request.

        Args:
            features: The request's.
            roster: The candidates.
            reader: The origin that asks: its own counts weigh in full, others' are bounded.
        """
        return self._table(reader).read(features, roster)

    def overall(self, roster: Roster, reader: str = "") -> Floats:
        """P(acceptable) of every candidate for just any request."""
        return self._table(reader).overall(roster)

    def _table(self, reader: str) -> "_Table":
        if reader not in self._tables:
            self._tables[reader] = _Table(self.buckets, reader)
        return self._tables[reader]

    def _stale(self, cells: Iterable[str]) -> None:
        for cell in cells:
            for table in self._tables.values():
                table.stale.add(cell)


class _Table:
    """Posterior means of one roster as one reader sees them, kept until something changes.

    Attributes:
        stale: Cells whose counts changed since they were read.
    """

    def __init__(self, buckets: Buckets, reader: str) -> None:
        self.stale: set[str] = set(CELLS)
        self._buckets = buckets
        self._reader = reader
        self._roster: Roster | None = None
        self._ok: Floats
        self._bad: Floats
        self._heard: Floats
        self._means: Floats

    def read(self, features: Features, roster: Roster) -> Evidence:
        if self.stale or roster is not self._roster:
            self._refresh(roster)
        finest, means = _AT[_finest(features)], self._means
        of_task = means[:, _PARENT[finest]]
        sure = features.subject_probability if finest >= _TASKS else 0.0
        for_task = sure * means[:, finest] + (1.0 - sure) * of_task
        certain = features.task_probability
        mean = certain * for_task + (1.0 - certain) * means[:, _ANY]
        kept = (self._ok, self._bad, self._heard)
        ok, bad, heard = (column[:, finest].copy() for column in kept)  # those are written to
        return Evidence(mean, ok, bad, heard, np.zeros(len(roster)))

    def overall(self, roster: Roster) -> Floats:
        if self.stale or roster is not self._roster:
            self._refresh(roster)
        return self._means[:, _ANY]

    def _refresh(self, roster: Roster) -> None:
        before, self._roster = self._roster, roster
        if before is None or roster.identities != before.identities:
            self._ok = np.zeros((len(roster), len(CELLS)), order="F")
            self._bad = self._ok.copy(order="F")
            self._heard = self._ok.copy(order="F")
            self.stale = set(CELLS)
            before = None
        for cell in self.stale.intersection(CELLS):
            read = [self._buckets.faded(cell, name, self._reader) for name in roster.identities]
            at = _AT[cell]
            columns = self._ok[:, at], self._bad[:, at], self._heard[:, at]
            for column, values in zip(columns, np.array(read).reshape(-1, 3).T, strict=True):
                column[:] = values
        if self.stale or before is None or not _promises_the_same(before, roster):
            self._means = _means(roster, self._ok, self._bad)
        self.stale = set()


def _promises_the_same(before: Roster, now: Roster) -> bool:
    """Whether two rosters of the same models differ in speed or warmth alone, as most do."""
    return _families(before) == _families(now) and np.array_equal(before.quality, now.quality)


def _means(roster: Roster, ok: Floats, bad: Floats) -> Floats:
    """Posterior means, shape (targets, cells)."""
    total = ok + bad
    shift = _shifts(roster, ok, total)
    means = np.empty(total.shape, order="F")
    priors = _expit(_logit(roster.quality) + shift[:, None])
    means[:, :_TASKS] = _posterior(priors, ok[:, :_TASKS], total[:, :_TASKS])
    means[:, _ANY] = priors[:, _ANY]
    means[:, _TASKS:] = _posterior(means[:, _PARENT[_TASKS:]], ok[:, _TASKS:], total[:, _TASKS:])
    return means


def _shifts(roster: Roster, ok: Floats, total: Floats) -> Floats:
    """How far each target is from what was promised of it, in log-odds, shrunk to its relatives.

    A task's verdicts speak twice, here and in its cell. Leaving them out here was tried and cost
    half a point to two on a set of nine models: tasks differ in how hard they are, so the others
    alone say little.
    """
    promised = roster.quality
    in_task = total[:, _NAMED]
    seen = in_task.sum(axis=1)
    expected = (in_task * promised[:, _NAMED]).sum(axis=1) / np.maximum(seen, _TINY)
    expected = np.where(seen > _TINY, expected, promised[:, _ANY])
    met, n = ok[:, _ANY], total[:, _ANY]
    shift = np.zeros(len(roster))
    for names in (["all"] * len(roster), _families(roster)):
        shift = _group_shift(names, expected, met, n, shift)
    mean = _posterior(_expit(_logit(expected) + shift), met, n)
    return _logit(mean) - _logit(expected)


def _families(roster: Roster) -> list[str]:
    return [target.family or target.id for target in roster.targets]


def _group_shift(
    names: Sequence[str], expected: Floats, met: Floats, n: Floats, outer: Floats
) -> Floats:
    """The shift of each target's group; a target alone keeps `outer`, its group's own prior.

    However much a group has shown, it says where its members start, not where they end.
    """
    _, group = np.unique(names, return_inverse=True)
    weight, good, due = (
        np.bincount(group, counts).astype(np.float64)[group] for counts in (n, met, n * expected)
    )
    promised = np.where(weight > _TINY, due / np.maximum(weight, _TINY), expected)
    scale = np.minimum(1.0, STRENGTH / np.maximum(weight, _TINY))
    mean = _posterior(_expit(_logit(promised) + outer), good * scale, weight * scale)
    alone = np.bincount(group)[group] == 1
    return np.where(alone, outer, _logit(mean) - _logit(promised))


def _posterior(mean: Floats, ok: Floats, total: Floats) -> Floats:
    return (STRENGTH * mean + ok) / (STRENGTH + total)


def _logit(p: Floats) -> Floats:
    bounded = np.clip(p, LEAST, MOST)
    odds: Floats = np.log(bounded / (1.0 - bounded))
    return odds


def _expit(x: Floats) -> Floats:
    p: Floats = 1.0 / (1.0 + np.exp(-x))
    return p
