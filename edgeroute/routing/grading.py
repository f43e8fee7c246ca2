"""What a grade of a draft is worth, by target: P(grade | right) and P(grade | wrong), learnt.

Owns the counts. They are buckets like those of beliefs, in cells of their own, so they fade, merge
and are kept as those are. A model that is sure of its mistakes is found out here: the same grade
comes to mean less of it than of others.
"""

import numpy as np

from edgeroute.domain.belief import Counts, machine_of, probing_of
from edgeroute.domain.verification import Checkable, Grade
from edgeroute.routing.buckets import Buckets, Change
from edgeroute.routing.candidates import Floats, Roster
from edgeroute.routing.tested import Tally

STRENGTH = 12.0
"""Right or wrong answers that the shares below weigh."""
SHARES: dict[Checkable, tuple[tuple[float, ...], tuple[float, ...]]] = {
    Checkable.EXACTLY: ((0.03, 0.0, 0.0, 0.97), (0.97, 0.0, 0.0, 0.03)),
    Checkable.FORMALLY: ((0.09, 0.31, 0.35, 0.25), (0.74, 0.13, 0.11, 0.02)),
    Checkable.HARDLY: ((0.03, 0.54, 0.32, 0.11), (0.32, 0.56, 0.11, 0.01)),
}
"""Of right answers, then of wrong ones, how many had which `Grade`: 300 answers of three models of
135M to 1.5B parameters to the probes that come with us (`bench/results/2026-11-23-cascade.md`).
Sums are recomputed; nine were among the probes, all graded rightly."""


Judged = tuple[tuple[Tally, ...], ...]


def cell_of(checkable: Checkable, grade: Grade) -> str:
    """The cell that counts answers of a grade."""
    return f"~{checkable.value}~{grade.name.lower()}"


CELLS = frozenset(cell_of(checkable, grade) for checkable in Checkable for grade in Grade)
"""Every cell of grades."""


class Grading:
    """What grades are worth, as far as it was seen.

    Args:
        buckets: Counts; shared with `Beliefs`.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._read: dict[tuple[Checkable, str], tuple[tuple[str, ...], Floats]] = {}
        self._judged: dict[tuple[Checkable, str], tuple[tuple[str, ...], Judged]] = {}

    def observe(
        self, origin: str, identity: str, checkable: Checkable, grade: Grade, counts: Counts
    ) -> list[Change]:
        """Count an answer of a grade that was found to be right or wrong.

        Returns:
            The buckets that changed.
        """
        self.look_again()
        return self._buckets.observe(origin, [cell_of(checkable, grade)], {identity: counts})

    def look_again(self) -> None:
        """The buckets were changed."""
        self._read.clear()
        self._judged.clear()

    def likelihoods(self, checkable: Checkable, roster: Roster, reader: str) -> Floats:
        """P(grade | right) and P(grade | wrong), shape (2, targets, grades)."""
        key = (checkable, reader)
        known = self._read.get(key)
        if known is None or known[0] != roster.identities:
            known = self._read[key] = (roster.identities, self._shares(checkable, roster, reader))
        return known[1]

    def judged(self, checkable: Checkable, roster: Roster, reader: str) -> Judged:
        """Answers of each target that were judged, by grade, worst first; empty where none was.

        Only what the reader and this machine's probes found: a claim to one app rests on no other
        app's word. Unfaded, as far as buckets are kept.
        """
        key = (checkable, reader)
        known = self._judged.get(key)
        if known is None or known[0] != roster.identities:
            found = tuple(self._tallies(checkable, name, reader) for name in roster.identities)
            known = self._judged[key] = (roster.identities, found)
        return known[1]

    def _tallies(self, checkable: Checkable, identity: str, reader: str) -> tuple[Tally, ...]:
        counted, probing = self._buckets.counted, probing_of(machine_of(reader), identity)
        tallies = []
        for grade in Grade:
            cell = cell_of(checkable, grade)
            right, wrong = counted(cell, identity, reader)
            probed_right, probed_wrong = counted(cell, identity, probing)
            tallies.append(Tally(right + probed_right, wrong + probed_wrong, right, wrong))
        return tuple(tallies) if any(map(any, tallies)) else ()

    def _shares(self, checkable: Checkable, roster: Roster, reader: str) -> Floats:
        counts = np.array(
            [
                [
                    self._buckets.faded(cell_of(checkable, grade), name, reader)[:2]
                    for grade in Grade
                ]
                for name in roster.identities
            ],
            dtype=np.float64,
        ).reshape(len(roster), len(Grade), 2)
        by_truth = np.moveaxis(counts, 2, 0) + STRENGTH * np.array(SHARES[checkable])[:, None, :]
        shares: Floats = by_truth / by_truth.sum(axis=2, keepdims=True)
        return shares
