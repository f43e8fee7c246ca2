"""Cells and corrector learn from the same verdicts, and an explanation needs no vector."""

import numpy as np

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.domain.features import Features, Task
from edgeroute.routing.candidates import Roster
from edgeroute.routing.corrector import solve
from edgeroute.routing.quality import Quality
from tests.unit.routing.drawn import QWEN_BIG, SMOLLM2

GOOD, BAD = Counts(PARTS, 0), Counts(0, PARTS)
ROSTER = Roster.of([QWEN_BIG, SMOLLM2])
CODING = Features(Task.CODING, 1.0, 70, 300)


def taught() -> Quality:
    """In one task, the first figure says which of two targets is right."""
    quality, rng = Quality(2), np.random.default_rng(0)
    for _ in range(200):
        vector = rng.choice([-1.0, 1.0], size=2)
        first, second = (GOOD, BAD) if vector[0] > 0 else (BAD, GOOD)
        quality.observe("me", CODING, vector, {QWEN_BIG.id: first, SMOLLM2.id: second}, ROSTER)
        if quality.corrector.due:
            quality.corrector.adopt(solve(quality.corrector.problem()))
    return quality


def test_the_request_itself_decides_between_targets_that_are_as_good() -> None:
    quality = taught()
    one = quality.evidence(CODING, np.array([1.0, 1.0]), ROSTER, "me").p_ok
    other = quality.evidence(CODING, np.array([-1.0, 1.0]), ROSTER, "me").p_ok
    assert one[0] > one[1] + 0.3
    assert other[1] > other[0] + 0.3


def test_without_a_vector_the_cells_alone_speak() -> None:
    quality = taught()
    plain = quality.evidence(CODING, None, ROSTER, "me")
    assert not plain.correction.any()
    changed = quality.observe("me", CODING, None, {QWEN_BIG.id: GOOD}, ROSTER)
    assert {key.target for key, _ in changed} == {"", QWEN_BIG.id}
    assert quality.evidence(CODING, None, ROSTER, "me").mean[0] > plain.mean[0]


def test_a_verdict_on_a_target_that_has_gone_still_counts() -> None:
    quality = Quality(2)
    quality.observe("me", CODING, np.ones(2), {"gone": BAD}, ROSTER)
    assert quality.beliefs.buckets.faded("coding", "gone", "me") == (0, 1, 0)
