"""What is counted on at a peer: the slots that it lent, what was sent there since, and no more."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from edgeroute.domain.features import Features, Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.runtime.asking import Asking, Means
from edgeroute.runtime.places import Places
from edgeroute.runtime.second_tries import SecondTries
from tests.fakes import FakeProvider
from tests.runtime.conftest import Line, asking, build_line, card

pytestmark = pytest.mark.looptime

PEER = Target(
    id=ModelId("desk/big"),
    zone=Zone.PEER,
    context=8192,
    parameters=10**9,
    rates=Rates(0.0, 400.0, 40.0, 0.0, measured=True, latency_s=0.001),
    warmth=Warmth.WARM,
    max_label=Label.PRIVATE,
    slots=4,
    lent=2,
)


def queued(line: Line) -> int:
    roster = line.roster.current()
    return roster.targets[roster.ids.index(PEER.id)].queued_tokens


async def line_with(peer: Target) -> Line:
    return build_line(card("own", EchoBehaviour(), 0.1), providers=[FakeProvider(peer)])


async def test_there_is_no_queue_as_long_as_a_slot_is_lent() -> None:
    line = await line_with(PEER)
    roster = line.roster
    assert queued(line) == 0
    with roster.in_flight(PEER.id, 80):
        assert queued(line) == 0
        with roster.in_flight(PEER.id, 80):
            assert queued(line) == 20  # one waits, four slots work it off
            with roster.in_flight(PEER.id, 80):
                assert queued(line) == 40
        assert queued(line) == 0
    await line.pool.close()


async def test_what_it_told_of_its_queue_grows_by_what_was_sent_since() -> None:
    line = await line_with(replace(PEER, lent=1, queued_tokens=100))
    assert queued(line) == 84  # one of those that it told of is ours, and has ended
    with line.roster.in_flight(PEER.id, 80):
        assert queued(line) == 100
        with line.roster.in_flight(PEER.id, 80):
            assert queued(line) == 120
    await line.pool.close()


async def test_who_lends_nothing_is_not_free() -> None:
    line = await line_with(replace(PEER, lent=0))
    assert queued(line) == 16
    await line.pool.close()


async def test_requests_that_come_at_once_do_not_count_on_the_same_slot() -> None:
    """From the decision on: what is asked in a task of its own has sent nothing yet by then."""
    line = await line_with(replace(PEER, lent=1))
    clock = asyncio.get_running_loop().time
    means = Means(cast(Places, None), line.roster, SecondTries(lambda: 0.5), clock)
    features = Features(Task.MATH, 0.9, prompt_tokens=10, output_tokens=80)
    decided = Asking(means, asking("two plus two"), features, PEER.id)
    assert queued(line) == 20
    await decided.end(None, None, None)
    assert queued(line) == 0
    await line.pool.close()
