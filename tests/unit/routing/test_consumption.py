"""What queries take, learnt from what they took."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.target import Rates
from edgeroute.routing.consumption import Consumption, learn, predict, prior

RATES = Rates(1.0, 300.0, 50.0, 10.0)


def taught(count: int, noise: float, seed: int = 1) -> tuple[Consumption, random.Random]:
    """A fit of queries that take 2 J, 0.05 J per token read and 0.5 J per token drawn."""
    draw = random.Random(seed)  # noqa: S311
    fit = prior(RATES)
    for _ in range(count):
        prompt, output = draw.randint(10, 800), draw.randint(5, 400)
        fit = learn(fit, prompt, output, truth(prompt, output) * draw.gauss(1, noise), "counter")
    return fit, draw


def truth(prompt: int, output: int) -> float:
    return 2 + 0.05 * prompt + 0.5 * output


def test_the_prior_is_watts_times_seconds_and_says_that_it_is_a_model() -> None:
    energy = predict(prior(RATES).rates, 300, 50)
    assert energy.joules == pytest.approx(20.0)
    assert energy.quality == "model"
    assert energy.low < 10
    assert energy.high > 30


@pytest.mark.parametrize("seed", range(5))
def test_thirty_queries_are_enough(seed: int) -> None:
    fit, draw = taught(30, 0.05, seed)
    lengths = [(draw.randint(20, 800), draw.randint(20, 400)) for _ in range(100)]
    errors = [abs(predict(fit.rates, *both).joules / truth(*both) - 1) for both in lengths]
    assert statistics.median(errors) < 0.03
    assert fit.quality == "counter"


def test_the_interval_holds_nine_times_out_of_ten() -> None:
    fit, draw = taught(60, 0.1)
    inside = 0
    for _ in range(500):
        prompt, output = draw.randint(10, 800), draw.randint(5, 400)
        energy = predict(fit.rates, prompt, output)
        inside += energy.low <= truth(prompt, output) * draw.gauss(1, 0.1) <= energy.high
    assert 0.82 < inside / 500 < 0.98


def test_it_follows_a_machine_that_changes() -> None:
    fit, draw = taught(100, 0.05)
    for _ in range(150):
        prompt, output = draw.randint(10, 800), draw.randint(5, 400)
        fit = learn(fit, prompt, output, 2 * truth(prompt, output), "counter")
    assert predict(fit.rates, 300, 100).joules == pytest.approx(2 * truth(300, 100), rel=0.1)


def test_one_query_that_something_else_disturbed_teaches_little() -> None:
    fit, _ = taught(50, 0.05)
    disturbed = learn(fit, 100, 100, 100 * truth(100, 100), "counter")
    assert predict(disturbed.rates, 300, 100).joules < 1.2 * truth(300, 100)


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.floats(1e-6, 1e7)), max_size=60
    )
)
def test_whatever_it_is_taught_it_predicts_sanely(seen: list[tuple[int, int, float]]) -> None:
    fit = prior(RATES)
    for prompt, output, joules in seen:
        fit = learn(fit, prompt, output, joules, "integrated")
    energy = predict(fit.rates, 100, 100)
    assert 0 <= energy.low <= energy.joules <= energy.high < float("inf")
    assert fit.queries == len(seen)
