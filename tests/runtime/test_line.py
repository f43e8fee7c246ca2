"""The life of a query over fakes: fail-over, deadlines, cancelling, what is remembered."""

import asyncio
import struct
from dataclasses import replace

import pytest

from edgeroute.domain.errors import (
    ContextExceeded,
    DeadlineExceeded,
    EdgeRouteError,
    InvalidRequest,
    LoadFailed,
    NoTarget,
    NotFound,
    Overloaded,
    ShuttingDown,
    UnknownModel,
    Unsupported,
    WorkerDied,
)
from edgeroute.domain.load import EchoBehaviour, Footprint
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import AnswerForm, EmbeddingRequest, Limits
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId, RequestId
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.pool import ModelSpec
from tests.runtime.conftest import Line, asking, build_line, card, text_of

pytestmark = pytest.mark.looptime


async def test_a_question_goes_to_the_best_model_and_is_remembered(two: Line) -> None:
    request = asking("two plus two")
    async with two.dispatcher.answer(request) as answer:
        assert await text_of(answer) == "two plus two"
        assert answer.target == "good"
    recalled = await two.record.recall(request.id)
    assert recalled.decision == answer.decision
    assert recalled.outcome == answer.outcome()
    assert recalled.outcome is not None
    assert (recalled.outcome.ending, recalled.outcome.completion_tokens) == ("stop", 3)
    assert two.observer.outcomes == [recalled.outcome]
    assert two.journal.uses == [("good", "default")]


async def test_a_decision_is_written_down_while_its_answer_runs_or_when_asked_for(
    two: Line,
) -> None:
    await two.ask("load it")
    request = asking("one two three")
    async with two.dispatcher.answer(request) as answer:
        await anext(answer.chunks)
        with pytest.raises(NotFound):  # nobody's first token waited for that
            await two.record.recall(request.id)
        two.dispatcher.noted(request.id)
        assert (await two.record.recall(request.id)).decision == answer.decision
    later = asking("four five six")
    async with two.dispatcher.answer(later) as answer:
        await anext(answer.chunks)
        await asyncio.sleep(1)  # on the loop's own clock
        assert (await two.record.recall(later.id)).decision == answer.decision


async def test_ten_askers_cause_one_load(two: Line) -> None:
    answers = await asyncio.gather(*(two.ask("hello") for _ in range(10)))
    assert answers == ["hello"] * 10
    assert [runner.plan.model for runner in two.backend.started] == ["good"]


async def test_vectors_come_by_the_same_line(two: Line) -> None:
    request = EmbeddingRequest(RequestId("e"), "good", ("a", "bcd"))
    async with two.dispatcher.answer(request) as answer:
        vectors = [vector async for chunk in answer.chunks for vector in chunk.embeddings]
    assert [struct.unpack("<f", vector) for vector in vectors] == [(1.0,), (3.0,)]
    assert answer.outcome().ending == "stop"
    assert answer.outcome().prompt_tokens == 4


async def test_a_model_asked_for_by_name_must_be_able(two: Line) -> None:
    needy = replace(asking("hello", "good"), form=AnswerForm("json"))
    with pytest.raises(Unsupported, match="good cannot hold its answer to a JSON schema") as caught:
        await two.dispatcher.answer(needy).__aenter__()
    assert caught.value.http_status == 400
    with pytest.raises(NoTarget, match="cannot hold its answer to a JSON schema"):
        await two.dispatcher.answer(replace(needy, model="auto")).__aenter__()


async def test_before_the_first_token_another_model_takes_over() -> None:
    line = build_line(
        card("dies", EchoBehaviour(die_at_token=0), 0.9), card("lives", EchoBehaviour(), 0.5)
    )
    async with line.dispatcher.answer(asking("hello")) as answer:
        assert await text_of(answer) == "hello"
    outcome = answer.outcome()
    assert outcome.target == answer.target == "lives"
    assert [(a.target, a.error) for a in outcome.attempts] == [
        ("dies", "worker_died"),
        ("lives", None),
    ]
    await line.pool.close()


async def test_after_the_first_token_a_failure_is_shown() -> None:
    line = build_line(
        card("dies", EchoBehaviour(die_at_token=2), 0.9), card("lives", EchoBehaviour(), 0.5)
    )
    seen = []
    async with line.dispatcher.answer(asking("one two three")) as answer:
        seen += [(await anext(answer.chunks)).text for _ in range(2)]
        with pytest.raises(WorkerDied):
            await anext(answer.chunks)
    assert seen == ["one", " two"]
    (outcome,) = line.observer.outcomes
    assert (outcome.ending, outcome.error, outcome.target) == ("error", "worker_died", "dies")
    await line.pool.close()


async def test_a_worker_that_died_idle_is_started_again_for_the_next_question(two: Line) -> None:
    assert await two.ask("hello") == "hello"
    two.backend.started[0].die()
    assert await two.ask("again") == "again"
    assert len(two.backend.started) == 2


async def test_a_failed_load_falls_to_the_next_and_names_its_reason_when_asked_for() -> None:
    broken = card("broken", EchoBehaviour(fail_load="no such tensor"), 0.9)
    line = build_line(broken, card("fine", EchoBehaviour(), 0.5))
    assert await line.ask("hello") == "hello"
    with pytest.raises(NoTarget, match="broken failed") as caught:
        await line.ask("hello", model="broken")
    assert caught.value.http_status == 503
    assert caught.value.retry_after_s is not None
    await line.pool.close()


async def test_a_failed_load_tells_its_reason_to_everybody_who_waits() -> None:
    line = build_line(card("broken", EchoBehaviour(load_s=1.0, fail_load="no such tensor"), 0.9))
    failures = await asyncio.gather(*(line.ask("hi") for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [LoadFailed] * 3
    assert {str(failure) for failure in failures} == {str(failures[0])}
    assert "no such tensor" in str(failures[0])
    await line.pool.close()


async def test_the_only_model_is_waited_for_while_it_restarts() -> None:
    line = build_line(card("m", EchoBehaviour(load_s=1.0), 0.9))
    await line.ask("hello")
    line.backend.started[0].die()
    assert await line.ask("again") == "again"
    await line.pool.close()


async def test_a_prompt_surely_over_the_context_is_refused_by_name_of_the_limit(two: Line) -> None:
    with pytest.raises(NoTarget, match="64"):
        await two.ask("word " * 200)


async def test_about_a_prompt_that_may_fit_the_worker_decides(two: Line) -> None:
    with pytest.raises(ContextExceeded, match="100 tokens, the context holds 64"):
        await two.ask("word " * 100)


async def test_the_workers_count_decides_and_the_plan_goes_on() -> None:
    line = build_line(card("m", EchoBehaviour(), 0.9))
    request = asking(" ".join("x" * 3 for _ in range(63)))
    async with line.dispatcher.answer(request) as answer:
        assert await text_of(answer)
    (runner,) = line.backend.started
    runner.plan = type(runner.plan)(runner.plan.model, "", context=10, slots=1, threads=1)
    with pytest.raises(ContextExceeded):
        await line.ask("x " * 20)
    await line.pool.close()


async def test_a_deadline_ends_the_answer_and_frees_the_slot() -> None:
    line = build_line(card("slow", EchoBehaviour(tok_s=1.0), 0.9))
    await line.ask("warm")
    async with line.dispatcher.answer(
        asking("one two three four five", limits=Limits(deadline_s=2.5))
    ) as answer:
        with pytest.raises(DeadlineExceeded):
            await text_of(answer)
    assert line.backend.started[0].running == 0
    await line.pool.close()


async def test_leaving_early_cancels_down_to_the_sequence() -> None:
    line = build_line(card("slow", EchoBehaviour(tok_s=1.0), 0.9))
    async with line.dispatcher.answer(asking("one two three")) as answer:
        await anext(answer.chunks)
        assert line.backend.started[0].running == 1
    assert line.backend.started[0].running == 0
    assert line.pool.snapshot()[0].leases == 0
    assert line.observer.outcomes[0].ending == "cancelled"
    await line.pool.close()


async def test_room_is_made_by_stopping_the_idle_model() -> None:
    big = EchoBehaviour(anon=Bytes(500 * MIB))
    line = build_line(card("a", big, 0.9), card("b", big, 0.8), ram=800 * MIB)
    await line.ask("hello", model="a")
    await asyncio.sleep(60)  # virtual: past the minimum residency
    await line.ask("hello", model="b")
    warmth = {status.model: status.warmth.name for status in line.pool.snapshot()}
    assert warmth == {"a": "COLD", "b": "WARM"}
    assert line.backend.started[0].exited.done()
    await line.pool.close()


async def test_a_model_over_the_budget_is_refused_with_the_reason() -> None:
    line = build_line(card("huge", EchoBehaviour(anon=Bytes(5000 * MIB)), 0.9))
    with pytest.raises(NoTarget, match="GiB"):
        await line.ask("hello")
    await line.pool.close()


async def test_what_does_not_exist_is_named(two: Line) -> None:
    with pytest.raises(UnknownModel, match="gpt-9"):
        await two.ask("hello", model="gpt-9")
    with pytest.raises(InvalidRequest, match="turbo"):
        two.dispatcher.view(
            type(asking("x"))(RequestId("r"), "auto", asking("x").messages, profile="turbo")
        )
    with pytest.raises(NotFound):
        await two.record.recall(RequestId("never"))


async def test_closing_ends_workers_and_denies_who_waits() -> None:
    line = build_line(card("slow", EchoBehaviour(load_s=100.0), 0.9))
    waiting = asyncio.ensure_future(line.ask("hello"))
    await asyncio.sleep(1)
    await line.pool.close()
    with pytest.raises(ShuttingDown):
        await waiting
    with pytest.raises(ShuttingDown):
        async with line.pool.lease(ModelId("slow")):
            raise AssertionError("a lease was granted")


async def test_a_start_that_is_taken_back_at_once_leaves_nothing_behind() -> None:
    line = build_line(card("a", EchoBehaviour(), 0.9))
    asking_now = asyncio.ensure_future(line.ask("hello", model="a"))
    await asyncio.sleep(0)  # the lease is asked for, the worker's task has not begun
    specs = [ModelSpec(card("a", EchoBehaviour(), 0.9), PlanOptions(threads=1), load_s=1.0)]
    line.pool.replace_models([])
    line.pool.replace_models(specs)
    with pytest.raises(EdgeRouteError):
        await asking_now
    assert await line.ask("again", model="a") == "again"
    await line.pool.close()


async def test_a_queue_behind_a_warm_model_is_bounded_and_says_when_to_come_again() -> None:
    line = build_line(card("slow", EchoBehaviour(tok_s=1.0), 0.9), slots=1)
    await line.ask("hello")
    asked = [asyncio.ensure_future(line.ask("hello")) for _ in range(70)]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    refused = [error for error in ended if isinstance(error, Overloaded)]
    assert len(refused) == 70 - 65
    assert all(error.retry_after_s and error.retry_after_s > 0 for error in refused)
    assert ended.count("hello") == 65
    await line.pool.close()


async def test_draining_ends_what_waits_at_once_and_what_runs_later() -> None:
    line = build_line(card("slow", EchoBehaviour(tok_s=1.0), 0.9))
    await line.ask("hello")
    short = asyncio.ensure_future(line.ask("one two three"))
    long = asyncio.ensure_future(line.ask("word " * 30))
    await asyncio.sleep(1)
    line.pool.drain(10.0)
    with pytest.raises(ShuttingDown):
        await line.ask("hello")
    assert await short == "one two three"
    with pytest.raises(ShuttingDown):
        await long
    await line.pool.close()


async def test_closing_while_others_wait_for_room_starts_nobody() -> None:
    big = EchoBehaviour(tok_s=1.0, anon=Bytes(500 * MIB))
    line = build_line(card("a", big, 0.9), card("b", big, 0.8), ram=800 * MIB)
    first = asyncio.ensure_future(line.ask("one two three four five six", model="a"))
    await asyncio.sleep(1)
    second = asyncio.ensure_future(line.ask("hello", model="b"))
    await asyncio.sleep(1)
    await line.pool.close()
    ended = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(error) for error in ended] == [ShuttingDown, ShuttingDown]
    assert [runner.plan.model for runner in line.backend.started] == ["a"]


async def test_rates_move_towards_what_was_measured(two: Line) -> None:
    before = two.roster.rates(two.roster.current().ids[1])
    await two.ask("one two three four five")
    after = two.roster.rates(two.roster.current().ids[1])
    assert before.decode_tok_s == 50.0
    assert before.decode_tok_s > after.decode_tok_s > 40.0  # four tokens in 0.1 s
    assert after.measured


async def test_what_was_found_in_the_text_tightens_the_label_and_never_loosens_it(
    two: Line,
) -> None:
    for prompt, label in (("my password is xyzzy", Label.SECRET), ("hello", Label.PRIVATE)):
        async with two.dispatcher.answer(asking(prompt)) as answer:
            assert answer.view.label is label
            await text_of(answer)
    (runner,) = two.backend.started
    assert [request.label for request, _, _ in runner.asked] == [Label.SECRET, Label.PRIVATE]


async def test_a_run_knows_how_long_it_may_be_and_what_is_left_of_its_deadline(two: Line) -> None:
    await two.ask("hello", limits=Limits(deadline_s=10.0))
    await two.ask("hello")
    (runner,) = two.backend.started
    assert [asked[1:] for asked in runner.asked] == [(25, 9.0), (25, None)]  # the load took 1 s


async def test_a_prefill_is_as_fast_as_what_it_really_read() -> None:
    line = build_line(card("m", EchoBehaviour(), 0.9))
    rates = []
    for cached in (0, 20, 58):
        async with line.dispatcher.answer(asking("x " * 60)) as answer:
            await anext(answer.chunks)
            line.backend.started[0].cached_tokens = cached
            await text_of(answer)
        rates.append(answer.outcome().prefill_tok_s)
    assert rates == [pytest.approx(600), pytest.approx(400), None]  # two tokens tell nothing
    await line.pool.close()


async def dead_on_a_gpu() -> Line:
    """A line whose one worker has died and whose GPU memory has not come back."""
    line = build_line(card("m", EchoBehaviour(), 0.9))
    line.memory.gpu = [1000]
    await line.ask("hello")
    (runner,) = line.backend.started
    runner.footprint = Footprint(anon=Bytes(1), gpu=(Bytes(600),))
    line.memory.gpu = [400]
    runner.die()
    await asyncio.sleep(1)
    return line


async def test_closing_does_not_wait_for_gpu_memory_that_never_comes_back() -> None:
    line = await dead_on_a_gpu()
    now = asyncio.get_running_loop().time()
    await line.pool.close()
    assert asyncio.get_running_loop().time() - now < 1.0


async def test_gpu_memory_is_waited_for_until_it_is_seen_to_be_free() -> None:
    line = await dead_on_a_gpu()
    assert line.pool.snapshot()[0].warmth.name == "RECLAIMING"
    line.memory.gpu = [990]
    await asyncio.sleep(1)
    assert line.pool.snapshot()[0].warmth.name != "RECLAIMING"
    await line.pool.close()


async def test_what_a_worker_grows_is_learned(two: Line) -> None:
    await two.ask("hello")
    (runner,) = two.backend.started
    (key,) = two.memory.learned
    assert two.memory.learned[key] == runner.footprint
    grown = Footprint(file=Bytes(1), anon=Bytes(runner.footprint.anon + 5 * MIB))
    two.memory.held[runner.pid] = grown
    await two.ask("again")
    await two.pool.measure()
    assert two.memory.learned[key] == grown
    assert two.pool.snapshot()[0].booked == grown
    two.memory.held[runner.pid] = Footprint(anon=Bytes(GIB))
    await two.pool.measure()  # it has not worked since
    assert two.memory.learned[key] == grown
    assert two.pool.pools(ModelId("good")) == runner.pools


async def test_what_is_booked_and_not_held_yet_is_free_only_once(two: Line) -> None:
    await two.ask("hello")
    (runner,) = two.backend.started
    runner.not_touched = Bytes(20 * MIB)
    two.pool.refresh_budget()
    (booked, *_) = (status.booked for status in two.pool.snapshot() if status.booked.ram)
    assert two.memory.told_held.anon == booked.anon - 20 * MIB


async def test_out_of_memory_ends_in_an_answer_of_a_smaller_load() -> None:
    line = build_line(card("m", EchoBehaviour(load_s=1.0), 0.9))
    line.backend.most_slots = 2
    answers = await asyncio.gather(*(line.ask("hello") for _ in range(10)))
    assert answers == ["hello"] * 10
    (runner,) = line.backend.started
    assert runner.plan.slots == 2
    too_much = line.memory.learned[replace(runner.plan, slots=4).key]
    assert too_much.ram > GIB
    await line.pool.close()


async def test_out_of_memory_twice_tells_everybody_the_same() -> None:
    line = build_line(card("m", EchoBehaviour(load_s=1.0), 0.9))
    line.backend.most_slots = 0
    failures = await asyncio.gather(*(line.ask("hi") for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [LoadFailed] * 3
    assert {str(failure) for failure in failures} == {"m: no memory for 2 slots"}
    assert line.pool.snapshot()[0].booked.ram == 0
    await line.pool.close()
