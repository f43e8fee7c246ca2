"""Past decisions made again: the same bytes, or the difference told; and what others would take."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeroute.domain.decision import Decision, Refusal
from edgeroute.domain.energy import Energy, Spent
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.outcome import Attempt, Outcome
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.evaluation.replay import Course, changes, read, replay
from edgeroute.evaluation.spending import Books
from edgeroute.ports import DecisionRow
from edgeroute.routing.beliefs import Evidence
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.view import View
from edgeroute.runtime.record import Record
from edgeroute.store.history import PastDecision
from tests.fakes import FakeJournal
from tests.unit.routing.strategies import shares, views

BALANCED = Profile("balanced", "")
THRIFTY = Profile("thrifty", "", per_joule=0.01)
SMALL = Target(
    ModelId("small"), Zone.DEVICE, 4096, 10**8, Rates(1.0, 500.0, 50.0, 10.0), Bytes(100)
)
BIG = Target(ModelId("big"), Zone.DEVICE, 4096, 10**10, Rates(5.0, 100.0, 10.0, 20.0), Bytes(900))
SPENT = Spent(Energy(8.0, 6.0, 10.0, "counter"), Energy(9.0, 6.0, 12.0, "model"), 3.0, 5.0)


def view(number: int, *targets: Target, profile: Profile = BALANCED, budget: int = 1000) -> View:
    return View(
        id=RequestId(f"r{number}"),
        app="notes",
        features=Features(Task.MATH, 1.0, 50, 50),
        limits=Limits(),
        label=Label.PRIVATE,
        pinned_model=None,
        profile=profile,
        profile_reason="as configured",
        power=Power("absent"),
        budget_bytes=Bytes(budget),
        now=0.0,
        draw=0.5,
        roster=Roster.of(targets or (SMALL, BIG)),
    )


def journalled(
    views_: Iterable[View], decided: Decision | Refusal | None = None, every_s: float = 1.0
) -> Iterator[PastDecision]:
    """Rows as the daemon writes them."""
    journal = FakeJournal()
    for number, each in enumerate(views_):
        Record(journal).decided(each, decided or decide(each), number * every_s)
        row = DecisionRow(journal.decisions[each.id], None)
        yield PastDecision(each.id, number * every_s, row)


def outcome(target: str | None, spent: Spent | None = SPENT) -> bytes:
    name = None if target is None else ModelId(target)
    tried = Attempt(name or ModelId("big"), None if target else "worker_died", 0.1)
    return msgspec.json.encode(
        Outcome("stop", name, (tried,), 2.0, 50, 40, usd=None, spent=spent),
    )


@given(views(), st.data())
def test_a_journalled_decision_comes_out_with_the_same_bytes(
    drawn: View, data: st.DataObject
) -> None:
    count = len(drawn.roster)
    if data.draw(st.booleans()):
        mean, ok, bad, heard, correction = (
            Roster.of(drawn.roster.targets).context * 0
            + [data.draw(shares()) for _ in range(count)]
            for _ in range(5)
        )
        drawn = replace(drawn, evidence=Evidence(mean, ok, bad, heard, correction))
    (row,) = journalled([drawn])
    past = read(row)
    assert past is not None
    assert changes(past) == []


@given(views(least=1), views(least=1))
def test_another_decision_is_told_by_what_is_different(one: View, other: View) -> None:
    assume(decide(one) != decide(other))
    (row,) = journalled([one], decided=decide(other))
    report = replay([row], {}, float)
    assert report.same == 0
    assert report.different[one.id]


def test_a_difference_names_its_place_and_both_values() -> None:
    was = decide(view(1))
    assert isinstance(was, Decision)
    (row,) = journalled([view(1)], decided=replace(was, reason="because"))
    past = read(row)
    assert past is not None
    assert changes(past) == [f"reason: 'because' is now {was.reason!r}"]


@pytest.mark.parametrize("damaged", [b"", b"{}", b'{"view": {"id": 1}, "decision": {}}', b"\xff"])
def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(damaged: bytes) -> None:
    (good,) = journalled([view(1)])
    bad = PastDecision("bad", 0.0, DecisionRow(damaged, None))
    report = replay([bad, good], {}, float)
    assert (report.unreadable, report.same, report.different) == (1, 1, {})


def test_a_thrifty_profile_takes_fewer_joules_for_less_quality() -> None:
    report = replay(journalled(view(number) for number in range(20)), {"thrifty": THRIFTY}, float)
    was, thrifty = report.recorded, report.profiles["thrifty"]
    assert was.targets == {"big": 20}
    assert thrifty.targets == {"small": 20}
    assert thrifty.device.joules < was.device.joules
    assert was.quality is not None
    assert thrifty.quality is not None
    assert thrifty.quality < was.quality


def test_a_course_loads_what_it_chooses_once_and_keeps_it() -> None:
    course = Course(THRIFTY, float)
    for row in journalled(view(number) for number in range(5)):
        past = read(row)
        assert past is not None
        course.take(past)
    assert course.totals.loads == 1
    # In the record it was cold every time, so the first alone is charged its load.
    answer_s = 50 / 500 + 50 / 50
    assert course.totals.seconds == pytest.approx(5 * answer_s + SMALL.rates.load_s)


def test_a_course_lets_go_of_an_idle_model_as_its_profile_says() -> None:
    hasty = replace(THRIFTY, idle_release_s=60.0)
    report = replay(
        journalled((view(number) for number in range(4)), every_s=61.0),
        {"hasty": hasty, "thrifty": THRIFTY},
        float,
    )
    assert report.profiles["hasty"].loads == 4
    assert report.profiles["thrifty"].loads == 1


def test_a_course_makes_room_within_the_budget() -> None:
    """Both fit one after the other, never together: whoever is pinned loads again."""
    asked = [
        replace(view(number, budget=950), pinned_model=(SMALL, BIG)[number % 2].id)
        for number in range(4)
    ]
    assert replay(journalled(asked), {}, float).recorded.loads == 4
    roomy = [replace(each, budget_bytes=Bytes(1000)) for each in asked]
    assert replay(journalled(roomy), {}, float).recorded.loads == 2


def test_what_was_warm_at_first_needs_no_load() -> None:
    warm = replace(BIG, warmth=Warmth.WARM)
    report = replay(journalled(view(number, SMALL, warm) for number in range(3)), {}, float)
    assert report.recorded.targets == {"big": 3}
    assert report.recorded.loads == 0


def test_a_budget_of_joules_is_kept_in_a_course_as_in_life() -> None:
    """Nine answers an hour of the big one take 990 J; half of that is allowed."""
    asked = [view(number) for number in range(200)]
    free = replay(journalled(asked, every_s=400.0), {}, float).recorded
    tight = replace(BALANCED, joules_per_hour=500.0)
    bound = replay(journalled(asked, every_s=400.0), {"tight": tight}, float).profiles["tight"]
    assert bound.answered == free.answered == 200
    assert bound.device.joules == pytest.approx(0.5 * free.device.joules, rel=0.1)
    assert len(bound.targets) == 2


def test_a_share_of_the_battery_is_kept_in_a_course_too() -> None:
    """A hundred answers of the big one would take some 10 kJ; a tenth of 50 kJ is theirs."""
    drained = [Power("discharging", stored_j=50_000.0 - 100.0 * number) for number in range(100)]
    asked = [replace(view(number), power=power) for number, power in enumerate(drained)]
    free = replay(journalled(asked, every_s=850.0), {}, float).recorded
    shared = replace(BALANCED, battery_share=0.1)
    bound = replay(journalled(asked, every_s=850.0), {"shared": shared}, float).profiles["shared"]
    assert bound.answered == 100
    assert bound.device.joules == pytest.approx(5000.0, rel=0.1)
    assert free.device.joules > 10_000.0


def test_measured_joules_are_summed_by_app_model_and_target() -> None:
    peer = replace(BIG, id=ModelId("attic/big"), zone=Zone.PEER, identity="abc")
    here = replace(BIG, identity="abc")
    asked = [view(number, SMALL, here, peer) for number in range(4)]
    ended = [outcome("big"), outcome("attic/big"), outcome(None), outcome("small", None)]
    rows = [
        row._replace(row=DecisionRow(row.row.decided, end))
        for row, end in zip(journalled(asked), ended, strict=True)
    ]
    books = Books()
    report = replay(rows, {}, float, books.add)
    assert books.apps["notes"].requests == 4
    assert books.apps["notes"].device == Energy(24.0, 18.0, 30.0, "counter")
    assert books.apps["notes"].unmetered == 1
    assert books.models["big"].requests == 2
    assert books.models["big"].system == Energy(18.0, 12.0, 24.0, "model")
    assert {name: spent.requests for name, spent in books.targets.items()} == {
        "big": 1,
        "attic/big": 1,
        "small": 1,
    }
    assert (report.measured.answered, report.measured.refused) == (3, 1)
