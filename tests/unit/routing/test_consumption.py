"""What queries take, learnt from what they took."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.target import Rates
from edgeroute.routing.consumption import Consumption, Lengths, learn, predict, prior

RATES = Rates(1.0, 300.0, 50.0, 10.0)
USUAL = Lengths(300, 100)


def taught(count: int, noise: float, seed: int = 1) -> tuple[Consumption, random.Random]:
    """A fit of queries that take what `truth` says."""
    draw = random.Random(seed)  # noqa: S311
    fit = prior(RATES)
    for _ in range(count):
        lengths = lengths_of(draw)
        fit = learn(fit, lengths, truth(lengths) * draw.gauss(1, noise), "counter")
    return fit, draw


def lengths_of(draw: random.Random) -> Lengths:
    return Lengths(draw.randint(10, 800), draw.randint(5, 400), draw.choice((0, 0, 500)))


def truth(lengths: Lengths) -> float:
    """2 J, 0.05 J per token read, 0.5 J per token drawn, which doubles at a thousand before it."""
    begun, whole = lengths.cached, sum(lengths)
    pairs = sum(range(int(begun), int(whole)))
    return 2 + 0.05 * lengths.read + 0.5 * lengths.drawn + 0.0005 * pairs


def test_the_prior_is_watts_times_seconds_and_says_that_it_is_a_model() -> None:
    energy = predict(prior(RATES).rates, Lengths(300, 50))
    assert energy.joules == pytest.approx(20.0)
    assert energy.quality == "model"
    assert energy.low < 10
    assert energy.high > 30


@pytest.mark.parametrize("seed", range(5))
def test_thirty_queries_are_enough(seed: int) -> None:
    fit, draw = taught(30, 0.05, seed)
    asked = [lengths_of(draw) for _ in range(100)]
    errors = [abs(predict(fit.rates, each).joules / truth(each) - 1) for each in asked]
    assert statistics.median(errors) < 0.04
    assert fit.quality == "counter"


def test_the_interval_holds_nine_times_out_of_ten() -> None:
    fit, draw = taught(60, 0.1)
    inside = 0
    for _ in range(500):
        lengths = lengths_of(draw)
        energy = predict(fit.rates, lengths)
        inside += energy.low <= truth(lengths) * draw.gauss(1, 0.1) <= energy.high
    assert 0.82 < inside / 500 < 0.98


def test_it_follows_a_machine_that_changes() -> None:
    fit, draw = taught(100, 0.05)
    for _ in range(150):
        lengths = lengths_of(draw)
        fit = learn(fit, lengths, 2 * truth(lengths), "counter")
    assert predict(fit.rates, USUAL).joules == pytest.approx(2 * truth(USUAL), rel=0.1)


def test_one_query_that_something_else_disturbed_teaches_little() -> None:
    fit, _ = taught(50, 0.05)
    disturbed = learn(fit, USUAL, 100 * truth(USUAL), "counter")
    assert predict(disturbed.rates, USUAL).joules < 1.2 * truth(USUAL)


@given(
    st.lists(
        st.tuples(st.builds(Lengths, *[st.integers(0, 5000)] * 3), st.floats(1e-6, 1e7)),
        max_size=60,
    )
)
def test_whatever_it_is_taught_it_predicts_sanely(seen: list[tuple[Lengths, float]]) -> None:
    fit = prior(RATES)
    for lengths, joules in seen:
        fit = learn(fit, lengths, joules, "integrated")
    energy = predict(fit.rates, USUAL)
    assert 0 <= energy.low <= energy.joules <= energy.high < float("inf")
    assert fit.queries == len(seen)
