from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.domain.decision import Decision
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.domain.verification import Checkable, Grade
from edgeroute.routing.candidates import Roster
from edgeroute.routing.cascade import may_hold
from edgeroute.routing.decide import decide
from edgeroute.routing.grading import SHARES, Grading
from edgeroute.routing.quality import Quality
from edgeroute.routing.view import View

SLOW = Profile("slow", "", per_second=0.1, per_joule=0.0)


def model(name: str, p: float, tok_s: float, zone: Zone = Zone.DEVICE) -> Target:
    return Target(
        id=ModelId(name),
        zone=zone,
        context=4096,
        parameters=10**9,
        rates=Rates(1.0, 10 * tok_s, tok_s, 10.0, measured=True),
        warmth=Warmth.WARM,
        scores=dict.fromkeys(Task, p),
    )


SMALL, BIG = model("small", 0.75, 200.0), model("big", 0.95, 10.0)


def view(*targets: Target, checkable: Checkable | None = Checkable.FORMALLY) -> View:
    features = Features(Task.EXTRACT, 1.0, 100, 40, checkable=checkable)
    roster = Roster.of(targets)
    return View(
        RequestId("r"), "app", features, Limits(), Label.PUBLIC, None, SLOW, "", Power("ac"),
        Bytes(0), 0.0, 0.5, roster, Quality(2).evidence(features, None, roster, "here"),
    )  # fmt: skip


def decided(seen: View) -> Decision:
    decision = decide(seen)
    assert isinstance(decision, Decision)
    return decision


def test_a_small_model_drafts_and_a_bigger_one_answers_where_checks_fail() -> None:
    decision = decided(view(SMALL, BIG))
    assert decision.cascade is not None
    draft, last = decision.cascade.steps
    assert (draft.target, last.target) == ("small", "big")
    assert Grade.SOUND in draft.accepts
    assert Grade.FAILED not in draft.accepts
    assert last.accepts == tuple(Grade)
    assert decision.chosen.target == "small"
    assert decision.cascade.utility > max(ranked.utility for ranked in decision.plan)
    assert decision.cascade.p_ok > 0.75
    assert decision.cascade.total_s < next(
        ranked.estimate.total_s for ranked in decision.plan if ranked.target == "big"
    )
    assert decision.reason.startswith("small drafts for extract, where checks fail big (")


def test_no_chain_where_nothing_can_be_checked_or_only_one_may_answer() -> None:
    assert decided(view(SMALL, BIG, checkable=None)).cascade is None
    assert decided(view(SMALL)).cascade is None
    assert decided(replace(view(SMALL, BIG), pinned_model=ModelId("big"))).cascade is None


def test_no_chain_where_a_draft_is_hardly_ever_right() -> None:
    assert decided(view(model("small", 0.02, 15.0), BIG)).cascade is None


def test_only_this_device_drafts() -> None:
    assert decided(view(replace(SMALL, zone=Zone.CLOUD), BIG)).cascade is None


def test_the_worst_case_stays_within_the_callers_limits() -> None:
    seen = view(SMALL, BIG)
    alone = max(ranked.estimate.total_s for ranked in decided(seen).plan)
    tight = replace(seen, limits=Limits(deadline_s=alone + 0.01))
    assert decided(tight).cascade is None
    assert len(decided(tight).plan) == 2


def test_drafts_of_a_stream_are_expected_to_end_while_they_are_held_back() -> None:
    seen = replace(view(SMALL, BIG), streamed=True)  # 40 tokens at 200 a second
    held = decided(seen)
    assert held.cascade == decided(replace(seen, streamed=False)).cascade is not None
    assert "drafts for extract, held back for 500 ms at most, where checks fail" in held.reason
    assert decided(seen.record().view()) == held
    for hold_s, may in ((0.2, True), (0.19, False), (0.0, False)):
        tight = replace(seen, profile=replace(SLOW, hold_s=hold_s))
        assert (decided(tight).cascade is not None) == may
        assert may_hold(tight.profile, tight.features, tight.roster) == may
    three = view(model("tiny", 0.6, 900.0), model("middle", 0.75, 81.0), BIG)
    steps = decided(replace(three, streamed=True)).cascade
    assert steps is not None  # 44 ms and 494 ms: each alone could be held, both could not
    assert len(steps.steps) == 2


def test_nothing_is_held_where_nobody_here_is_fast_enough_or_nobody_else_could_answer() -> None:
    short, long = Features(Task.EXTRACT, 1.0, 9, 100), Features(Task.EXTRACT, 1.0, 9, 101)
    afar = replace(SMALL, id=ModelId("afar"), zone=Zone.PEER)
    assert may_hold(SLOW, short, Roster.of([SMALL, BIG]))
    assert may_hold(SLOW, replace(long, max_tokens=100), Roster.of([SMALL, BIG]))
    assert not may_hold(SLOW, long, Roster.of([SMALL, BIG]))
    assert not may_hold(SLOW, short, Roster.of([SMALL]))
    assert not may_hold(SLOW, short, Roster.of([afar, BIG]))


def test_a_chain_may_have_three() -> None:
    decision = decided(view(model("tiny", 0.6, 900.0), model("middle", 0.75, 60.0), BIG))
    assert decision.cascade is not None
    assert [step.target for step in decision.cascade.steps] == ["tiny", "middle", "big"]
    reached = [step.reached for step in decision.cascade.steps]
    assert reached == sorted(reached, reverse=True)


@given(
    p=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6),
    speeds=st.lists(st.floats(1.0, 900.0), min_size=6, max_size=6),
    checkable=st.sampled_from(Checkable),
)
def test_a_chain_is_of_eligible_targets_and_worth_more_than_any_alone(
    p: list[float], speeds: list[float], checkable: Checkable
) -> None:
    targets = [model(f"m{at}", of, speeds[at]) for at, of in enumerate(p)]
    seen = view(*targets, model("afar", 0.99, 900.0, Zone.CLOUD), checkable=checkable)
    seen = replace(seen, label=Label.SECRET)  # which does not leave the device
    decision = decided(seen)
    again = decided(seen.record().view())
    assert again == decision
    streamed = decided(replace(seen, streamed=True)).cascade
    if streamed is not None:
        told_s = {r.target: r.estimate.total_s - r.estimate.ttft_s for r in decision.plan}
        assert sum(told_s[step.target] for step in streamed.steps[:-1]) <= seen.profile.hold_s
    if decision.cascade is None:
        return
    targets_of = [step.target for step in decision.cascade.steps]
    assert set(targets_of) <= {ranked.target for ranked in decision.plan}
    assert "afar" not in targets_of
    assert len(set(targets_of)) == len(targets_of)
    assert decision.cascade.utility > decision.plan[0].utility
    assert 0 < decision.cascade.p_ok < 1
    assert all(0 <= step.reached <= 1 for step in decision.cascade.steps)


def test_what_grades_are_worth_begins_as_measured_and_follows_what_is_seen() -> None:
    quality, roster = Quality(2), Roster.of([SMALL, BIG])

    def shares() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return quality.grading.likelihoods(Checkable.HARDLY, roster, "here")

    assert shares()[:, 1] == pytest.approx(np.array(SHARES[Checkable.HARDLY]))
    for _ in range(40):  # sure of its mistakes
        quality.grading.observe("here", "small", Checkable.HARDLY, Grade.SOUND, Counts(0, PARTS))
    assert shares()[1, 1, Grade.SOUND] > 0.6
    assert shares()[:, 0] == pytest.approx(np.array(SHARES[Checkable.HARDLY]))
    assert shares().sum(axis=2) == pytest.approx(1.0)
    kept = Grading(Quality(2, quality.beliefs.buckets.rows()).beliefs.buckets)
    assert kept.likelihoods(Checkable.HARDLY, roster, "here") == pytest.approx(shares())


def test_shares_are_shares() -> None:
    for right, wrong in SHARES.values():
        assert sum(right) == pytest.approx(1.0)
        assert sum(wrong) == pytest.approx(1.0)
        assert right[Grade.FAILED] < wrong[Grade.FAILED]


def test_drafts_are_given_only_at_grades_that_judged_answers_prove() -> None:
    careful = replace(SLOW, wrong_at_most=0.1)
    unproved = replace(view(SMALL, BIG), profile=careful)
    assert decided(unproved).cascade is None
    assert unproved.evidence is not None

    quality, roster = Quality(2), unproved.roster
    small = roster.identities[roster.ids.index(SMALL.id)]
    for _ in range(60):
        quality.grading.observe("here", small, Checkable.FORMALLY, Grade.SOUND, Counts(PARTS, 0))
    evidence = quality.evidence(unproved.features, None, roster, "here")
    proved = replace(unproved, evidence=evidence)
    cascade = decided(proved).cascade
    assert cascade is not None
    assert cascade.steps[0].accepts == (Grade.SOUND,)
    replayed = replace(proved, evidence=type(evidence).of(evidence.record()))
    assert decided(replayed).cascade == cascade
