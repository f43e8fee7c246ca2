"""Budgets of profiles: joules per hour, a share of the battery, and both."""

import pytest

from edgeroute.domain.hardware import Power
from edgeroute.domain.profile import Profile
from edgeroute.routing.account import Account, Left
from edgeroute.routing.price import Choice

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
GOOD_OR_CHEAP = Choice((0.9, 0.5), (100.0, 10.0))
BASE = 1e-4


def price(account: Account, profile: Profile, now: float) -> float:
    return account.priced(profile, account.left(profile, now), background=False).per_joule


def spent(account: Account, profile: Profile, day: int, count: int) -> list[float]:
    """Prices of a day with as many requests between nine and five."""
    prices = []
    for number in range(count):
        at = day * DAY_S + 9 * HOUR_S + number * 8 * HOUR_S / count
        prices.append(price(account, profile, at))
        account.note(GOOD_OR_CHEAP, at)
        upgraded = 0.9 - prices[-1] * 100.0 > 0.5 - prices[-1] * 10.0
        account.spend(100.0 if upgraded else 10.0)
    return prices


def hourly(each_j: float) -> Profile:
    """A hundred requests a day may take so much each."""
    return Profile("p", "", per_joule=BASE, joules_per_hour=100 * each_j / 24)


def test_what_days_before_came_to_holds_in_the_morning() -> None:
    """Whether somebody may have the good one is worth .4 / 90 J, day after day."""
    profile = hourly(55.0)
    account = Account([profile], 0.0)
    for day in range(4):
        prices = spent(account, profile, day, 100)
    assert prices[0] == pytest.approx(0.4 / 90, rel=0.4)


def test_another_budget_is_noticed_at_once() -> None:
    account = Account([], 0.0)
    for day in range(4):
        spent(account, hourly(20.0), day, 100)
    assert spent(account, hourly(200.0), 4, 100)[0] == BASE


def test_without_a_budget_nothing_is_priced() -> None:
    profile = Profile("p", "", per_joule=BASE)
    account = Account([profile], 0.0)
    assert account.priced(profile, account.left(profile, 0.0), background=True) is profile
    assert list(account.left(profile, 0.0)) == []


SHARED = Profile("p", "", per_joule=BASE, battery_share=0.2, battery_until="17:00")


def charged(joules: float) -> Account:
    account = Account([SHARED], 0.0)
    account.observe(Power("discharging", stored_j=joules), 0.0, on_battery=True)
    return account


def test_a_share_of_the_battery_lasts_until_it_is_to_and_is_used() -> None:
    """A hundred requests that would take 10 kJ, of 25 kJ of which a fifth is theirs."""
    account = Account([SHARED], 0.0)
    for day in range(6):
        full = Power("discharging", stored_j=25_000.0)
        account.observe(full, day * DAY_S - 7 * HOUR_S, on_battery=True)
        prices = spent(account, SHARED, day, 100)
    taken = [100.0 if 0.9 - each * 100 > 0.5 - each * 10 else 10.0 for each in prices]
    assert sum(taken) == pytest.approx(5000.0, rel=0.05)


def test_on_mains_and_at_a_battery_that_tells_nothing_no_share_is_kept() -> None:
    account = charged(100.0)
    for number in range(50):
        account.note(GOOD_OR_CHEAP, 9 * HOUR_S + number)
    assert price(account, SHARED, 9 * HOUR_S + 60) > 100 * BASE
    account.observe(Power("ac", stored_j=100.0), 9 * HOUR_S, on_battery=False)
    assert price(account, SHARED, 9 * HOUR_S + 60) == BASE
    silent = Account([SHARED], 0.0)
    silent.observe(Power("discharging", 40.0), 9 * HOUR_S, on_battery=True)
    (left,) = silent.left(SHARED, 9 * HOUR_S)
    assert left.joules is None
    assert "does not tell what it holds" in left.words
    assert silent.priced(SHARED, [left], background=False) is SHARED


def test_what_is_taken_of_the_mains_says_nothing_of_the_price_on_battery() -> None:
    """A day on mains between two on battery: the second begins where the first one ended."""
    account, other = (Account([SHARED], 0.0) for _ in range(2))
    full = Power("discharging", stored_j=25_000.0)
    for each in (account, other):
        each.observe(full, -7 * HOUR_S, on_battery=True)
        spent(each, SHARED, 0, 100)
    account.observe(Power("ac", stored_j=25_000.0), 20 * HOUR_S, on_battery=False)
    assert price(account, SHARED, 20 * HOUR_S) == BASE
    account.spend(1e6)
    for each in (account, other):
        each.observe(full, DAY_S - 7 * HOUR_S, on_battery=True)
    assert price(account, SHARED, DAY_S) == price(other, SHARED, DAY_S) > BASE


def test_of_two_budgets_the_dearer_joule_holds() -> None:
    both = Profile("p", "", per_joule=BASE, battery_share=0.2, joules_per_hour=1e6)
    account = Account([both], 0.0)
    for number in range(50):
        account.note(GOOD_OR_CHEAP, 9 * HOUR_S + number)
    rich = price(account, both, 9 * HOUR_S + 60)
    account.observe(Power("discharging", stored_j=100.0), 9 * HOUR_S, on_battery=True)
    assert rich == BASE < price(account, both, 9 * HOUR_S + 60)
    assert [left.of for left in account.left(both, 9 * HOUR_S + 60)] == ["hours", "battery"]


def test_what_is_left_is_said_in_words() -> None:
    told = Left("battery", 3210.4, 4 * HOUR_S + 600).words
    assert told == "3,210 J of the battery's charge are left for models for 4 h 10 min"
    assert Left("hours", -5.0, 60.0).words.startswith("0 J of the joules per hour")
