"""Replays whose figures can be worked out by hand, and the policies that differ in them."""

import json
from pathlib import Path

import pytest

from edgeroute.cli.main import main
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.evaluation.residency import POLICIES, evaluate, figures, read_cards, replay
from edgeroute.evaluation.residency_machine import Job, Machine, SpeedCard, TraceRow

FIGURES = {
    "cold_starts", "load_wait_s", "load_wait_p95_s", "ttft_p50_s", "ttft_p95_s", "max_wait_s",
    "evictions", "peak_bytes", "refused", "wasted_load_bytes",
}  # fmt: skip


def card(size: int = 100, load_s: float = 4.0) -> SpeedCard:
    """Reads 100 prompt tokens and writes 10 tokens per second."""
    return SpeedCard(size, 0, load_s, 100.0, 10.0)


def cards(**by_name: SpeedCard) -> dict[ModelId, SpeedCard]:
    return {ModelId(name): each for name, each in by_name.items()}


def row(t_s: float, model: str, prompt: int = 100, output: int = 10) -> TraceRow:
    """A second for the prompt and a second for the answer."""
    return TraceRow(t_s, model, prompt, output)


def run(
    policy: str, rows: list[TraceRow], of: dict[ModelId, SpeedCard], budget: int
) -> tuple[list[Job], dict[str, float]]:
    machine = Machine(of, Bytes(budget))
    keeper = POLICIES[policy](machine, rows)
    jobs = replay(rows, machine, keeper)
    return jobs, figures(jobs, machine, keeper, 0.0)


# ---- physics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_a_request_waits_for_its_load_then_for_its_prompt(policy: str) -> None:
    (job,), told = run(policy, [row(1.0, "a")], cards(a=card()), 105)
    assert (job.warm_at, job.first_at) == pytest.approx((5.0, 6.0))
    assert told["cold_starts"] == 1
    assert told["load_wait_s"] == told["max_wait_s"] == 4.0
    assert told["ttft_p50_s"] == told["ttft_p95_s"] == 5.0
    assert told["peak_bytes"] == 100


@pytest.mark.parametrize("policy", sorted(POLICIES.keys() - {"edgeroute"}))
def test_running_requests_share_the_device_and_loads_the_disk(policy: str) -> None:
    jobs, _ = run(policy, [row(0.0, "a"), row(0.0, "b")], cards(a=card(), b=card()), 300)
    assert [job.warm_at for job in jobs] == pytest.approx([8.0, 8.0])
    assert [job.first_at for job in jobs] == pytest.approx([10.0, 10.0])


def test_the_pool_loads_one_model_after_the_other() -> None:
    large = card(100_000_000)
    of = cards(a=large, b=large)
    jobs, _ = run("edgeroute", [row(0.0, "a"), row(0.0, "b")], of, 300_000_000)
    assert [job.warm_at for job in jobs] == pytest.approx([4.0, 8.0])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fifth_request_queues_in_the_model_and_does_not_wait_for_it(policy: str) -> None:
    jobs, told = run(policy, [row(0.0, "a")] * 5, cards(a=card()), 105)
    assert [job.warm_at for job in jobs] == pytest.approx([4.0] * 5)
    assert [job.first_at for job in jobs] == pytest.approx([8.0] * 4 + [13.0])
    assert told["load_wait_s"] == 20.0


@pytest.mark.parametrize("policy", POLICIES)
def test_who_runs_is_not_evicted(policy: str) -> None:
    rows = [row(0.0, "a", output=100), row(5.0, "b")]
    jobs, told = run(policy, rows, cards(a=card(), b=card()), 105)
    assert jobs[1].warm_at == pytest.approx(4.0 + 1.0 + 10.0 + 4.0)
    assert told["evictions"] == 1


def test_what_a_given_up_load_has_read_is_charged() -> None:
    machine = Machine(cards(a=card(1000)), Bytes(1000))
    machine.load(ModelId("a"))
    machine.advance(1.0)
    machine.evict(ModelId("a"))
    assert machine.figures.wasted_bytes == 250
    machine.load(ModelId("a"))
    machine.advance(5.0)
    machine.close()
    assert machine.figures.wasted_bytes == 1250, "and what nobody has used in the end"


# ---- policies -----------------------------------------------------------------------------------


def test_keep_alive_ends_after_five_minutes() -> None:
    rows = [row(0.0, "a"), row(200.0, "a"), row(600.0, "a")]
    counts = {name: run(name, rows, cards(a=card()), 105)[1]["cold_starts"] for name in POLICIES}
    assert counts == {"edgeroute": 1, "lru": 1, "ttl-5m": 2, "gdsf": 1, "belady": 1}


def warm_at_the_end(policy: str, rows: list[TraceRow], of: dict[ModelId, SpeedCard]) -> set[str]:
    machine = Machine(of, Bytes(210))
    replay(rows, machine, POLICIES[policy](machine, rows))
    return set(machine.warm)


def test_lru_keeps_the_latest_gdsf_the_frequent_and_dear_belady_the_next() -> None:
    of = cards(a=card(), b=card(load_s=1.0), c=card())
    rows = [row(0.0, "a"), row(20.0, "a"), row(40.0, "b"), row(60.0, "c")]
    assert warm_at_the_end("lru", rows, of) == {"b", "c"}
    assert warm_at_the_end("gdsf", rows, of) == {"a", "c"}
    circle = [row(20.0 * i, "abc"[i % 3]) for i in range(30)]
    loads = {name: run(name, circle, of, 210)[1]["cold_starts"] for name in ("lru", "belady")}
    assert loads == {"lru": 30, "belady": 16}


def test_of_a_circle_the_pool_loads_nearly_as_little_as_who_knows_the_future() -> None:
    circle = [row(20.0 * i, "abc"[i % 3]) for i in range(90)]
    of = cards(a=card(), b=card(), c=card())
    assert run("edgeroute", circle, of, 210)[1]["cold_starts"] <= 0.6 * 90


# ---- the report ---------------------------------------------------------------------------------


def test_a_report_has_every_policy_and_every_figure() -> None:
    told = evaluate([row(9.0, "b"), row(0.0, "a")], cards(a=card(), b=card()), 1)
    assert told["budget_bytes"] == 105, "raised to 1.05 times the largest model"
    policies = told["policies"]
    assert isinstance(policies, dict)
    assert policies.keys() == {"edgeroute", "lru", "ttl-5m", "gdsf", "belady"}
    assert all(each.keys() == FIGURES for each in policies.values())


def test_earlier_requests_are_replayed_and_not_counted() -> None:
    rows = [row(0.0, "a"), row(100.0, "a")]
    told = evaluate(rows, cards(a=card()), 105, counted_from_s=50.0)
    policies = told["policies"]
    assert isinstance(policies, dict)
    assert policies["lru"]["load_wait_s"] == 0.0
    assert policies["lru"]["cold_starts"] == 1
    with pytest.raises(InvalidRequest, match="at or after 101 s"):
        evaluate(rows, cards(a=card()), 105, counted_from_s=101.0)


def test_a_model_without_a_card_is_named() -> None:
    with pytest.raises(InvalidRequest, match="no card for b"):
        evaluate([row(0.0, "b")], cards(a=card()), 105)


def test_cards_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cards.json"
    path.write_text('{"a": {"weights_bytes": 1, "kv_bytes_per_token": 1, "load_s": 0}}')
    with pytest.raises(InvalidRequest, match="load_s"):
        read_cards(path)


def test_the_command_reads_files_and_prints_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, speeds = tmp_path / "t.jsonl", tmp_path / "cards.json"
    trace.write_text('{"t_s": 0, "model": "a", "session": "s", "prompt_tokens": 100, '
                     '"output_tokens": 10}\n')  # fmt: skip
    numbers = {"load_s": 4.0, "prefill_tok_s": 100, "decode_tok_s": 10}
    speeds.write_text(
        json.dumps({"a": {"weights_bytes": 2**20, "kv_bytes_per_token": 0, **numbers}})
    )
    arguments = ["eval", "residency", str(trace), "--cards", str(speeds), "--budget"]
    assert main([*arguments, "2MiB", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["budget_bytes"] == 2**21
    assert told["policies"]["lru"]["load_wait_s"] == 4.0
    assert main([*arguments, "much"]) == 2
