"""Estimates: priors by size, the roster's arrays, rates of models that never ran."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.card import ModelShape
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Cpu
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes
from edgeroute.routing import policy, prior
from edgeroute.routing.candidates import Roster
from edgeroute.routing.estimate import estimate, rates_prior
from tests.unit.routing.drawn import CLOUD, QWEN_SMALL, SMOLLM2, THREE


@given(st.floats(1, 1e13), st.floats(1, 1e13))
def test_a_bigger_model_is_never_expected_to_be_worse(one: float, other: float) -> None:
    small, big = prior.quality_by_size(np.array(sorted((one, other))))
    assert (small <= big).all()
    assert (small >= 0).all()
    assert (big <= 1).all()


KNOWN = tomllib.loads((Path(__file__).parents[3] / "models/known.toml").read_text())


def published(task: str) -> list[tuple[float, float]]:
    """Parameters and score of every known model that has a result for a task."""
    found = []
    for model in KNOWN["model"]:
        results = model["benchmarks"]
        name = next((name for name in KNOWN["tasks"][task] if name in results), None)
        if name is not None:
            guessed = KNOWN["guessing"].get(name, 0.0)
            score = max(0.0, (results[name] / 100 - guessed) / (1 - guessed))
            found.append((model["billions"] * 1e9, score))
    return found


@pytest.mark.parametrize("task", KNOWN["tasks"])
def test_the_size_prior_is_laid_through_the_published_results(task: str) -> None:
    parameters, scores = np.array(published(task)).T
    expected = prior.quality_by_size(parameters)[:, prior.COLUMN[Task(task)]]
    assert len(scores) >= 20
    assert np.abs(expected - scores).mean() < 0.1
    assert abs((expected - scores).mean()) < 0.05


def test_a_model_of_unknown_size_promises_nothing() -> None:
    (row,) = prior.quality_by_size(np.array([0.0]))
    assert row.max() < 0.01


def test_a_score_of_the_card_replaces_the_prior_of_its_task_alone() -> None:
    roster = Roster.of([QWEN_SMALL, replace(QWEN_SMALL, id="plain", scores={})])  # type: ignore[arg-type]
    plain, scored = roster.quality
    assert scored[prior.COLUMN[Task.CODING]] == 0.62
    same = [prior.COLUMN[task] for task in Task if task not in QWEN_SMALL.scores]
    assert (scored[same] == plain[same]).all()


def test_a_doubtful_task_counts_as_far_as_it_is_likely() -> None:
    roster = Roster.of([QWEN_SMALL])
    sure = estimate(Features(Task.CODING, 1.0, 10, 10), roster).p_ok[0]
    half = estimate(Features(Task.CODING, 0.5, 10, 10), roster).p_ok[0]
    any_task = estimate(Features(Task.UNKNOWN, 1.0, 10, 10), roster).p_ok[0]
    assert sure == 0.62
    assert half == pytest.approx((sure + any_task) / 2)


def test_the_roster_is_sorted_and_keeps_its_targets() -> None:
    roster = Roster.of(reversed(THREE))
    assert roster.ids == ("qwen-coder-0.5b", "qwen-coder-1.5b", "smollm2-135m")
    assert [target.id for target in roster.targets] == list(roster.ids)
    assert len(roster) == 3
    assert roster.quality.shape == (3, len(Task))


@pytest.mark.parametrize("warmth", Warmth)
def test_only_a_warm_model_need_not_be_loaded(warmth: Warmth) -> None:
    roster = Roster.of([replace(SMOLLM2, warmth=warmth)])
    assert roster.load_s[0] == (0.0 if warmth is Warmth.WARM else 0.7)


def test_what_others_will_wait_for_costs_time_but_is_nobodys_latency() -> None:
    features = Features(Task.CODING, 0.9, 325, 85)
    alone, crowding = (
        estimate(features, Roster.of([replace(SMOLLM2, displaces_s=s)])) for s in (0.0, 7.0)
    )
    assert crowding.everybody_s[0] - alone.everybody_s[0] == pytest.approx(7.0)
    assert crowding.total_s[0] == alone.total_s[0] == alone.everybody_s[0]
    assert crowding.ttft_s[0] == alone.ttft_s[0]


def test_energy_is_of_this_device_and_not_of_the_queue() -> None:
    features = Features(Task.CODING, 0.9, 325, 85)
    busy = replace(SMOLLM2, queued_tokens=170)
    mine, theirs = Roster.of([busy]), Roster.of([CLOUD])
    assert estimate(features, mine).total_s[0] == pytest.approx(4.0)
    assert estimate(features, mine).ttft_s[0] == pytest.approx(3.0)
    assert estimate(features, mine).device_joules[0] == pytest.approx(20.0)
    assert estimate(features, theirs).device_joules[0] == 0.0


def test_two_targets_of_one_name_and_rates_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="two targets are called smollm2-135m"):
        Roster.of([SMOLLM2, SMOLLM2])
    stuck = replace(SMOLLM2, rates=replace(SMOLLM2.rates, decode_tok_s=0.0))
    with pytest.raises(ValueError, match=r"smollm2-135m: tokens per second must be above zero"):
        Roster.of([stuck])


@pytest.mark.parametrize("zone", Zone)
@pytest.mark.parametrize("label", Label)
def test_a_ceiling_is_what_was_set_but_never_secret_off_the_device(
    zone: Zone, label: Label
) -> None:
    expected = label if zone is Zone.DEVICE or label < Label.SECRET else Label.PRIVATE
    assert policy.ceiling(zone, label) is expected


def shape(parameters: int, file_mb: int, layers: int, repack_mb: int = 0) -> ModelShape:
    return ModelShape(
        architecture="llama", name="m", parameters=parameters, file_bytes=Bytes(file_mb * 10**6),
        n_layers=layers, n_embd=0, n_vocab=0, context_train=8192, block_bytes=Bytes(0),
        other_bytes=Bytes(0), kv_bytes_per_token=Bytes(0), repack_bytes=Bytes(repack_mb * 10**6),
        quantisation="Q4_K_M", chat_template=True, embeds=False,
    )  # fmt: skip


def cpu(cores: int) -> Cpu:
    numbers = tuple(range(cores))
    return Cpu("drawn", "x86_64", cores, cores, numbers, numbers)


@pytest.mark.parametrize(
    ("model", "decode", "prefill"),
    [
        (shape(134_515_008, 94, 30), (64, 106), 325),
        (shape(494_032_768, 491, 24), (28, 42), 219),
        (shape(1_543_714_304, 1117, 28), (15, 15), 101),
    ],
    ids=["135M", "0.5B", "1.5B"],
)
def test_rates_of_an_unmeasured_model_are_near_those_measured_on_two_cores(
    model: ModelShape, decode: tuple[float, float], prefill: float
) -> None:
    rates = rates_prior(model, cpu(2))
    assert decode[0] * 0.8 <= rates.decode_tok_s <= decode[1] * 1.2
    assert prefill / 1.4 <= rates.prefill_tok_s <= prefill * 1.4
    assert rates.watts == 10.0
    assert not rates.measured


def test_more_cores_help_until_memory_is_the_limit() -> None:
    model = shape(1_543_714_304, 1117, 28, repack_mb=600)
    two, four, eight, sixteen = (rates_prior(model, cpu(n)) for n in (2, 4, 8, 16))
    assert four.decode_tok_s > 1.5 * two.decode_tok_s
    assert eight.decode_tok_s == sixteen.decode_tok_s
    assert sixteen.prefill_tok_s == pytest.approx(2 * eight.prefill_tok_s)
    assert two.load_s == pytest.approx(0.4 + 1117e6 / 600e6 + 0.6 * 0.7)
