"""What a joule is worth under a budget."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.routing.price import Choice, Demand, Price, weight

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
GOOD_OR_CHEAP = Choice((0.9, 0.5), (100.0, 10.0))


def noted(count: int, choice: Choice = GOOD_OR_CHEAP, since: float = 0.0) -> Price:
    price = Price()
    for number in range(count):
        price.note(choice, since + number * 60.0)
    return price


def test_a_budget_that_is_enough_leaves_the_price_alone() -> None:
    assert noted(60).now(1e6, HOUR_S, 2 * HOUR_S, 0.0003) == 0.0003


def test_a_budget_that_is_short_makes_the_cheaper_one_win() -> None:
    price = noted(60).now(60 * 20, HOUR_S, 2 * HOUR_S, 0.0003)
    assert 0.9 - price * 100 < 0.5 - price * 10


def test_before_anything_was_asked_nothing_is_known() -> None:
    assert Price().now(0.0, 0.0, DAY_S, 0.0003) == 0.0003


@given(
    left=st.floats(-1e6, 1e9),
    base=st.floats(0, 10),
    choices=st.lists(
        st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1e6)), min_size=1, max_size=4),
        min_size=1,
        max_size=20,
    ),
)
def test_the_price_is_finite_and_never_under_its_base(
    left: float, base: float, choices: list[list[tuple[float, float]]]
) -> None:
    price = Price()
    for number, choice in enumerate(choices):
        worth, joules = zip(*choice, strict=True)
        price.note(Choice(worth, joules), 60.0 * number)
    assert base <= price.now(left, HOUR_S, 2 * HOUR_S, base) <= 1001


@given(less=st.floats(0, 1e4), more=st.floats(0, 1e4))
def test_less_left_is_never_cheaper(less: float, more: float) -> None:
    less, more = sorted((less, more))
    price = noted(60)
    until = 2 * HOUR_S
    assert price.now(less, HOUR_S, until, 1e-4) >= price.now(more, HOUR_S, until, 1e-4)


def test_what_nobody_waits_for_pays_more() -> None:
    assert weight(0.001, background=True) > weight(0.001, background=False)


def test_the_usual_day_is_expected() -> None:
    demand, draw = Demand(), random.Random(1)  # noqa: S311
    for day in range(4):
        for _ in range(80):
            demand.note(day * DAY_S + draw.uniform(9, 17) * HOUR_S)
    morning = 4 * DAY_S + 8 * HOUR_S
    assert demand.expected(morning, morning + 9 * HOUR_S) == pytest.approx(80, rel=0.2)
    assert demand.expected(morning + 10 * HOUR_S, morning + 15 * HOUR_S) == pytest.approx(0, abs=5)


def test_a_busier_day_than_usual_is_noticed() -> None:
    demand = Demand()
    for day in range(3):
        for hour in range(9, 17):
            demand.note(day * DAY_S + hour * HOUR_S)
    for hour in range(9, 13):
        for minute in range(3):
            demand.note(3 * DAY_S + hour * HOUR_S + minute)
    noon = 3 * DAY_S + 13 * HOUR_S
    assert demand.expected(noon, noon + 4 * HOUR_S) > 1.2 * 4
