"""Targets elsewhere: used only where they may be, left alone while they are not there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edgeroute.domain.errors import (
    ContextExceeded,
    DestinationRefused,
    DestinationUnreachable,
    EdgeRouteError,
    NoTarget,
    Overloaded,
    ShuttingDown,
    UnknownModel,
)
from edgeroute.domain.features import Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import Request
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from tests.fakes import FakeProvider
from tests.runtime.conftest import AFAR, Line, asking, build_line, card, probed, text_of

pytestmark = pytest.mark.looptime

CLOUD = Target(
    id=ModelId("box/big"),
    zone=Zone.CLOUD,
    context=8192,
    parameters=70_000_000_000,
    rates=Rates(0.0, 3000.0, 80.0, 0.0, latency_s=0.6),
    warmth=Warmth.WARM,
    max_label=Label.PUBLIC,
    usd_in_per_mtok=0.5,
    usd_out_per_mtok=1.5,
    scores=dict.fromkeys(Task, 0.95),
)


def public(prompt: str) -> Request:
    return replace(asking(prompt), label=Label.PUBLIC)


@asynccontextmanager
async def beside(provider: FakeProvider, local_quality: float = 0.5) -> AsyncIterator[Line]:
    """A line with a fair model of its own and a provider that has been probed."""
    own = card("own", EchoBehaviour(), local_quality)
    async with probed(build_line(own, providers=[provider])) as line:
        yield line
    assert provider.closed


async def outcome_of(line: Line, request: Request) -> tuple[str, str | None]:
    async with line.dispatcher.answer(request) as answer:
        return await text_of(answer), answer.target


# ---- eligibility ------------------------------------------------------------------------------


async def test_a_public_question_goes_to_the_better_target_elsewhere_and_is_paid() -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        assert await outcome_of(line, public("two plus two")) == ("from afar", "box/big")
        (payload,) = sink.sent
        assert (payload.target, payload.label) == ("box/big", Label.PUBLIC)
        assert b"two plus two" in payload.body
        (outcome,) = line.observer.outcomes
        assert outcome.usd == pytest.approx((1000 * 0.5 + 2000 * 1.5) / 1e6)
        assert not outcome.estimated
        assert [(a.target, a.error) for a in outcome.attempts] == [("box/big", None)]


async def test_its_joules_are_the_worlds_and_not_this_devices() -> None:
    async with beside(FakeProvider(CLOUD)) as line:
        async with line.dispatcher.answer(public("two plus two")) as answer:
            expected = answer.decision.chosen.estimate
            await text_of(answer)
        spent = line.observer.outcomes[0].spent
        assert spent is not None
        assert spent.device.joules == 0.0
        told = AFAR.energy(line.observer.outcomes[0].completion_tokens)
        assert (spent.system.low, spent.system.joules, spent.system.high) == (
            told.low, told.joules, told.high,
        )  # fmt: skip
        assert spent.system.quality == "model"
        assert expected.system.low < expected.system.joules < expected.system.high


@pytest.mark.parametrize("label", [Label.INTERNAL, Label.PRIVATE, Label.SECRET])
async def test_a_more_private_question_never_reaches_it(label: Label) -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        request = replace(asking("two plus two"), label=label)
        assert await outcome_of(line, request) == ("two plus two", "own")
        named = replace(request, model="box/big")
        with pytest.raises(NoTarget, match=r"may see up to public|secret never leaves"):
            await outcome_of(line, named)
    assert sink.sent == []


async def test_what_stays_on_the_device_never_reaches_it() -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        request = public("two plus two")
        stays = replace(request, limits=replace(request.limits, on_device="only"))
        assert (await outcome_of(line, stays))[1] == "own"
    assert sink.sent == []


async def test_what_the_reader_missed_is_found_at_the_gate_and_answered_here() -> None:
    """The understanding of these tests finds nothing but the word `password`."""
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        key = "my key is AKIAIOSFODNN7EXAMPLE"
        assert await outcome_of(line, public(key)) == (key, "own")
        (outcome,) = line.observer.outcomes
        assert [(a.target, a.error) for a in outcome.attempts] == [
            ("box/big", "label_exceeded"),
            ("own", None),
        ]
    assert sink.sent == []


# ---- fail-over and health ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [DestinationUnreachable("x"), DestinationRefused("x"), Overloaded("x"), ContextExceeded("x")],
    ids=lambda error: str(error.code),
)
async def test_before_the_first_token_the_next_target_takes_over(error: EdgeRouteError) -> None:
    sink = FakeProvider(CLOUD)
    sink.fails = error
    async with beside(sink) as line:
        assert await outcome_of(line, public("two plus two")) == ("two plus two", "own")
        (outcome,) = line.observer.outcomes
        assert outcome.attempts[0].error == error.code
        assert not outcome.usd


async def test_after_the_first_token_a_failure_is_shown_and_paid_by_estimate() -> None:
    sink = FakeProvider(CLOUD)
    sink.breaks = DestinationUnreachable("box broke off")
    async with beside(sink) as line:
        async with line.dispatcher.answer(public("two plus two")) as answer:
            assert (await anext(answer.chunks)).text == "from "
            with pytest.raises(DestinationUnreachable):
                await anext(answer.chunks)
        (outcome,) = line.observer.outcomes
        assert (outcome.ending, outcome.estimated) == ("error", True)
        assert outcome.usd is not None
        assert outcome.usd > 0


async def test_who_is_not_there_is_known_within_one_probe_and_asked_by_nobody() -> None:
    sink = FakeProvider(CLOUD)
    sink.down = DestinationUnreachable("box cannot be reached")
    async with beside(sink) as line:
        for _ in range(3):
            assert (await outcome_of(line, public("hello")))[1] == "own"
        assert sink.sent == []
        (status,) = line.providers.status()
        assert (status["reachable"], status["reason"]) == (False, "box cannot be reached")
        named = replace(public("hello"), model="box/big")
        with pytest.raises(NoTarget, match="tried again in") as caught:
            await outcome_of(line, named)
        assert caught.value.http_status == 503
        assert caught.value.retry_after_s is not None


async def test_who_comes_back_is_noticed_within_five_seconds() -> None:
    sink = FakeProvider(CLOUD)
    sink.down = DestinationUnreachable("x")
    async with beside(sink) as line:
        await asyncio.sleep(60.0)
        assert sink.probes <= 15
        sink.down = None
        await asyncio.sleep(5.2)
        assert (await outcome_of(line, public("hello")))[1] == "box/big"


async def test_a_change_of_the_network_is_a_reason_to_look_again() -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        sink.down = DestinationUnreachable("no route")
        changes: asyncio.Queue[str] = asyncio.Queue()

        async def told() -> AsyncIterator[None]:
            while True:
                await changes.get()
                yield

        following = asyncio.create_task(line.providers.follow(told()))
        await asyncio.sleep(30.0)
        probes = sink.probes
        changes.put_nowait("a route")
        await asyncio.sleep(0.2)
        assert sink.probes == probes + 1  # nobody had to ask to know
        assert (await outcome_of(line, public("hello")))[1] == "own"
        sink.down = None
        await asyncio.sleep(3.0)
        changes.put_nowait("a route")
        await asyncio.sleep(0.2)
        assert (await outcome_of(line, public("hello")))[1] == "box/big"
        assert len(sink.sent) == 1
        sink.down = DestinationUnreachable("no route")
        changes.put_nowait("a route, as soon as it was looked for")
        await asyncio.sleep(1.0)
        assert (await outcome_of(line, public("hello")))[1] == "own"
        assert len(sink.sent) == 1
        following.cancel()


async def test_a_question_that_finds_it_gone_tells_all_others() -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        await asyncio.sleep(30.0)
        sink.down = DestinationUnreachable("x")
        for _ in range(3):
            assert (await outcome_of(line, public("hello")))[1] == "own"
        assert len(sink.sent) == 1
        sink.down = None
        await asyncio.sleep(5.2)
        assert (await outcome_of(line, public("hello")))[1] == "box/big"


async def test_who_refuses_the_key_is_left_alone_for_a_minute() -> None:
    sink = FakeProvider(CLOUD)
    sink.down = DestinationRefused("box refused the key")
    async with beside(sink):
        await asyncio.sleep(50.0)
        assert sink.probes == 1
        await asyncio.sleep(15.0)
        assert sink.probes == 2


async def test_a_target_that_asks_for_rest_has_it_and_its_neighbour_works() -> None:
    other = replace(CLOUD, id=ModelId("box/other"), scores=dict.fromkeys(Task, 0.9))
    sink = FakeProvider(CLOUD, other)
    async with beside(sink) as line:
        sink.fails = Overloaded("busy", retry_after_s=20.0)
        await outcome_of(line, replace(public("hello"), model="auto"))
        sink.fails = None
        sent = len(sink.sent)
        assert sent == 2  # the other rests too now
        assert (await outcome_of(line, public("hello")))[1] == "own"
        assert len(sink.sent) == sent
        await asyncio.sleep(21.0)
        assert (await outcome_of(line, public("hello")))[1] == "box/big"
        sink.fails = UnknownModel("gone")
        await outcome_of(line, public("hello"))
        sink.fails = None
        assert (await outcome_of(line, public("hello")))[1] == "own"


async def test_what_a_target_needs_to_begin_is_learnt() -> None:
    async with beside(FakeProvider(CLOUD)) as line:
        line.roster.current()
        assert line.roster.rates(CLOUD.id).latency_s == 0.6
        for _ in range(30):
            await outcome_of(line, public("hello"))
        learnt = line.roster.rates(CLOUD.id)
        assert learnt.latency_s == pytest.approx(0.5 - 1000 / 3000, abs=0.01)
        assert learnt.decode_tok_s == pytest.approx(1999.0, rel=0.01)


@pytest.mark.parametrize("zone", [Zone.CLOUD, Zone.PEER])
async def test_what_was_learnt_is_as_if_all_were_laid_out_again(zone: Zone) -> None:
    told = replace(CLOUD.rates, measured=True)
    target = replace(CLOUD, zone=zone, rates=told, max_label=Label.SECRET)
    async with beside(FakeProvider(target)) as line:
        for name in (CLOUD.id, "own"):
            before = line.roster.current()
            await line.ask("hello", model=name)
            learnt = line.roster.current()
            line.roster._changes += 1  # lays all out anew
            assert learnt.targets == line.roster.current().targets
            assert zone is Zone.PEER or learnt.targets != before.targets


async def test_a_draining_daemon_sends_nothing() -> None:
    sink = FakeProvider(CLOUD)
    async with beside(sink) as line:
        line.pool.drain(1.0)
        with pytest.raises(ShuttingDown):
            await outcome_of(line, public("hello"))
    assert sink.sent == []


async def test_after_two_failures_elsewhere_the_last_to_be_asked_is_a_model_of_ones_own() -> None:
    """Whatever else is planned before it: the network may be the reason."""
    far = [
        FakeProvider(replace(CLOUD, id=ModelId(f"{name}/big")), name=name)
        for name in ("one", "two", "three")
    ]
    for provider in far:
        provider.fails = Overloaded("too many questions", retry_after_s=60.0)
    own = card("own", EchoBehaviour(), 0.5)
    async with probed(build_line(own, providers=far)) as line:
        async with line.dispatcher.answer(public("two plus two")) as answer:
            planned = [ranked.target for ranked in answer.decision.plan]
            assert await text_of(answer) == "two plus two"
        assert planned.index(ModelId("own")) == 3
        attempts = line.observer.outcomes[-1].attempts
        assert [attempt.target for attempt in attempts] == [*planned[:2], "own"]
