"""A model that a peer holds in memory is not loaded here as well, unless that is worth it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.decision import Decision
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import GIB, Bytes, ModelId
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.second_copy import served_by_peers
from edgeroute.routing.view import View
from tests.unit.routing.drawn import QWEN_BIG, view_of

FILE = "a" * 64
COLD = replace(QWEN_BIG, identity=FILE, warmth=Warmth.COLD, bytes_needed=Bytes(4 * GIB))
PEER = Target(
    id=ModelId("desk/big"),
    zone=Zone.PEER,
    context=4096,
    parameters=COLD.parameters,
    rates=Rates(9.0, 101.0, 15.0, 0.0, measured=True, latency_s=0.01),
    warmth=Warmth.WARM,
    max_label=Label.PRIVATE,
    scores=COLD.scores,
    identity=FILE,
)


def decided(*targets: Target) -> Decision:
    decision = decide(view_of(*targets))
    assert isinstance(decision, Decision)
    return decision


def utility(view: View, target: ModelId) -> float:
    decision = decide(view)
    assert isinstance(decision, Decision)
    return next(ranked.utility for ranked in decision.plan if ranked.target == target)


def test_a_copy_at_a_peer_counts_against_a_load_here_by_its_share_of_the_memory() -> None:
    view, alone = view_of(COLD, PEER), view_of(COLD)
    share = COLD.bytes_needed / view.budget_bytes
    wasted = view.profile.per_second * COLD.rates.load_s * share
    assert utility(alone, COLD.id) - utility(view, COLD.id) == pytest.approx(wasted)
    ranked = next(r for r in decided(COLD, PEER).plan if r.target == COLD.id)
    assert ranked.estimate.displaced_s == pytest.approx(COLD.rates.load_s * share)


def test_the_explanation_says_what_it_spares() -> None:
    reason = decided(COLD, PEER).reason
    assert reason.startswith("desk/big: ")
    assert f"which spares a second copy here ({COLD.id})" in reason


def test_a_peer_that_is_too_busy_leads_to_a_second_copy() -> None:
    decision = decided(COLD, replace(PEER, queued_tokens=600))
    assert decision.plan[0].target == COLD.id
    assert "a second copy besides desk/big" in decision.reason


def test_a_peer_that_went_away_leads_to_a_load_here() -> None:
    away = replace(PEER, retry_in_s=2.0, trouble="desk is not there")
    for others in ((), (away,)):
        decision = decided(COLD, *others)
        assert decision.plan[0].target == COLD.id
        assert "copy" not in decision.reason
        assert decision.plan[0].estimate.displaced_s == 0


def test_a_copy_on_its_way_into_a_peers_memory_counts_too() -> None:
    loading = replace(PEER, warmth=Warmth.LOADING, rates=replace(PEER.rates, load_s=0.5))
    assert decided(COLD, loading).plan[0].target == PEER.id


@given(st.data())
def test_nothing_else_is_dearer_for_a_peer(data: st.DataObject) -> None:
    here, there = (data.draw(st.sampled_from(Warmth)) for _ in range(2))
    identity = data.draw(st.sampled_from([FILE, "b" * 64]))
    sees = data.draw(st.sampled_from([Label.PRIVATE, Label.PUBLIC]))
    own = replace(COLD, warmth=here)
    peer = replace(PEER, warmth=there, identity=identity, max_label=sees)
    held = (Warmth.WARM, Warmth.LOADING)
    counts = here not in held and there in held and identity == FILE and sees is Label.PRIVATE
    dearer = utility(view_of(own), own.id) > utility(view_of(own, peer), own.id)
    assert dearer is counts


WARM = replace(COLD, warmth=Warmth.WARM)


def test_what_a_peer_serves_is_missed_for_the_way_there_and_its_slowness() -> None:
    tok_s = WARM.rates.decode_tok_s
    near = replace(PEER, rates=replace(PEER.rates, decode_tok_s=2 * tok_s, latency_s=0.03))
    assert served_by_peers(Roster.of([WARM, near])) == {WARM.id: pytest.approx(0.03)}
    slow = replace(PEER, rates=replace(PEER.rates, decode_tok_s=tok_s / 2, latency_s=0.03))
    assert served_by_peers(Roster.of([COLD, slow])) == {COLD.id: pytest.approx(0.03 + 64 / tok_s)}


@pytest.mark.parametrize(
    "peer",
    [
        replace(PEER, warmth=Warmth.COLD),
        replace(PEER, warmth=Warmth.LOADING),
        replace(PEER, queued_tokens=1),
        replace(PEER, retry_in_s=5.0),
        replace(PEER, max_label=Label.INTERNAL),
        replace(PEER, identity="b" * 64),
        replace(PEER, zone=Zone.CLOUD),
    ],
)
def test_who_is_cold_or_busy_or_away_or_not_trusted_serves_nothing(peer: Target) -> None:
    assert served_by_peers(Roster.of([WARM, peer])) == {}
