"""A target is believed by what it showed, else by its relatives and its card."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.domain.features import Features, Subject, Task
from edgeroute.domain.units import ModelId
from edgeroute.routing.beliefs import STRENGTH, Beliefs, Evidence, cells_of
from edgeroute.routing.beta import cdf, interval, quantile
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.estimate import estimate
from edgeroute.routing.view import View
from tests.unit.routing.drawn import QWEN_BIG, THREE
from tests.unit.routing.strategies import features, views

GOOD, BAD = Counts(PARTS, 0), Counts(0, PARTS)
ROSTER = Roster.of(THREE)
CODING = Features(Task.CODING, 1.0, 70, 300)
PHYSICS = Features(Task.KNOWLEDGE_QA, 1.0, 70, 300, subject=Subject.PHYSICS, subject_probability=1)
LAW = replace(PHYSICS, subject=Subject.LAW)


def told(beliefs: Beliefs, asked: Features, target: str, *, good: int = 0, bad: int = 0) -> None:
    for counts, times in ((GOOD, good), (BAD, bad)):
        for _ in range(times):
            beliefs.observe("here", asked, {target: counts})


def mean(beliefs: Beliefs, asked: Features, target: str, reader: str = "here") -> float:
    return float(beliefs.read(asked, ROSTER, reader).mean[ROSTER.ids.index(ModelId(target))])


@given(features)
def test_nothing_learnt_is_what_was_promised(asked: Features) -> None:
    promised = estimate(asked, ROSTER).p_ok
    assert Beliefs().read(asked, ROSTER).p_ok == pytest.approx(promised, abs=0.006)


@given(st.integers(0, 14), st.integers(0, 14), features)
def test_good_never_lowers_and_bad_never_raises(good: int, bad: int, asked: Features) -> None:
    beliefs = Beliefs()
    told(beliefs, asked, QWEN_BIG.id, good=good, bad=bad)
    before = mean(beliefs, asked, QWEN_BIG.id)
    told(beliefs, asked, QWEN_BIG.id, good=1)
    better = mean(beliefs, asked, QWEN_BIG.id)
    assert better >= before
    told(beliefs, asked, QWEN_BIG.id, bad=3)
    assert mean(beliefs, asked, QWEN_BIG.id) < better


def test_many_verdicts_outweigh_the_card() -> None:
    beliefs = Beliefs()
    told(beliefs, CODING, QWEN_BIG.id, bad=150)
    assert mean(beliefs, CODING, QWEN_BIG.id) < 0.15


def test_a_task_is_told_from_others_and_a_subject_from_others() -> None:
    beliefs = Beliefs()
    before = mean(beliefs, CODING, QWEN_BIG.id)
    told(beliefs, PHYSICS, QWEN_BIG.id, bad=60)
    told(beliefs, LAW, QWEN_BIG.id, good=60)
    assert mean(beliefs, PHYSICS, QWEN_BIG.id) + 0.2 < mean(beliefs, LAW, QWEN_BIG.id)
    assert abs(mean(beliefs, CODING, QWEN_BIG.id) - before) < 0.15


def test_a_new_model_starts_from_how_its_relatives_did() -> None:
    old = replace(QWEN_BIG, id=ModelId("old"), family="qwen")
    new, stranger = (
        replace(QWEN_BIG, id=ModelId(name), family=family)
        for name, family in (("new", "qwen"), ("stranger", "other"))
    )
    roster, beliefs = Roster.of([old, new, stranger]), Beliefs()
    for _ in range(40):
        beliefs.observe("here", CODING, {"old": BAD})
    p_new, p_old, p_stranger = beliefs.read(CODING, roster, "here").mean  # by id
    assert p_old < p_new < p_stranger < 0.71


def test_what_is_kept_of_one_roster_is_what_the_next_would_be_read_as() -> None:
    kept, rates = Beliefs(), replace(QWEN_BIG.rates, decode_tok_s=1.0)
    others = [target for target in THREE if target is not QWEN_BIG]
    rosters = [
        ROSTER,
        Roster.of([*others, replace(QWEN_BIG, rates=rates)]),
        Roster.of([*others, replace(QWEN_BIG, scores={Task.CODING: 0.11})]),
        Roster.of([*others, replace(QWEN_BIG, family="relatives")]),
        Roster.of(others),
    ]
    rows = []
    for target in (QWEN_BIG, *others):
        rows += kept.observe("here", CODING, {target.id: BAD})
    for roster in (*rosters, *reversed(rosters)):
        anew = Beliefs(rows).read(CODING, roster, "here")
        np.testing.assert_array_equal(kept.read(CODING, roster, "here").mean, anew.mean)


def test_what_was_read_stays_as_it_was_when_more_is_found() -> None:
    beliefs = Beliefs()
    before = beliefs.read(CODING, ROSTER, "here")
    beliefs.observe("here", CODING, {QWEN_BIG.id: BAD})
    after = beliefs.read(CODING, ROSTER, "here")
    assert before.bad.sum() == 0
    assert after.bad.sum() == 1


def test_one_app_cannot_swing_what_another_believes() -> None:
    beliefs = Beliefs()
    untouched = mean(beliefs, CODING, QWEN_BIG.id, "mine")
    told(beliefs, CODING, QWEN_BIG.id, bad=2000)
    assert mean(beliefs, CODING, QWEN_BIG.id, "here") < 0.05
    assert mean(beliefs, CODING, QWEN_BIG.id, "mine") > 0.25 * untouched
    for _ in range(60):
        beliefs.observe("mine", CODING, {str(QWEN_BIG.id): GOOD})
    assert mean(beliefs, CODING, QWEN_BIG.id, "mine") > 0.6


def test_an_unknown_task_counts_in_one_cell() -> None:
    assert cells_of(Features(Task.UNKNOWN, 0.5, 1, 1)) == ("*",)
    assert cells_of(PHYSICS) == ("*", "knowledge_qa", "knowledge_qa/physics")


@given(views(least=1), st.data())
def test_a_view_with_evidence_decides_the_same_from_its_record(
    view: View, data: st.DataObject
) -> None:
    beliefs = Beliefs()
    for target in view.roster.ids:
        if data.draw(st.booleans()):
            beliefs.observe(
                "here", view.features, {str(target): data.draw(st.sampled_from([GOOD, BAD]))}
            )
    evidence = beliefs.read(view.features, view.roster, "here")
    shifts = data.draw(
        st.lists(st.floats(-0.5, 0.5), min_size=len(view.roster), max_size=len(view.roster))
    )
    seen = replace(view, evidence=replace(evidence, correction=np.array(shifts)))
    assert decide(seen.record().view()) == decide(seen)
    assert isinstance(seen.evidence, Evidence)
    assert Evidence.of(seen.evidence.record()).p_ok == pytest.approx(seen.evidence.p_ok)


@given(st.floats(0.5, 200), st.floats(0.5, 200), st.floats(0.01, 0.99))
def test_a_quantile_is_where_so_much_lies_below(a: float, b: float, p: float) -> None:
    assert cdf(a, b, quantile(a, b, p)) == pytest.approx(p, abs=1e-6)
    low, high = interval(a, b)
    assert 0 <= low <= high <= 1


def test_known_quantiles() -> None:
    assert quantile(1, 1, 0.3) == pytest.approx(0.3)
    assert interval(10, 30) == pytest.approx((0.1472, 0.3687), abs=2e-3)
    with pytest.raises(ValueError, match="no quantile"):
        quantile(0, 1, 0.5)


def test_a_posterior_weighs_the_prior_as_so_many_observations() -> None:
    beliefs = Beliefs()
    flat = replace(QWEN_BIG, scores=dict.fromkeys(Task, 0.5))
    roster = Roster.of([flat])
    for _ in range(int(STRENGTH)):
        beliefs.observe("here", CODING, {flat.id: GOOD})
    p = float(beliefs.read(CODING, roster, "here").mean[0])
    assert 0.75 < p < 0.95  # .75 by the cell alone; the target as a whole speaks for it too
