"""Days under a joule budget: what the replay counts."""

from collections.abc import Callable

import numpy as np
import pytest

from edgeroute.domain.features import Task
from edgeroute.domain.profile import Profile
from edgeroute.evaluation.battery_day import (
    Asked,
    Speeds,
    Supply,
    ask,
    charged,
    evaluate,
    even,
    fixed,
    hourly,
    topped_up,
)

HOUR_S = 3600.0
SMALL = Speeds(0.5e9, 4800, 220, 25.0)
BIG = Speeds(8e9, 300, 13.8, 25.0)


def day(number: int) -> list[Asked]:
    profile = Profile("balanced", "", per_second=0.001)
    rng = np.random.default_rng(number)
    hours = sorted(rng.uniform(8, 20, 100))
    return [
        ask(
            (24 * number + hour) * HOUR_S,
            Task.KNOWLEDGE_QA,
            (int(rng.integers(50, 600)), int(rng.integers(10, 300))),
            (SMALL, BIG),
            profile,
        )
        for hour in hours
    ]


def test_a_bigger_model_gives_more_and_takes_more() -> None:
    asked = day(0)[0]
    assert asked.quality[1] > asked.quality[0]
    assert asked.joules[1] > asked.joules[0]


def test_nothing_counts_after_the_battery_is_empty() -> None:
    one = fixed(day(0), 0.0, capacity=1000.0)
    assert one.taken > 1000.0
    assert one.alive < one.quality


def test_hours_give_the_capacity_between_waking_and_midnight() -> None:
    drawn = hourly(5000.0, 0.0, np.random.default_rng(1))
    assert len(drawn.allowed) == 24
    assert drawn.capacity == pytest.approx(5000.0)
    assert drawn.allowed[3] == 0.0


def test_an_even_budget_gives_the_same_in_every_hour() -> None:
    drawn = even(4800.0, 0.0, np.random.default_rng(1))
    assert drawn.allowed == (200.0,) * 24


def test_a_battery_holds_the_share_of_models_and_what_others_take() -> None:
    drawn = charged(5000.0, 0.0, np.random.default_rng(1))
    assert drawn.capacity == pytest.approx(5000.0)
    assert 0 < sum(drawn.others_j) <= drawn.full_j - drawn.capacity
    nights = [topped_up(5000.0, 0.0, np.random.default_rng(seed)).capacity for seed in range(9)]
    assert min(nights) < 5000.0 < max(nights)


@pytest.mark.parametrize("supply", [charged, topped_up, hourly, even])
def test_a_budget_is_used_and_hardly_overdrawn(
    supply: Callable[[float, float, np.random.Generator], Supply],
) -> None:
    figures = evaluate([day(number) for number in range(7)], 0.6, 7, 1e-6, supply, seed=1)
    assert figures.overshoot < 8
    assert figures.used > 85
    assert 0.9 < figures.hindsight <= 1.001
