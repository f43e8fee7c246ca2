"""The corrector has a say once it has proved itself, and loses it when it no longer does."""

import numpy as np
import pytest

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.routing.corrector import Corrector, solve

GOOD, BAD = Counts(PARTS, 0), Counts(0, PARTS)
HALF = np.array([0.5, 0.5])
NAMES = ["a", "b"]


def teach(
    corrector: Corrector, events: int, rng: np.random.Generator, *, flip: bool = False
) -> None:
    """The first figure says which of two targets is right."""
    for _ in range(events):
        vector = rng.choice([-1.0, 1.0], size=3)
        first = (vector[0] > 0) != flip
        corrector.observe(
            vector, {"a": GOOD if first else BAD, "b": BAD if first else GOOD}, HALF, HALF
        )
        if corrector.due:
            corrector.adopt(solve(corrector.problem()))


def noise(corrector: Corrector, events: int, rng: np.random.Generator) -> None:
    for _ in range(events):
        verdicts = {name: GOOD if rng.random() < 0.5 else BAD for name in NAMES}
        corrector.observe(rng.choice([-1.0, 1.0], size=3), verdicts, HALF, HALF)
        if corrector.due:
            corrector.adopt(solve(corrector.problem()))


def test_it_is_silent_until_it_has_learnt() -> None:
    corrector = Corrector(3)
    assert corrector.share == 0
    assert not corrector.correction(np.ones(3), NAMES, HALF, HALF).any()


def test_it_learns_what_the_task_does_not_say() -> None:
    corrector, rng = Corrector(3), np.random.default_rng(1)
    teach(corrector, 200, rng)
    assert corrector.share == 1
    a, b = corrector.correction(np.array([1.0, 1.0, -1.0]), NAMES, HALF, HALF)
    assert a > 0.2
    assert b < -0.2


def test_it_drops_out_when_the_world_turns_and_comes_back() -> None:
    corrector, rng = Corrector(3), np.random.default_rng(2)
    teach(corrector, 300, rng)
    shares = []
    for _ in range(25):
        teach(corrector, 10, rng, flip=True)
        shares.append(corrector.share)
    assert 0 in shares
    teach(corrector, 2500, rng, flip=True)
    assert corrector.correction(np.array([1.0, 1.0, 1.0]), NAMES, HALF, HALF)[0] < -0.2


@pytest.mark.parametrize("seed", range(4))
def test_on_noise_it_stays_near_nothing(seed: int) -> None:
    corrector, rng = Corrector(3), np.random.default_rng(seed)
    noise(corrector, 400, rng)
    assert np.abs(corrector.correction(np.ones(3), NAMES, HALF, HALF)).max() < 0.15


def test_a_target_that_it_never_saw_is_left_at_its_mean() -> None:
    corrector = Corrector(3)
    teach(corrector, 200, np.random.default_rng(3))
    moved = corrector.correction(
        np.ones(3), ["a", "new"], np.array([0.5, 0.7]), np.array([0.5, 0.7])
    )
    assert moved[1] == 0


def test_an_answer_to_one_target_teaches_nothing_of_the_other() -> None:
    corrector, rng = Corrector(3), np.random.default_rng(4)
    for _ in range(300):
        vector = rng.choice([-1.0, 1.0], size=3)
        corrector.observe(vector, {"a": GOOD if vector[0] > 0 else BAD}, HALF[:1], HALF[:1])
        if corrector.due:
            corrector.adopt(solve(corrector.problem()))
    moved = corrector.correction(np.ones(3), NAMES, HALF, HALF)
    assert moved[0] > 0.2
    assert moved[1] == 0
