"""What a joule is worth under a budget."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.routing.price import Choice, Price, upgrades, weight
from edgeroute.routing.usual_day import Demand

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
    assert demand.expected(morning, morning + 9 * HOUR_S).sum() == pytest.approx(80, rel=0.2)
    late = demand.expected(morning + 10 * HOUR_S, morning + 15 * HOUR_S)
    assert late.sum() == pytest.approx(0, abs=5)


def test_a_busier_day_than_usual_is_noticed() -> None:
    demand = Demand()
    for day in range(3):
        for hour in range(9, 17):
            for minute in range(10):
                demand.note(day * DAY_S + hour * HOUR_S + minute)
    for hour in range(9, 13):
        for minute in range(30):
            demand.note(3 * DAY_S + hour * HOUR_S + minute)
    noon = 3 * DAY_S + 13 * HOUR_S
    assert 1.5 * 40 < demand.expected(noon, noon + 4 * HOUR_S).sum() < 3 * 40
    assert demand.passed(noon, noon + 4 * HOUR_S) == pytest.approx(0.5, abs=0.2)


def test_weekends_are_expected_to_be_like_weekends() -> None:
    """Day 0 was a Thursday, so 2 and 3 are a weekend."""
    demand = Demand()
    for day in range(7):
        for minute in range(2 if day in (2, 3) else 20):
            demand.note(day * DAY_S + 9 * HOUR_S + 60.0 * minute)
    demand.note(7 * DAY_S)
    thursday, saturday = (day * DAY_S + 8 * HOUR_S for day in (7, 9))
    assert demand.expected(thursday, thursday + 4 * HOUR_S).sum() == pytest.approx(20, rel=0.1)
    assert demand.expected(saturday, saturday + 4 * HOUR_S).sum() == pytest.approx(2, rel=0.1)


def test_a_kind_of_day_that_was_never_seen_is_like_the_other() -> None:
    demand = Demand()
    for minute in range(20):
        demand.note(9 * HOUR_S + 60.0 * minute)
    saturday = 2 * DAY_S + 8 * HOUR_S
    demand.note(saturday)
    assert demand.expected(saturday, saturday + 4 * HOUR_S).sum() == pytest.approx(20, rel=0.1)


choice_lists = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(0, 1e4, allow_subnormal=False)), min_size=1, max_size=6
)


@pytest.mark.parametrize("background", [False, True])
@given(targets=choice_lists, price=st.floats(1e-6, 10))
def test_upgrades_take_what_the_best_choice_takes_at_every_price(
    targets: list[tuple[float, float]], price: float, *, background: bool
) -> None:
    worth, joules = zip(*targets, strict=True)
    least, steps = upgrades(Choice(worth, joules, background))
    assert [step for step, _ in steps] == sorted((step for step, _ in steps), reverse=True)
    taken = least + sum(more for step, more in steps if step > price)
    paid = weight(price, background=background)
    by_steps = max(w - paid * j for w, j in targets if abs(j - taken) <= 1e-6 * taken)
    best = max(w - paid * j for w, j in targets)
    assert by_steps >= best - 1e-6 * (1 + abs(best))
