"""A paired machine is a guest: it gets what is left over, and nothing is kept of it."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from edgeroute.domain.errors import InvalidRequest, NoTarget, Overloaded, UnknownModel
from edgeroute.domain.hardware import Power
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.privacy import Label
from edgeroute.domain.units import GIB, Bytes, RequestId
from edgeroute.residency.settings import Settings
from edgeroute.runtime.guests import MOST_AT_ONCE, MOST_OF_ALL, Guests
from edgeroute.runtime.telemetry import TelemetryFeed
from edgeroute.wire.link import Offer
from edgeroute.wire.openai import encode_json
from tests.fakes import FakeProvider
from tests.runtime.conftest import FakeSensors, Line, asking, build_line, card, text_of
from tests.runtime.test_elsewhere import CLOUD

pytestmark = pytest.mark.looptime


def guests_of(line: Line, *, share: bool = True, power: Power | None = None) -> Guests:
    feed = TelemetryFeed(FakeSensors(), line.pool.measure, lambda: False)
    if power is not None:
        feed.now = replace(feed.now, power=power)
    clock = asyncio.get_running_loop().time
    return Guests(line.pool, line.roster, feed, lambda: RequestId("g"), clock, share=share)


def body(model: str = "own", **fields: object) -> bytes:
    said = {"model": model, "messages": [{"role": "user", "content": "two plus two"}]}
    return encode_json({**said, **fields})


def offer_of(guests: Guests, guest: str = "a1") -> Offer:
    return guests.offers([guest])[guest]


async def answered(guests: Guests, said: bytes) -> str:
    async with aclosing(guests.answer("a1", "chat", said)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


async def test_a_guest_is_answered_behind_the_owner_and_nothing_is_kept_of_it() -> None:
    line = build_line(card("own", EchoBehaviour(), 0.9))
    assert await answered(guests_of(line), body(edgeroute={"label": "secret"}))
    (runner,) = line.backend.started
    ((request, _, left_s),) = runner.asked
    assert (request.app, request.priority, left_s) == ("peer:a1", "background", None)
    assert request.label is Label.PRIVATE
    assert line.journal.decisions == line.journal.outcomes == {}
    assert line.journal.uses == []
    assert line.observer.outcomes == []
    await line.pool.close()


async def test_a_guest_gets_nothing_but_this_machines_own_models() -> None:
    sink = FakeProvider(CLOUD)
    line = build_line(card("own", EchoBehaviour(), 0.9), providers=[sink])
    guests = guests_of(line)
    assert [model.id for model in offer_of(guests).models] == ["own"]
    for name in ("auto", "box/big", "nobody"):
        with pytest.raises(UnknownModel):
            await answered(guests, body(name, edgeroute={"label": "public"}))
    assert sink.sent == []
    await line.pool.close()


async def test_a_guest_pushes_no_model_of_the_owners_out() -> None:
    big = EchoBehaviour(load_s=5.0, anon=Bytes(700 << 20))
    line = build_line(card("own", big, 0.9), card("other", big, 0.5), ram=GIB)
    guests = guests_of(line)
    assert {model.id for model in offer_of(guests).models} == {"own", "other"}
    async with line.dispatcher.answer(asking("two plus two")) as answer:
        await text_of(answer)
    assert answer.target == "own"
    assert [(m.id, m.warm) for m in offer_of(guests).models] == [("own", True)]
    with pytest.raises(NoTarget, match="push out"):
        await answered(guests, body("other"))
    assert await answered(guests, body("own"))
    await line.pool.close()


@pytest.mark.parametrize(
    ("share", "power", "why"),
    [
        (False, None, "does not share"),
        (True, Power("discharging", 80.0), "on battery"),
    ],
)
async def test_a_machine_that_does_not_share_offers_nothing_and_answers_nothing(
    *, share: bool, power: Power | None, why: str
) -> None:
    line = build_line(card("own", EchoBehaviour(), 0.9))
    guests = guests_of(line, share=share, power=power)
    offer = offer_of(guests)
    assert offer.models == ()
    assert why in offer.withheld
    assert offer.on_battery is (power is not None)
    with pytest.raises(NoTarget, match=why):
        await answered(guests, body())
    await line.pool.close()


async def test_a_guest_has_so_many_questions_here_and_no_more() -> None:
    line = build_line(card("own", EchoBehaviour(tok_s=1.0), 0.9))
    guests = guests_of(line)
    running = [asyncio.create_task(answered(guests, body())) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0.1)
    with pytest.raises(Overloaded):
        await answered(guests, body())
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert await answered(guests, body())
    await line.pool.close()


async def test_hanging_up_ends_a_guests_answer_and_its_lease() -> None:
    line = build_line(card("own", EchoBehaviour(tok_s=1.0), 0.9))
    guests = guests_of(line)
    task = asyncio.create_task(answered(guests, body()))
    await asyncio.sleep(0.1)
    assert line.pool.snapshot()[0].leases == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert line.pool.snapshot()[0].leases == 0
    await line.pool.close()


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", body(max_tokens=-1), body(n=10**9), body(temperature="hot")]
)
async def test_a_guests_nonsense_is_refused_as_anybodys(said: bytes) -> None:
    line = build_line(card("own", EchoBehaviour(), 0.9))
    with pytest.raises(InvalidRequest):
        await answered(guests_of(line), said)
    await line.pool.close()


async def test_what_hardly_changes_is_not_told_again() -> None:
    line = build_line(card("own", EchoBehaviour(), 0.9))
    guests = guests_of(line)
    async with line.dispatcher.answer(asking("two plus two")) as answer:
        await text_of(answer)
    before = offer_of(guests)
    assert offer_of(guests) == before
    (model,) = before.models
    assert len(f"{model.decode_tok_s:g}".strip("0.").replace(".", "")) <= 2
    await line.pool.close()


def lent(guests: Guests, *names: str) -> dict[str, int]:
    """Slots of the one model that each is told to count on."""
    return {name: offer.models[0].lent for name, offer in guests.offers(names).items()}


async def test_no_free_slot_is_lent_to_two_guests() -> None:
    line = build_line(card("own", EchoBehaviour(tok_s=1.0), 0.9), slots=5)
    guests = guests_of(line)
    assert lent(guests, "a1", "b2", "c3") == {"a1": 2, "b2": 2, "c3": 1}
    running = [asyncio.create_task(answered(guests, body())) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert lent(guests, "a1", "b2", "c3") == {"a1": 3, "b2": 0, "c3": 0}  # who asks, gets
    owner = asyncio.create_task(_owners(line))
    await asyncio.sleep(0.1)
    assert lent(guests, "a1", "b2", "c3") == {"a1": 2, "b2": 0, "c3": 0}
    for task in (*running, owner):
        task.cancel()
    await asyncio.gather(*running, owner, return_exceptions=True)
    assert lent(guests, "a1", "b2") == {"a1": 5, "b2": 0}
    await asyncio.sleep(11.0)
    assert lent(guests, "a1", "b2") == {"a1": 3, "b2": 2}
    await line.pool.close()


async def _owners(line: Line) -> None:
    async with line.dispatcher.answer(asking("two plus two")) as answer:
        await text_of(answer)


async def test_all_guests_together_leave_room_in_the_queue_for_its_owner() -> None:
    assert Settings().queue_limit > MOST_OF_ALL
    line = build_line(card("own", EchoBehaviour(tok_s=1.0), 0.9))
    guests = guests_of(line)

    async def crowd(name: str) -> None:
        async with aclosing(guests.answer(name, "chat", body())) as chunks:
            async for _ in chunks:
                pass

    names = [f"g{number % 3}" for number in range(MOST_OF_ALL)]
    running = [asyncio.create_task(crowd(name)) for name in names]
    await asyncio.sleep(0.1)
    with pytest.raises(Overloaded, match="of guests are here"):
        await crowd("g3")
    await asyncio.wait_for(_owners(line), 60)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await line.pool.close()
