"""Knowing which weak model fails gives no say, where it chooses worse."""

import numpy as np

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.routing.corrector import Corrector, solve

STRONG, WEAK = 0.95, 0.5
MEANS = np.array([STRONG, WEAK, WEAK])
NAMES = ["strong", "weak", "other"]


def test_a_weak_model_on_its_easy_ground_does_not_overtake_a_strong_one() -> None:
    corrector, rng = Corrector(2), np.random.default_rng(5)
    for _ in range(400):
        easy = rng.random() < 0.5
        vector = np.array([1.0 if easy else -1.0, 1.0])
        p = 0.9 if easy else 0.1
        right = rng.random() < STRONG, rng.random() < p, rng.random() < p
        verdicts = {
            name: Counts(PARTS, 0) if ok else Counts(0, PARTS)
            for name, ok in zip(NAMES, right, strict=True)
        }
        corrector.observe(vector, verdicts, MEANS, MEANS)
        if corrector.due:
            corrector.adopt(solve(corrector.problem()))
    easy_ground = np.array([1.0, 1.0])
    moved = MEANS + corrector.correction(easy_ground, NAMES, MEANS, MEANS)
    assert moved[0] > max(moved[1:])
