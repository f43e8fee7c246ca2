"""A herd does not run to one machine; whoever has the choice takes the less busy one of two."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.decision import Decision
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.routing.decide import decide
from edgeroute.routing.two_choices import pair
from tests.unit.routing.drawn import SMOLLM2, view_of

FILE = "f" * 64


def peer(name: str, queued: int = 0, tok_s: float = 40.0, identity: str = FILE) -> Target:
    return Target(
        id=ModelId(f"{name}/m"),
        zone=Zone.PEER,
        context=8192,
        parameters=10**9,
        rates=Rates(0.0, 400.0, tok_s, 0.0, measured=True, latency_s=0.001),
        warmth=Warmth.WARM,
        max_label=Label.PRIVATE,
        queued_tokens=queued,
        identity=identity,
    )


def chosen(*targets: Target, draw: float) -> str:
    decision = decide(view_of(*targets, draw=draw))
    assert isinstance(decision, Decision)
    return decision.plan[0].target


def spread(*targets: Target, draws: int = 600) -> Counter[str]:
    return Counter(chosen(*targets, draw=at / draws) for at in range(draws))


def test_equals_are_chosen_alike_often() -> None:
    idle = [peer(name) for name in ("a", "b", "c", "d")]
    assert spread(*idle) == dict.fromkeys(("a/m", "b/m", "c/m", "d/m"), 150)


def test_the_busiest_of_three_is_never_chosen_and_the_least_busy_one_twice_in_three() -> None:
    three = peer("a", queued=80), peer("b", queued=40), peer("c", queued=20)
    assert spread(*three) == {"c/m": 400, "b/m": 200}


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 500), st.integers(0, 500))
def test_of_two_the_less_busy_one_is_chosen(draw: float, a: int, b: int) -> None:
    expected = {"a/m"} if a < b else {"b/m"} if b < a else {"a/m", "b/m"}
    assert chosen(peer("a", a), peer("b", b), draw=draw) in expected


@pytest.mark.parametrize(
    "other",
    [peer("b", tok_s=20.0), peer("b", identity="e" * 64), replace(peer("b"), zone=Zone.CLOUD)],
)
def test_nothing_is_drawn_among_those_that_are_not_alike(other: Target) -> None:
    assert len(spread(peer("a"), other, draws=50)) == 1


@given(st.floats(0, 1, exclude_max=True))
def test_this_device_keeps_its_place(draw: float) -> None:
    """It is left for whoever is better, and for nobody whom the draw alone favours."""
    here = replace(SMOLLM2, identity=FILE, rates=peer("a").rates, parameters=10**9, queued_tokens=4)
    decision = decide(view_of(here, peer("a"), peer("b", 90), peer("c", 95), draw=draw))
    assert isinstance(decision, Decision)
    order = [ranked.target for ranked in decision.plan]
    best = order[0] == "a/m"
    assert best or order[0] == here.id
    if not best:
        assert "drawn" not in decision.reason


def test_whoever_has_a_slot_for_us_is_never_passed_over_for_who_has_none() -> None:
    assert spread(peer("a"), peer("b", 40), peer("c", 20), peer("d")) == {"a/m": 300, "d/m": 300}


def test_the_explanation_says_that_it_was_drawn() -> None:
    three = peer("a", queued=80), peer("b", queued=40), peer("c", queued=20)
    decisions = [decide(view_of(*three, draw=at / 60)) for at in range(60)]
    drawn = [d for d in decisions if isinstance(d, Decision) and d.plan[0].target == "b/m"]
    assert drawn
    assert all("drawn among peers that are alike" in d.reason for d in drawn)
    assert all(d.flip == "c/m would be chosen if it had been drawn" for d in drawn)


@given(st.integers(2, 70), st.floats(0, 1))
def test_a_pair_is_two_different_ones(count: int, draw: float) -> None:
    first, second = pair(count, draw)
    assert first != second
    assert 0 <= min(first, second) <= max(first, second) < count
