"""At which grades a model's drafts have been proved good enough, by fixed-sequence testing.

Owns the claim and when it falls. From strict to lax, every set of grades is tested against a budget
of wrong answers by its one-sided 90% Clopper-Pearson bound, and the first that fails ends it, so
that all sets together err as seldom as one (Learn then Test, Angelopoulos et al. 2021). A grade of
which nobody judged an answer ends it too. Only answers that were judged count: by a person or an
app, or by a probe's own check. The bound is read again after every verdict: it is one look's, not
that of all looks together.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from edgeroute.domain.verification import Grade
from edgeroute.routing.beta import quantile

LEAST_VERIFIED = 45
"""Answers under which nothing is claimed: with as many, none wrong, the bound passes under 5%."""
_SURE = 0.9
_NEVER = frozenset({Grade.FAILED})
"""Grades that no number of answers makes good enough: a check speaks against the answer."""


class Tally(NamedTuple):
    """Judged answers of one grade; `live_` are those that were judged in use, by no probe."""

    right: float = 0.0
    wrong: float = 0.0
    live_right: float = 0.0
    live_wrong: float = 0.0


class Claim(NamedTuple):
    """What is claimed of answers that are given at some grades.

    Attributes:
        grades: The laxest set that was proved, best grade first; empty where there is no claim.
        wrong_at_most: The bound of P(wrong | given) of that set, or of the one that failed.
        verified: Judged answers in it.
        withdrawn: Answers judged in use contradict what all of them together would prove.
    """

    grades: tuple[Grade, ...]
    wrong_at_most: float
    verified: int
    withdrawn: bool = False


def claim_of(tallies: Sequence[Tally], budget: float) -> Claim:
    """The laxest set of grades whose answers are wrong at most as often as a budget allows.

    Args:
        tallies: By grade, worst first.
        budget: P(wrong | given) within 0..1 that is borne.
    """
    claim = Claim((), 1.0, 0)
    for grade in sorted(set(Grade) - _NEVER, reverse=True):
        if claim.grades and not any(tallies[grade]):
            break
        grades = (*claim.grades, grade)
        right, wrong, live_right, live_wrong = (
            sum(part) for part in zip(*(tallies[of] for of in grades), strict=True)
        )
        tested = Claim(grades, at_most(wrong, right), math.floor(right) + math.ceil(wrong))
        if tested.verified < LEAST_VERIFIED or tested.wrong_at_most > budget:
            return claim if claim.grades else tested._replace(grades=())
        if at_least(live_wrong, live_right) > budget:
            return claim if claim.grades else tested._replace(grades=(), withdrawn=True)
        claim = tested
    return claim


def at_most(wrong: float, right: float) -> float:
    """The one-sided 90% Clopper-Pearson upper bound of P(wrong); parts count as wrong."""
    missed, held = math.ceil(wrong), math.floor(right)
    return quantile(missed + 1, held, _SURE) if held else 1.0


def at_least(wrong: float, right: float) -> float:
    """The lower bound likewise; parts count as right."""
    missed, held = math.floor(wrong), math.ceil(right)
    return quantile(missed, held + 1, 1 - _SURE) if missed else 0.0
