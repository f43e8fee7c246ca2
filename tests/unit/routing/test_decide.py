"""What holds of every decision, whatever the candidates, the request and the weights."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeroute.domain.decision import Decision, Refusal
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Target, Warmth
from edgeroute.domain.units import Bytes
from edgeroute.routing.decide import decide
from edgeroute.routing.explain import rejections
from edgeroute.routing.reasons import tipping_point
from edgeroute.routing.score import OBJECTIVES
from edgeroute.routing.view import View, ViewRecord
from tests.unit.routing.explained import explain
from tests.unit.routing.strategies import (
    changed,
    choices,
    eligible,
    joules,
    may_see,
    total_s,
    usd,
    views,
    with_targets,
)

NEAR = 1e-9
"""Arithmetic in another order may differ by so much; what is nearer to a limit is not judged."""


def on_the_edge(view: View, target: Target) -> bool:
    limits = view.limits
    pairs = (
        (limits.deadline_s, total_s(view, target)),
        (limits.max_j, joules(view, target)),
        (limits.max_usd, usd(view, target)),
    )
    return any(limit is not None and abs(limit - value) < NEAR for limit, value in pairs)


@given(views())
def test_exactly_the_eligible_are_ranked_and_every_other_one_has_a_reason(view: View) -> None:
    assume(not any(on_the_edge(view, target) for target in view.roster.targets))
    explanation = explain(view)
    ranked = {candidate.target for candidate in explanation.ranked}
    assert ranked == {target.id for target in view.roster.targets if eligible(view, target)}
    rejected = [rejection.target for rejection in explanation.rejections]
    assert sorted([*ranked, *rejected]) == list(view.roster.ids)
    assert all(rejection.reason and rejection.change for rejection in explanation.rejections)
    assert explanation.rejections == rejections(view)
    assert explanation.decision == decide(view)


@given(choices())
def test_the_plan_is_the_best_of_the_ranking_and_its_terms_are_its_utility(view: View) -> None:
    decision = decide(view)
    assert isinstance(decision, Decision)
    assume(not decision.explored)
    assert decision.plan == explain(view).ranked[:8]
    order = [(-candidate.utility, candidate.target) for candidate in decision.plan]
    assert order == sorted(order)
    targets = {target.id: target for target in view.roster.targets}
    for candidate in decision.plan:
        target, profile = targets[candidate.target], view.profile
        assert candidate.utility == pytest.approx(sum(term.value for term in candidate.terms))
        assert candidate.estimate.total_s == pytest.approx(total_s(view, target))
        assert candidate.utility == pytest.approx(
            profile.value * candidate.estimate.p_ok
            - profile.per_usd * usd(view, target)
            - profile.per_joule * joules(view, target)
            - profile.per_second * (total_s(view, target) + target.displaces_s),
        )
    assert decision.reason.startswith(f"{decision.chosen.target}: ")


@given(views() | choices(), st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(view: View, random: Random) -> None:
    shuffled = list(view.roster.targets)
    random.shuffle(shuffled)
    assert decide(with_targets(view, tuple(shuffled))) == decide(view)


@given(choices() | views(least=2), st.data())
def test_a_candidate_that_did_not_win_changes_nothing_for_the_winner(
    view: View, data: st.DataObject
) -> None:
    decision = decide(view)
    assume(isinstance(decision, Decision))
    assert isinstance(decision, Decision)
    first_two = [candidate.target for candidate in decision.plan[:2]]
    gone = data.draw(st.sampled_from([t for t in view.roster.ids if t != first_two[0]]))
    assume(not decision.explored or gone not in first_two)  # who is explored is not the best
    others = tuple(target for target in view.roster.targets if target.id != gone)
    without = decide(with_targets(view, others))
    assert isinstance(without, Decision)
    assert without.chosen == decision.chosen
    if gone not in first_two:
        assert (without.reason, without.flip) == (decision.reason, decision.flip)


Dearer = Callable[[Target], dict[str, object]]
DEARER: dict[str, Dearer] = {
    "slower answers": lambda t: {"rates": replace(t.rates, decode_tok_s=t.rates.decode_tok_s / 3)},
    "slower prompts": lambda t: {
        "rates": replace(t.rates, prefill_tok_s=t.rates.prefill_tok_s / 3)
    },
    "longer load": lambda t: {"rates": replace(t.rates, load_s=t.rates.load_s + 5)},
    "more watts": lambda t: {"rates": replace(t.rates, watts=t.rates.watts + 20)},
    "higher price": lambda t: {
        "usd_in_per_mtok": t.usd_in_per_mtok + 1,
        "usd_out_per_mtok": t.usd_out_per_mtok + 4,
    },
    "more to displace": lambda t: {"displaces_s": t.displaces_s + 9},
    "longer queue": lambda t: {"queued_tokens": t.queued_tokens + 500},
}


@given(views(least=2) | choices(), st.sampled_from(sorted(DEARER)), st.data())
def test_a_dearer_candidate_never_rises(view: View, how: str, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(view.roster.targets))
    before = [candidate.target for candidate in explain(view).ranked]
    dearer = changed(view, target, **DEARER[how](target))
    after = [candidate.target for candidate in explain(dearer).ranked]
    if target.id not in before:
        assert target.id not in after
    elif target.id in after:
        assert after.index(target.id) >= before.index(target.id)


@given(views(least=1), st.data())
def test_no_score_buys_a_way_past_privacy(view: View, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(view.roster.targets))
    assume(not may_see(view, target))
    best = changed(
        view,
        target,
        scores={view.features.task: 1.0},
        warmth=Warmth.WARM,
        rates=replace(target.rates, decode_tok_s=1e6, prefill_tok_s=1e6, watts=0.0),
        usd_in_per_mtok=0.0,
        usd_out_per_mtok=0.0,
        bytes_needed=Bytes(0),
    )
    assert target.id not in {candidate.target for candidate in explain(best).ranked}


@given(views(least=1))
def test_secret_stays_on_the_device_even_where_a_target_claims_it_may_see_it(view: View) -> None:
    trusting = tuple(replace(target, max_label=Label.SECRET) for target in view.roster.targets)
    secret = replace(with_targets(view, trusting), label=Label.SECRET)
    assert {candidate.zone for candidate in explain(secret).ranked} <= {Zone.DEVICE}


@given(views() | choices())
def test_a_journalled_view_decides_the_same(view: View) -> None:
    record = view.record()
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=ViewRecord)
    as_json = msgspec.json.decode(msgspec.json.encode(record), type=ViewRecord)
    assert packed == as_json == record
    assert decide(packed.view()) == decide(view)
    assert explain(packed.view()) == explain(view)


@given(choices())
def test_the_tipping_point_is_where_both_are_worth_the_same(view: View) -> None:
    decision = decide(view)
    assert isinstance(decision, Decision)
    assume(not decision.explored)
    winner, runner_up = decision.plan[:2]
    tipping = tipping_point(winner, runner_up)
    if tipping is None or winner.utility <= runner_up.utility:
        return  # often so: to assume it away would filter out too much
    scaled, factor = tipping
    assert f"if {scaled.unit} cost" in decision.flip

    def worth(terms: tuple[float, ...]) -> float:
        return sum(
            value * factor if objective is scaled else value
            for objective, value in zip(OBJECTIVES, terms, strict=True)
        )

    ours = worth(tuple(term.value for term in winner.terms))
    theirs = worth(tuple(term.value for term in runner_up.terms))
    assert theirs == pytest.approx(ours, rel=1e-6, abs=1e-6)


@given(views())
def test_a_refusal_says_what_would_have_to_change(view: View) -> None:
    decision = decide(view)
    assume(isinstance(decision, Refusal))
    assert isinstance(decision, Refusal)
    assert decision.reason
    assert decision.change
    assert [rejection.target for rejection in decision.rejections] == list(view.roster.ids)
