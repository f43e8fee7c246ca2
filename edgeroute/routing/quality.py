"""How good each candidate's answer will be: the cells' belief and what the request itself adds.

Owns how the two are kept in step: every verdict tries both before either learns from it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from edgeroute.domain.belief import Counts
from edgeroute.domain.features import Features
from edgeroute.routing import beliefs, grading
from edgeroute.routing.beliefs import Beliefs, Evidence
from edgeroute.routing.buckets import Change
from edgeroute.routing.candidates import Floats, Roster
from edgeroute.routing.corrector import Corrector
from edgeroute.routing.grading import Grading

CELLS = grading.CELLS.union(beliefs.CELLS)
"""Every cell that anything is counted in."""


class Quality:
    """What one machine believes.

    Args:
        width: Figures of a request's vector.
        rows: Buckets that are known.
    """

    def __init__(self, width: int, rows: Iterable[Change] = ()) -> None:
        self.beliefs = Beliefs(rows)
        self.grading = Grading(self.beliefs.buckets)
        self.corrector = Corrector(width)

    def evidence(
        self, features: Features, vector: Floats | None, roster: Roster, reader: str
    ) -> Evidence:
        """What is believed of every candidate's answer to a request.

        Args:
            features: The request's.
            vector: More of it, where that is known.
            roster: The candidates.
            reader: The origin that asks (see `Beliefs.read`).
        """
        read = self.beliefs.read(features, roster, reader)
        if features.checkable is not None:
            grades = self.grading.likelihoods(features.checkable, roster, reader)
            judged = self.grading.judged(features.checkable, roster, reader)
            read = replace(read, grades=grades, judged=judged)
        if vector is None or not self.corrector.share:
            return read
        names = roster.identities
        overall = self.beliefs.overall(roster, reader)
        correction = self.corrector.correction(vector, names, read.mean, overall)
        return replace(read, correction=correction)

    def merge(self, rows: Iterable[Change]) -> list[Change]:
        """Take in what other machines counted (see `Beliefs.merge`)."""
        self.grading.look_again()
        return self.beliefs.merge(rows)

    def forget(self, gone: Callable[[str], bool]) -> set[str]:
        """Drop what some origins counted (see `Buckets.forget`)."""
        self.grading.look_again()
        return self.beliefs.forget(gone)

    def observe(
        self,
        origin: str,
        features: Features,
        vector: Floats | None,
        verdicts: Mapping[str, Counts],
        roster: Roster,
    ) -> list[Change]:
        """Learn from what `origin` found of answers to one request.

        Returns:
            The buckets that changed.
        """
        if vector is not None:
            at = {name: row for row, name in enumerate(roster.identities)}
            known = {name: counts for name, counts in verdicts.items() if name in at}
            if known:
                rows = [at[name] for name in known]
                mean = self.beliefs.read(features, roster, origin).mean[rows]
                overall = self.beliefs.overall(roster, origin)[rows]
                self.corrector.observe(vector, known, mean, overall)
        return self.beliefs.observe(origin, features, verdicts)
