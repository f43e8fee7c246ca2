"""The worker as the daemon sees it, with a real model."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeroute.domain.load import LoadPlan
from edgeroute.domain.request import Sampling
from edgeroute.domain.units import ModelId
from edgeroute.wire.frames import Cancel, Load, LoadRefused
from tests.contract.worker_process import GREEDY, PATIENCE_S, Answer, Worker, loaded, spawned

PROMPTS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Count from one to five.",
    "Name three colours.",
)


@pytest.fixture(scope="module")
def plan(starter: Path) -> LoadPlan:
    # One thread: two that share a busy core wait for each other at every barrier.
    return LoadPlan(ModelId("smollm2"), str(starter), context=256, slots=4, threads=1, batch=128)


@pytest.fixture(scope="module")
def model(plan: LoadPlan) -> Iterator[Worker]:
    with loaded(plan) as worker:
        yield worker
        worker.socket.close()
        assert worker.process.wait(PATIENCE_S) == 0
        assert worker.stderr() == ""
        assert worker.process.stdout is not None
        assert worker.process.stdout.read() == b""


def test_a_real_model_answers_and_counts(model: Worker) -> None:
    model.ask(100, "Write one sentence about the sea.", replace(GREEDY, max_tokens=12))
    (answer,) = model.finish(100)
    assert answer.text.startswith("The sea is")
    assert answer.finish == "length"
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens == 37  # the template's own system prompt and markup included
    assert usage.completion_tokens == 12
    assert usage.prefill_s > 0
    assert usage.decode_s > 0


def test_an_answer_ends_by_itself(model: Worker) -> None:
    model.ask(110, "Write one sentence about the sea.", replace(GREEDY, max_tokens=200))
    (answer,) = model.finish(110)
    assert answer.finish == "stop"
    assert answer.text.endswith(".")


def test_an_answer_ends_where_the_context_does(model: Worker) -> None:
    model.ask(120, "one two three " * 70, replace(GREEDY, max_tokens=None))
    (answer,) = model.finish(120)
    assert answer.finish == "length"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == 256


def test_sequences_in_one_batch_answer_as_they_do_alone(model: Worker) -> None:
    alone = [model.text(200 + number, prompt) for number, prompt in enumerate(PROMPTS)]
    for number, prompt in enumerate(PROMPTS):
        model.ask(210 + number, prompt)
    together = model.finish(*range(210, 210 + len(PROMPTS)))
    assert [answer.text for answer in together] == alone
    assert len(set(alone)) == len(alone)


def test_a_neighbour_cancelled_in_its_prompt_changes_nothing(model: Worker) -> None:
    long = replace(GREEDY, max_tokens=24)
    alone = model.text(300, PROMPTS[0], long)
    model.ask(301, PROMPTS[0], long)
    for number in range(302, 304):
        computed_s = model.computed_s
        # A second of compute; a prompt of its own, or it would be reused.
        model.ask(number, f"Number {number} of many long stories is about a sea. " * 12, long)
        model.has_computed_for(computed_s + 0.2)
        model.send(Cancel(number))
    assert model.finish(301)[0].text == alone
    assert not any(model.answers[number].ended for number in range(302, 304))
    assert model.text(304, PROMPTS[0], long) == alone


LONG = "Tell me more about the following words: " + "sea sky tree house " * 20
ENDS = ("Begin with the first of them and go on. " * 7, "And do not forget the last one. " * 9)
"""Two of more than a block of tokens, so that fresh and shared prompts meet the same kernels; where
they do not, logits differ as `test_engine` says."""


def cached(answer: Answer) -> int:
    assert answer.usage is not None
    return answer.usage.cached_tokens


def test_prompts_that_begin_alike_share_and_answer_as_they_do_fresh(plan: LoadPlan) -> None:
    prompts = [LONG + end for end in ENDS]
    fresh = []
    for prompt in prompts:
        with loaded(plan) as worker:
            fresh.append(worker.text(1, prompt))
    with loaded(plan) as worker:
        for number in range(4):
            worker.ask(number, prompts[number % 2])
        first, *others = worker.finish(*range(4))
    assert [answer.text for answer in (first, *others)] == fresh * 2
    assert fresh[0] != fresh[1]
    assert cached(first) == 0
    assert all(cached(answer) > 80 for answer in others)


def test_a_conversation_goes_on_in_another_process_as_it_would_have(plan: LoadPlan) -> None:
    plan = replace(plan, context=512)
    question = LONG + "and now for something completely different " * 30
    with loaded(plan) as worker:
        first = worker.text(1, question)
        ((state, descriptor),) = worker.saved()
        worker.ask(2, "Go on.", GREEDY, question, first)
        (stayed,) = worker.finish(2)
    with loaded(plan) as worker:
        worker.give(state, descriptor)
        worker.ask(2, "Go on.", GREEDY, question, first)
        (moved,) = worker.finish(2)
    os.close(descriptor)
    assert stayed.text == moved.text != ""
    assert cached(stayed) == cached(moved) > 256


def test_a_state_of_another_model_costs_nothing_but_its_prefill(plan: LoadPlan) -> None:
    plan = replace(plan, context=512)
    question = LONG + "and now for something completely different " * 30
    with loaded(plan) as worker:
        expected = worker.text(1, question)
        ((state, descriptor),) = worker.saved()
    damaged = os.memfd_create("damaged", os.MFD_ALLOW_SEALING)
    os.write(damaged, os.pread(descriptor, 4 * state.tokens, 0) + bytes(state.size))
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(damaged, fcntl.F_ADD_SEALS, seals)
    with loaded(plan) as worker:
        worker.give(state, damaged)
        worker.ask(1, question)
        (answer,) = worker.finish(1)
    os.close(descriptor)
    os.close(damaged)
    assert (answer.text, cached(answer)) == (expected, 0)


def test_an_answer_may_outgrow_the_context(plan: LoadPlan) -> None:
    with loaded(replace(plan, slots=1, context=128)) as worker:
        sampling = Sampling(temperature=1.0, max_tokens=200, seed=3)
        worker.ask(1, "Write a very long story about a mouse.", sampling, overflow="shift")
        (answer,) = worker.finish(1)
        assert answer.usage is not None
        assert answer.finish == "stop" or answer.usage.completion_tokens == 200
        assert answer.usage.prompt_tokens + answer.usage.completion_tokens > 128
        assert worker.text(2, PROMPTS[0]) == worker.text(3, PROMPTS[0])


def test_one_that_is_set_aside_goes_on_where_it_was(plan: LoadPlan) -> None:
    with loaded(replace(plan, slots=1)) as worker:
        long = replace(GREEDY, max_tokens=24)
        alone = worker.text(1, PROMPTS[1], long)
        warm = Sampling(temperature=1.0, max_tokens=24, seed=5, repeat_penalty=1.1)
        alone_warm = worker.text(2, PROMPTS[1], warm)
        for number, sampling, expected in ((3, long, alone), (4, warm, alone_warm)):
            worker.ask(number, PROMPTS[1], sampling, priority="background")
            while worker.answers[number].pieces < 5:
                worker.receive()
            worker.ask(10 + number, PROMPTS[2])
            worker.finish(10 + number)
            assert not worker.answers[number].ended
            assert worker.finish(number)[0].text == expected


def test_stop_strings_end_the_answer_and_are_not_part_of_it(model: Worker) -> None:
    whole = model.text(400, PROMPTS[1])
    stop = whole[10:16]
    model.ask(401, PROMPTS[1], replace(GREEDY, stop=("\0", stop)))
    (answer,) = model.finish(401)
    assert (answer.text, answer.finish) == (whole[: whole.index(stop)], "stop")


def test_a_seed_reproduces_and_another_differs(model: Worker) -> None:
    warm = Sampling(temperature=1.2, max_tokens=12, seed=7)
    texts = [
        model.text(500 + number, PROMPTS[1], replace(warm, seed=seed))
        for number, seed in enumerate((7, 7, 8, None, None, 2**32 - 1, 2**63))
    ]
    assert texts[0] == texts[1]
    assert len(set(texts[1:])) == len(texts) - 1


def test_penalties_change_greedy_answers(model: Worker) -> None:
    repeating = replace(GREEDY, max_tokens=28)
    plain = model.text(600, PROMPTS[0], repeating)
    for number, penalty in enumerate(
        (
            replace(repeating, repeat_penalty=1.5),
            replace(repeating, presence_penalty=2.0),
            replace(repeating, frequency_penalty=2.0),
        )
    ):
        penalised = model.text(601 + number, PROMPTS[0], penalty)
        assert penalised != plain
        assert len(set(penalised.split())) > len(set(plain.split()))


def test_what_cannot_be_answered_fails_alone(model: Worker) -> None:
    model.ask(700, PROMPTS[2])
    model.ask(701, "x" * 3_000_000)  # arrives as `part` frames
    model.ask(702, "word " * 300)
    model.ask(703, PROMPTS[2], replace(GREEDY, max_tokens=0))
    model.ask(704, PROMPTS[2])
    good, huge, long, nothing, later = model.finish(*range(700, 705))
    assert good.text == later.text != ""
    assert huge.failed is not None
    assert huge.failed.code == "context_exceeded"
    assert long.failed is not None
    assert long.failed.code == "context_exceeded"
    assert "331 tokens; the context holds 256" in long.failed.message
    assert nothing.failed is not None
    assert nothing.failed.code == "invalid_request"


def test_the_process_ends_in_the_middle_of_a_long_prompt(plan: LoadPlan) -> None:
    # One batch of 3000 tokens: a single llama_decode of ten seconds.
    with loaded(replace(plan, context=4096, slots=1, batch=4096, threads=2)) as worker:
        loading = worker.computed_s
        worker.ask(1, "word " * 3000)
        worker.has_computed_for(loading + 0.3)
        worker.socket.close()
        assert worker.process.wait(4.0) == 0
        assert worker.stderr() == ""


@pytest.mark.parametrize("size", [0, 100, 1_000_000, 98_000_000])
def test_a_truncated_file_is_refused_in_llama_cpps_words(
    plan: LoadPlan, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "cut.gguf"
    with Path(plan.path).open("rb") as whole:
        path.write_bytes(whole.read(size))
    with spawned() as worker:
        worker.send(Load(replace(plan, path=str(path))))
        refused = worker.ready()
        assert isinstance(refused, LoadRefused)
        assert refused.code == "load_failed"
        assert "gguf" in refused.message or "data" in refused.message
        assert worker.process.wait(PATIENCE_S) == 1
        assert worker.stderr() == ""


def test_layers_for_a_gpu_that_the_build_cannot_use_are_refused(plan: LoadPlan) -> None:
    with spawned() as worker:
        worker.send(Load(replace(plan, gpu_layers=4)))
        refused = worker.ready()
    assert isinstance(refused, LoadRefused)
    assert "4 layers on a GPU" in refused.message


def test_the_self_test_passes_here_and_says_what_to_do_elsewhere(
    starter: Path, tmp_path: Path
) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF")
    outcomes = [
        subprocess.run(
            [sys.executable, "-m", "edgeroute.worker", "--self-test", path],
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (starter, tmp_path / "no.gguf")
    ]
    assert [outcome.returncode for outcome in outcomes] == [0, 1]
    assert outcomes[0].stdout.startswith("self-test passed: 'The capital of France is' -> ' Paris'")
    assert "fetch" in outcomes[1].stdout
    assert [outcome.stderr for outcome in outcomes] == ["", ""]
