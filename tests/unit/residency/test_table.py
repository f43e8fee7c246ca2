"""The table of states, and the registry that goes by it."""

from itertools import product

import pytest

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import ModelId
from edgeroute.residency.placement import Placement
from edgeroute.residency.registry import Registry
from edgeroute.residency.table import TRANSITIONS, Cause, IllegalTransition, after, allows
from tests.unit.residency.drawn import gib, mib
from tests.unit.residency.shell import spec


@pytest.mark.parametrize(("state", "cause"), list(product(Warmth, Cause)))
def test_what_is_not_in_the_table_is_illegal(state: Warmth, cause: Cause) -> None:
    if (state, cause) in TRANSITIONS:
        assert allows(state, cause)
        assert after(state, cause) is TRANSITIONS[state, cause]
    else:
        assert not allows(state, cause)
        with pytest.raises(IllegalTransition, match=f"a {state.name} model cannot {cause.name}"):
            after(state, cause)


def test_every_state_can_be_reached_and_left() -> None:
    assert {state for state, _ in TRANSITIONS} == set(Warmth)
    assert set(TRANSITIONS.values()) == set(Warmth)


def test_memory_is_held_from_start_until_reclaimed() -> None:
    """Every way from cold to cold goes through `reclaiming`: no bytes are credited by a Stop."""
    ways_to_cold = {state for (state, _), end in TRANSITIONS.items() if end is Warmth.COLD}
    assert ways_to_cold == {Warmth.RECLAIMING, Warmth.FAILED}
    assert {s for (s, _), end in TRANSITIONS.items() if end is Warmth.FAILED} == {Warmth.RECLAIMING}


def test_an_illegal_transition_changes_nothing() -> None:
    models = Registry([spec("a")], Budget(gib(1)), ())
    resident = models[ModelId("a")]
    placement = models.place(resident, models.obtainable)
    assert isinstance(placement, Placement)
    models.start(resident, placement, now=1.0)
    before = (models.version, models.ledger.total, resident.state, resident.started_at)
    with pytest.raises(IllegalTransition):
        models.start(resident, placement, now=2.0)
    with pytest.raises(IllegalTransition):
        models.retry(resident)
    models.reclaim(resident.id, now=2.0)  # nothing is owed
    assert before == (models.version, models.ledger.total, resident.state, resident.started_at)
    assert list(models.violations()) == []


def test_bytes_go_from_live_to_owed_to_lost_and_back() -> None:
    models = Registry([spec("a", 100, file=60)], Budget(gib(1)), ())
    resident, ledger = models[ModelId("a")], models.ledger
    placement = models.place(resident, models.obtainable)
    assert isinstance(placement, Placement)
    models.start(resident, placement, now=1.0)
    assert ledger.total == Footprint(mib(60), mib(40))
    models.load(resident, Footprint(mib(60), mib(50)), 1.0, now=2.0)
    assert ledger.total == models.held == Footprint(mib(60), mib(50))
    models.stop(resident)
    assert models.coming == ledger.total
    models.leave(resident, reclaim_by=9.0)
    assert ledger.total == ledger.owed == models.held == Footprint(anon=mib(50))
    models.write_off(resident, now=9.0)
    assert ledger.total == ledger.lost == models.held == Footprint(anon=mib(50))
    assert models.obtainable.ram == gib(1) - mib(50)
    models.reclaim(resident.id, now=10.0)
    assert ledger.total == Footprint()
    assert list(models.violations()) == []


def test_losses_add_up() -> None:
    models = Registry([spec("a", 100)], Budget(gib(1)), ())
    resident = models[ModelId("a")]
    for _ in range(2):
        placement = models.place(resident, models.obtainable)
        assert isinstance(placement, Placement)
        models.start(resident, placement, now=1.0)
        models.leave(resident, reclaim_by=9.0)
        models.write_off(resident, now=9.0)
    assert models.ledger.lost == Footprint(anon=mib(200))
    assert models.ledger.booked(resident.id) == Footprint(anon=mib(200))
    models.reclaim(resident.id, now=10.0)
    assert models.ledger.total == Footprint()


def test_what_a_load_takes_while_the_budget_is_read_is_in_doubt() -> None:
    models = Registry([spec("a", 100, file=60)], Budget(gib(1)), ())
    resident = models[ModelId("a")]
    placement = models.place(resident, models.obtainable)
    assert isinstance(placement, Placement)
    models.start(resident, placement, now=1.0)
    assert models.in_doubt == Footprint(), "the budget is older than the load"
    models.change_budget(Budget(mib(990)))
    assert models.in_doubt == Footprint(anon=mib(40))
    models.load(resident, placement.footprint, 1.0, now=2.0)
    assert models.in_doubt == Footprint(anon=mib(40)), "until it is read again"
    models.change_budget(Budget(mib(990)))
    assert models.in_doubt == Footprint()
