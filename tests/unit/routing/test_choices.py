"""What the shipped profiles choose among three real models, and the sentences they say it in."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from edgeroute.domain.decision import Decision
from edgeroute.domain.features import Features, Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.routing.decide import decide
from edgeroute.routing.view import View
from tests.unit.routing.drawn import CLOUD, QWEN_BIG, QWEN_SMALL, SMOLLM2, THREE, view_of
from tests.unit.routing.explained import explain

FILES = sorted((Path(__file__).parents[3] / "profiles").glob("*.toml"))


def profile(name: str) -> Profile:
    (path,) = [path for path in FILES if path.stem == name]
    table = tomllib.loads(path.read_text())
    return Profile(**{**table, "farthest": Zone[table["farthest"].upper()]})


def chosen(view: View) -> str:
    decision = decide(view)
    assert isinstance(decision, Decision)
    return decision.chosen.target


CHAT = Features(Task.CHIT_CHAT, 0.98, prompt_tokens=60, output_tokens=60)
SUMMARY = Features(Task.SUMMARISE, 0.98, prompt_tokens=126, output_tokens=30)
REWRITE = Features(Task.REWRITE, 0.98, prompt_tokens=70, output_tokens=80)
CODING = Features(Task.CODING, 0.95, prompt_tokens=70, output_tokens=300)
ARITHMETIC = Features(Task.MATH, 0.80, prompt_tokens=60, output_tokens=150)


def test_every_profile_says_all_its_numbers() -> None:
    assert [path.stem for path in FILES] == [
        "balanced", "battery-saver", "offline", "performance", "private",
    ]  # fmt: skip
    told = {field.name for field in fields(Profile)} - {
        "max_load_s",
        "joules_per_hour",
        "battery_share",
        "battery_until",
        "wrong_at_most",
        "applies",
    }
    for path in FILES:
        table = tomllib.loads(path.read_text())
        assert (set(table) | {"idle_release_s"}) - {"applies"} == told
        assert table["name"] == path.stem
        assert profile(path.stem).description.endswith(".")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (CHAT, QWEN_SMALL),
        (SUMMARY, QWEN_SMALL),
        (REWRITE, QWEN_SMALL),
        (CODING, QWEN_SMALL),
        (ARITHMETIC, QWEN_BIG),
    ],
    ids=lambda value: value.task if isinstance(value, Features) else value.id,
)
def test_balanced_takes_the_smallest_that_is_good_enough(
    features: Features, expected: Target
) -> None:
    assert chosen(view_of(*THREE, features=features, profile=profile("balanced"))) == expected.id


def test_a_small_general_model_that_chats_as_well_as_a_coder_gets_the_chat() -> None:
    chatty = replace(SMOLLM2, scores={Task.CHIT_CHAT: 0.62})
    terse = replace(QWEN_SMALL, scores={Task.CHIT_CHAT: 0.62})
    view = view_of(chatty, terse, QWEN_BIG, features=CHAT, profile=profile("battery-saver"))
    assert chosen(view) == SMOLLM2.id


@pytest.mark.parametrize("features", [CHAT, SUMMARY, REWRITE, CODING, ARITHMETIC])
def test_battery_saver_goes_smaller_and_performance_bigger(features: Features) -> None:
    def size(name: str) -> int:
        view = view_of(*THREE, features=features, profile=profile(name))
        return next(t.parameters for t in THREE if t.id == chosen(view))

    assert size("battery-saver") <= size("balanced") <= size("performance")
    assert size("performance") == QWEN_BIG.parameters


def test_battery_saver_spends_fewer_joules_on_arithmetic_when_models_are_cold() -> None:
    cold = [replace(target, warmth=Warmth.COLD) for target in THREE]
    view = view_of(*cold, features=ARITHMETIC, profile=profile("battery-saver"))
    assert chosen(view) == QWEN_SMALL.id


def test_a_warm_model_is_preferred_over_an_equal_cold_one() -> None:
    twin = replace(QWEN_SMALL, id=ModelId("a-twin"), warmth=Warmth.COLD)
    assert chosen(view_of(twin, QWEN_SMALL)) == QWEN_SMALL.id


def test_equals_are_ranked_by_name() -> None:
    twin = replace(QWEN_SMALL, id=ModelId("a-twin"))
    decision = decide(view_of(QWEN_SMALL, twin))
    assert isinstance(decision, Decision)
    assert decision.chosen.target == "a-twin"
    assert decision.reason.endswith("qwen-coder-0.5b scores the same")
    assert decision.flip == "qwen-coder-0.5b scores the same as a-twin; the name decided"


def test_a_model_for_which_a_busy_one_has_to_go_loses_to_its_equal() -> None:
    crowding = replace(QWEN_SMALL, id=ModelId("a-twin"), warmth=Warmth.COLD, displaces_s=4.0)
    beside = replace(QWEN_SMALL, id=ModelId("b-twin"), warmth=Warmth.COLD)
    decision = decide(view_of(crowding, beside))
    assert isinstance(decision, Decision)
    assert decision.chosen.target == "b-twin"
    assert decision.reason.endswith("; a-twin makes others wait 4.0 s more")


def test_private_and_offline_keep_their_zones_even_from_a_better_target() -> None:
    view = view_of(*THREE, CLOUD, label=Label.PUBLIC)
    assert chosen(replace(view, profile=profile("balanced"))) == CLOUD.id
    for name in ("private", "offline"):
        explanation = explain(replace(view, profile=profile(name)))
        assert {ranked.target for ranked in explanation.ranked} == {t.id for t in THREE}


def test_a_plan_holds_the_best_eight_and_the_explanation_all() -> None:
    many = [replace(QWEN_SMALL, id=ModelId(f"m{number:02}")) for number in range(20)]
    explanation = explain(view_of(*many))
    assert isinstance(explanation.decision, Decision)
    assert [r.target for r in explanation.decision.plan] == [f"m{n:02}" for n in range(8)]
    assert len(explanation.ranked) == 20


def test_the_reason_names_the_task_the_numbers_and_the_runner_up() -> None:
    decision = decide(view_of(SMOLLM2, QWEN_SMALL))
    assert isinstance(decision, Decision)
    assert decision.reason == (
        "qwen-coder-0.5b: best for coding (P(ok) .61) in 8.9 s; "
        "smollm2-135m is 5.1 s faster but has P(ok) .11"
    )
    assert decision.flip == "smollm2-135m would beat qwen-coder-0.5b if a second cost 3.8x as much"


def test_the_reason_says_what_loading_takes_and_what_a_better_model_would_cost() -> None:
    cold = replace(QWEN_SMALL, warmth=Warmth.COLD)
    decision = decide(view_of(cold, QWEN_BIG))
    assert isinstance(decision, Decision)
    assert decision.reason == (
        "qwen-coder-0.5b: best for coding (P(ok) .61) in 9.6 s, 700 ms of it loading; "
        "qwen-coder-1.5b has P(ok) .70 but is 11.1 s slower"
    )


def test_the_reason_says_when_there_was_no_choice() -> None:
    alone = decide(view_of(SMOLLM2))
    named = decide(view_of(*THREE, pinned_model=SMOLLM2.id))
    assert isinstance(alone, Decision)
    assert isinstance(named, Decision)
    assert "the only eligible target" in alone.reason
    assert "asked for by name" in named.reason
    assert alone.flip == named.flip == ""


def test_money_and_energy_are_told_where_they_decide() -> None:
    dear = replace(CLOUD, id=ModelId("dear"), usd_out_per_mtok=60.0, max_label=Label.PRIVATE)
    cheap = replace(CLOUD, id=ModelId("cheap"), max_label=Label.PRIVATE)
    decision = decide(view_of(dear, cheap))
    assert isinstance(decision, Decision)
    assert decision.reason.endswith("dear costs $0.018 more")
    hot = replace(SMOLLM2, id=ModelId("hot"), rates=Rates(0.7, 325.0, 85.0, 90.0))
    decision = decide(view_of(hot, SMOLLM2))
    assert isinstance(decision, Decision)
    assert decision.reason.endswith("hot takes 300 J more")


def test_where_no_weight_would_do_the_flip_says_which_quality_would() -> None:
    worse = replace(QWEN_SMALL, id=ModelId("worse"), scores={Task.CODING: 0.40})
    decision = decide(view_of(QWEN_SMALL, worse))
    assert isinstance(decision, Decision)
    assert decision.flip == "worse would beat qwen-coder-0.5b if its P(ok) were .61 instead of .40"
