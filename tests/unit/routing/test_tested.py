import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.verification import Grade
from edgeroute.routing.tested import LEAST_VERIFIED, Tally, at_least, at_most, claim_of

NONE = Tally()


def tallies(sound: Tally, fair: Tally = NONE, doubtful: Tally = NONE) -> list[Tally]:
    return [NONE, doubtful, fair, sound]


counts = st.integers(0, 200)


@st.composite
def judged(draw: st.DrawFn) -> Tally:
    live_right, live_wrong = draw(counts), draw(counts)
    return Tally(live_right + draw(counts), live_wrong + draw(counts), live_right, live_wrong)


def test_forty_five_right_answers_are_what_five_percent_take() -> None:
    assert at_most(0, LEAST_VERIFIED) == pytest.approx(1 - 0.1 ** (1 / 45), abs=1e-6)
    assert claim_of(tallies(Tally(45, 0)), 0.05).grades == (Grade.SOUND,)
    too_few = claim_of(tallies(Tally(44, 0)), 0.5)
    assert (too_few.grades, too_few.verified) == ((), 44)


def test_the_first_set_that_fails_ends_the_test() -> None:
    sound, many = Tally(60, 0), Tally(5000, 0)
    assert claim_of(tallies(sound, many), 0.05).grades == (Grade.SOUND, Grade.FAIR)
    assert claim_of(tallies(Tally(60, 20), many), 0.05).grades == ()
    assert claim_of(tallies(sound, Tally(20, 20), many), 0.05).grades == (Grade.SOUND,)


def test_what_a_check_speaks_against_is_never_proved() -> None:
    assert Grade.FAILED not in claim_of([Tally(10_000, 0)] * len(Grade), 1.0).grades


def test_errors_in_use_withdraw_a_claim_that_probes_would_still_prove() -> None:
    assert claim_of(tallies(Tally(1000, 0)), 0.05).grades == (Grade.SOUND,)
    broken = claim_of(tallies(Tally(1002, 6, 2, 6)), 0.05)
    assert broken.withdrawn
    assert broken.grades == ()


@given(st.lists(judged(), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_a_laxer_budget_never_proves_less(found: list[Tally], budget: float, other: float) -> None:
    strict, lax = (set(claim_of(found, b).grades) for b in sorted((budget, other)))
    assert strict <= lax


@given(st.lists(judged(), min_size=4, max_size=4), st.floats(0, 1), st.integers(0, 3))
def test_one_more_wrong_answer_never_proves_more(
    found: list[Tally], budget: float, at: int
) -> None:
    of = found[at]
    worse = [*found]
    worse[at] = of._replace(wrong=of.wrong + 1, live_wrong=of.live_wrong + 1)
    before, after = claim_of(found, budget), claim_of(worse, budget)
    sound, lax = found[Grade.SOUND], found[Grade.DOUBTFUL : Grade.SOUND]
    if sound.right + sound.wrong >= LEAST_VERIFIED and all(map(any, lax)):  # else it makes enough
        assert set(after.grades) <= set(before.grades)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_bounds_hold_what_was_seen_between_them(wrong: int, right: int) -> None:
    if wrong + right:
        assert at_least(wrong, right) <= wrong / (wrong + right) + 1e-6
        assert at_most(wrong, right) >= wrong / (wrong + right) - 1e-6


@pytest.mark.parametrize("truth", [(0.1, 0.1, 0.1), (0.02, 0.11, 0.3), (0.06, 0.12, 0.12)])
def test_a_claim_is_wrong_in_at_most_a_tenth_of_all_worlds(truth: tuple[float, ...]) -> None:
    """True P(wrong) of each grade, best first; each world draws 300 answers of them in thirds."""
    drawn, budget, worlds = random.Random(7), 0.0999, 600  # noqa: S311 - a simulation
    untrue = 0
    for _ in range(worlds):
        wrong = [sum(drawn.random() < p for _ in range(100)) for p in truth]
        sound, fair, doubtful = (Tally(100 - w, w) for w in wrong)
        claimed = len(claim_of(tallies(sound, fair, doubtful), budget).grades)
        untrue += claimed > 0 and sum(truth[:claimed]) / claimed > budget
    assert untrue / worlds <= 0.1 + 2 * (0.09 / worlds) ** 0.5
