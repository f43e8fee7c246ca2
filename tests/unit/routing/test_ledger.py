"""Spend limits: never passed, whoever asks at once, whatever is settled when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgeroute.domain.spending import Spending, SpendLimits, Today
from edgeroute.domain.units import Usd
from edgeroute.routing.ledger import Hold, Ledger, dollars, nanos

MONDAY = Today("2026-11-23", 3600.0)
TUESDAY = Today("2026-11-24", 86400.0)
LIMITS = SpendLimits(Usd(1.0), {"notes": Usd(0.25)})


def held(ledger: Ledger, app: str, usd: float, today: Today = MONDAY) -> Hold:
    hold = ledger.reserve(app, nanos(usd), today)
    assert isinstance(hold, Hold)
    return hold


def test_what_is_held_is_not_left_and_what_was_not_needed_is_again() -> None:
    ledger = Ledger(LIMITS, {})
    hold = held(ledger, "default", 0.75)
    assert ledger.reserve("default", nanos(0.375), MONDAY) == Spending(
        None, Usd(1.0), Usd(0.25), 3600.0
    )
    ledger.settle(hold, nanos(0.5))
    held(ledger, "default", 0.5)
    assert ledger.spent(MONDAY) == {"default": 0.5}
    assert ledger.held(MONDAY) == 0.5


def test_an_apps_own_limit_binds_it_alone() -> None:
    ledger = Ledger(LIMITS, {("2026-11-23", "notes"): nanos(0.2)})
    refused = ledger.reserve("notes", nanos(0.06), MONDAY)
    assert isinstance(refused, Spending)
    assert (refused.of, refused.left, refused.words) == ("notes", 0.05, "app notes")
    held(ledger, "default", 0.8)
    assert isinstance(ledger.reserve("default", 1, MONDAY), Spending)


def test_the_next_day_begins_anew_and_a_late_bill_belongs_to_its_own() -> None:
    ledger = Ledger(LIMITS, {})
    hold = held(ledger, "default", 1.0)
    assert isinstance(ledger.reserve("default", 1, MONDAY), Spending)
    held(ledger, "default", 1.0, TUESDAY)
    ledger.settle(hold, nanos(1.0))
    assert ledger.spent(MONDAY) == {"default": 1.0}
    assert ledger.spent(TUESDAY) == {}


def test_without_a_limit_all_is_counted_and_nothing_refused() -> None:
    ledger = Ledger(SpendLimits(), {})
    ledger.settle(held(ledger, "x", 1e6), nanos(1e6))
    assert ledger.standing("x", MONDAY) is None
    assert ledger.spent(MONDAY) == {"x": 1e6}


def test_a_ledger_that_is_never_closed_does_not_grow_with_the_days() -> None:
    ledger = Ledger(LIMITS, {})
    days = [Today(f"2026-{n // 28 + 1:02}-{n % 28 + 1:02}", 1.0) for n in range(100)]
    for day in days:
        ledger.settle(held(ledger, "default", 1.0, day), nanos(1.0))
    known = [day for day in days if ledger.spent(day)]
    assert known == days[-len(known) :]
    assert len(known) == 32


@given(st.floats(0, 1e6, allow_subnormal=False))
def test_amounts_are_rounded_up_and_sum_exactly(usd: float) -> None:
    assert dollars(nanos(usd)) == pytest.approx(usd, abs=2e-9)
    assert nanos(usd) >= usd * 10**9


class Spenders(RuleBasedStateMachine):
    """Several apps hold and settle in any order, over days and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.today = MONDAY
        self.ledger = Ledger(LIMITS, {})
        self.holds: list[Hold] = []
        self.paid: dict[tuple[str, str], int] = {}

    @rule(app=st.sampled_from(["default", "notes"]), amount=st.integers(0, nanos(0.4)))
    def ask(self, app: str, amount: int) -> None:
        hold = self.ledger.reserve(app, amount, self.today)
        if isinstance(hold, Hold):
            self.holds.append(hold)
        else:
            assert nanos(hold.left) < amount

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        amount = data.draw(st.integers(0, hold.amount))
        self.ledger.settle(hold, amount)
        self._pay(hold, amount)

    @rule()
    def die(self) -> None:
        """What was held is taken for spent."""
        for hold in self.holds:
            self._pay(hold, hold.amount)
        self.holds.clear()
        self.ledger = Ledger(LIMITS, self.paid)

    @rule(today=st.sampled_from([MONDAY, TUESDAY]))
    def set_clock(self, today: Today) -> None:
        self.today = today

    @invariant()
    def no_limit_is_passed(self) -> None:
        for day in (MONDAY.day, TUESDAY.day):
            held = [hold for hold in self.holds if hold.day == day]
            notes = sum(hold.amount for hold in held if hold.app == "notes")
            everything = sum(hold.amount for hold in held)
            paid = self.paid
            assert paid.get((day, "notes"), 0) + notes <= nanos(0.25)
            both = paid.get((day, "notes"), 0) + paid.get((day, "default"), 0)
            assert both + everything <= nanos(1.0)

    def _pay(self, hold: Hold, amount: int) -> None:
        key = hold.day, hold.app
        self.paid[key] = self.paid.get(key, 0) + amount


TestSpenders = Spenders.TestCase
