"""How good a target's answers have proved to be: what is counted, and what is believed of it.

Owns the nouns that leave the machine: buckets of counts are exchanged between machines, and hold
neither text nor anything that a request could be recognised by.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

PARTS = 16
"""Integer parts of one observation: a verdict may be partly good, or weigh less than a whole."""
ANY_CELL = "*"
"""The cell that counts every task."""
EVENTS = ""
"""In place of a target: the bucket counts the origin's events themselves."""
EVENTS_PER_BUCKET = 32
HERE: Final = "here"
"""This machine among the origins of what it counts itself; to others its certificate names it."""
PROBES: Final = "probes/"
"""Begins the app of an origin that counts probes, which are the same questions everywhere; no other
app has a slash in its name."""


def origin_of(machine: str, app: str) -> str:
    """The origin of what an app on a machine judges."""
    return f"{machine}/{app}"


def probing_of(machine: str, identity: str) -> str:
    """The origin of a machine's probes of one model, which fades by its own events alone."""
    return origin_of(machine, f"{PROBES}{identity[:16]}")


def machine_of(origin: str) -> str:
    """The machine of an origin: `HERE`, or the `DeviceId` of a peer."""
    return origin.partition("/")[0]


class BucketKey(NamedTuple):
    """What some counts are of; only `origin` ever writes them.

    Attributes:
        origin: The machine, and the app there, that judged the answers (`origin_of`).
        target: `Target.identity`; `EVENTS` for the bucket that counts an origin's events in a cell.
        cell: A task, `task/subject`, or `ANY_CELL`.
        bucket: Events of that origin in that cell before it, divided by the size of a bucket.
    """

    origin: str
    target: str
    cell: str
    bucket: int


class Counts(NamedTuple):
    """Parts of observations that were good and bad; they only grow, so the greater is the newer."""

    ok: int
    bad: int


VerdictSource = Literal["explicit", "probe", "recomputed", "schema", "verified", "cancelled"]
VERDICT_PARTS: dict[VerdictSource, int] = {
    "explicit": PARTS,
    "probe": PARTS,
    "recomputed": PARTS,
    "schema": PARTS // 2,
    "verified": PARTS // 4,
    "cancelled": PARTS // 8,
}
"""How much a verdict weighs. Who hangs up at once may dislike the answer, or be in a hurry."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good one answer was.

    Attributes:
        score: 0 useless .. 1 fully acceptable.
    """

    score: float
    source: VerdictSource = "explicit"

    @property
    def counts(self) -> Counts:
        """The parts of an observation that it is worth."""
        parts = VERDICT_PARTS[self.source]
        ok = round(parts * self.score)
        return Counts(ok, parts - ok)


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of one target's answer to one request.

    Attributes:
        mean: P(acceptable) by the cells, 0..1.
        ok: Observations in the finest cell that were good, faded by age.
        bad: Those that were not.
        heard: Of both, those that other machines of the owner made.
        correction: What the request's own features add to `mean`; 0 until that has proved itself.
        grades: P(grade | right) and P(grade | wrong) of its drafts; empty where none is checked.
        judged: Answers of each grade, worst first, that were judged right and wrong, and of those
            the ones judged in use; empty where there are none.
    """

    mean: float
    ok: float
    bad: float
    heard: float = 0.0
    correction: float = 0.0
    grades: tuple[tuple[float, ...], ...] = ()
    judged: tuple[tuple[float, float, float, float], ...] = ()
