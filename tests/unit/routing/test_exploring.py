from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.domain.capability import Capability
from edgeroute.domain.decision import Decision
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.policy import Rule
from edgeroute.domain.prefix import Held
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.quality import Quality
from edgeroute.routing.view import View
from edgeroute.runtime.record import encode_decision
from tests.unit.routing.strategies import choices, eligible, views

SHARE = 0.02
CURIOUS = Profile("curious", "", per_joule=0.0, explore=SHARE)


def model(name: str, p: float, zone: Zone = Zone.DEVICE) -> Target:
    return Target(
        id=ModelId(name),
        zone=zone,
        context=4096,
        parameters=10**9,
        rates=Rates(1.0, 500.0, 50.0, 10.0, measured=True),
        warmth=Warmth.WARM,
        scores=dict.fromkeys(Task, p),
        capabilities=frozenset(Capability),
    )


BEST, CLOSE, FAR = model("best", 0.8), model("close", 0.75), model("far", 0.3)
FEATURES = Features(Task.EXTRACT, 1.0, 100, 40, output_tokens_p90=400)


def view(
    *targets: Target, draw: float = SHARE / 2, judged: Mapping[str, int] | None = None
) -> View:
    """A request, where so many answers of each were judged to be as good as they are believed."""
    quality, roster = Quality(2), Roster.of(targets)
    for name, count in (judged or {}).items():
        p = roster.targets[roster.ids.index(ModelId(name))].scores[Task.EXTRACT]
        counts = Counts(round(p * PARTS), PARTS - round(p * PARTS))
        for _ in range(count):
            quality.observe("here", FEATURES, None, {name: counts}, roster)
    return View(
        RequestId("r"), "app", FEATURES, Limits(), Label.PUBLIC, None, CURIOUS, "", Power("ac"),
        Bytes(0), 0.0, draw, roster, quality.evidence(FEATURES, None, roster, "here"),
    )  # fmt: skip


def decided(seen: View) -> Decision:
    decision = decide(seen)
    assert isinstance(decision, Decision)
    return decision


def test_another_one_is_asked_where_the_draw_says_so() -> None:
    drawn, usual = decided(view(BEST, CLOSE, FAR)), decided(view(BEST, CLOSE, FAR, draw=SHARE))
    assert [ranked.target for ranked in drawn.plan] == ["close", "best", "far"]
    assert (drawn.explored, drawn.propensity, drawn.cascade) == (True, SHARE, None)
    assert [ranked.target for ranked in usual.plan] == ["best", "close", "far"]
    assert (usual.explored, usual.propensity) == (False, 1 - SHARE)
    assert drawn.reason == (
        "close: asked to learn of it, as 2% of such requests are (P(ok) .75) in 1.0 s; "
        "best is expected to be worth more (P(ok) .80)"
    )
    assert drawn.flip == "best would be chosen if it had been drawn"


def test_as_many_are_explored_as_the_profile_says() -> None:
    draws = [(number + 0.5) / 2000 for number in range(2000)]
    explored = sum(decided(view(BEST, CLOSE, draw=draw)).explored for draw in draws)
    assert explored == 2000 * SHARE


def test_who_may_be_worth_the_most_is_explored_and_nobody_who_cannot_be() -> None:
    alike = model("alike", 0.75)
    seen = decided(view(BEST, CLOSE, alike, judged={"close": 100}))
    assert seen.chosen.target == "alike"  # as good, and less is known of it
    hopeless = decided(view(BEST, FAR))
    assert (hopeless.explored, hopeless.propensity) == (False, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"power": Power("discharging", 80.0)},
        {"pinned_model": ModelId("best")},
        {"rules": (Rule("[[rules]] 1", prefer=frozenset({"best"})),)},
        {"held": (Held(ModelId("best"), 50),)},
        {"limits": Limits(deadline_s=2.0)},  # enough for the usual answer, not for a long one
        {"features": replace(FEATURES, needs=frozenset({Capability.EMBED}))},
        {"profile": replace(CURIOUS, explore=0.0)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_is_explored_where_that_could_cost_more(changes: dict[str, object]) -> None:
    decision = decided(replace(view(BEST, CLOSE), **changes))  # type: ignore[arg-type]
    assert decision.chosen.target == "best"
    assert (decision.explored, decision.propensity) == (False, 1.0)


def test_a_deadline_that_a_long_answer_meets_too_is_not_at_risk() -> None:
    assert decided(replace(view(BEST, CLOSE), limits=Limits(deadline_s=9.0))).explored


@pytest.mark.parametrize(
    "other",
    [
        replace(CLOSE, warmth=Warmth.COLD),
        replace(CLOSE, usd_out_per_mtok=0.01),
        replace(CLOSE, zone=Zone.PEER),
        replace(CLOSE, zone=Zone.CLOUD),
        replace(CLOSE, retry_in_s=5.0),
    ],
)
def test_no_load_no_money_and_nobody_elsewhere(other: Target) -> None:
    decision = decided(view(BEST, other))
    assert (decision.chosen.target, decision.propensity) == ("best", 1.0)


@st.composite
def explorable(draw: st.DrawFn) -> View:
    """Views where half of the targets put nothing at risk."""
    seen = draw(choices())
    safe = {"zone": Zone.DEVICE, "warmth": Warmth.WARM, "usd_in_per_mtok": 0.0}
    targets = [
        replace(target, **safe, usd_out_per_mtok=0.0) if number % 2 else target  # type: ignore[arg-type]
        for number, target in enumerate(seen.roster.targets)
    ]
    profile = replace(seen.profile, value=1.0, explore=0.5)
    features = replace(seen.features, needs=frozenset())
    return replace(
        seen, roster=Roster.of(targets), profile=profile, features=features, held=(),
        power=draw(st.sampled_from([Power("ac"), Power("ac"), Power("discharging", 40.0)])),
    )  # fmt: skip


@given(explorable(), st.floats(0, 1, exclude_max=True))
def test_whoever_is_explored_meets_every_constraint_and_puts_nothing_at_risk(
    seen: View, draw: float
) -> None:
    seen = replace(seen, draw=draw / 2)
    decision = decided(seen)
    assume(decision.explored)
    target = seen.roster.targets[seen.roster.ids.index(decision.chosen.target)]
    assert eligible(seen, target)
    assert target.zone is Zone.DEVICE
    assert target.warmth is Warmth.WARM or target.rates.load_s == 0  # drawn, as no model's is
    assert target.usd_in_per_mtok == target.usd_out_per_mtok == 0
    assert not seen.power.on_battery
    assert seen.pinned_model is None
    assert decision.cascade is None
    again = seen.record().view()
    assert encode_decision(decide(again)) == encode_decision(decision)
    best = decided(replace(seen, draw=0.5 + draw / 2))
    assert best.propensity + decision.propensity == 1.0
    # Whatever else is drawn is so by what is left of the draw: the rest of the plan is the same.
    rest = [ranked for ranked in best.plan if ranked.target != decision.chosen.target]
    assert list(decision.plan[1:7]) == rest[:6]


@given(views() | choices(), st.sampled_from([0.02, 0.5]))
def test_who_is_not_drawn_is_decided_as_if_nothing_were_ever_explored(
    seen: View, share: float
) -> None:
    curious = replace(
        seen, profile=replace(seen.profile, explore=share), draw=share + seen.draw * (1 - share)
    )
    never = replace(curious, profile=replace(seen.profile, explore=0.0), draw=seen.draw)
    curious_of, never_of = decide(curious), decide(never)
    if isinstance(curious_of, Decision) and not curious_of.explored:
        assert replace(curious_of, propensity=1.0) == never_of
