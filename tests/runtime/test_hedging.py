"""Hedges: a second target where the first is late, seldom, no farther away, never on battery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edgeroute.domain.errors import DestinationFailed, DestinationUnreachable
from edgeroute.domain.features import Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import Request
from edgeroute.domain.target import Target
from edgeroute.domain.units import ModelId
from tests.fakes import FakeProvider
from tests.runtime.conftest import Line, asking, build_line, probed, text_of
from tests.runtime.test_elsewhere import CLOUD

pytestmark = pytest.mark.looptime

OTHER = replace(CLOUD, id=ModelId("far/big"), scores=dict.fromkeys(Task, 0.9))
NEAR = replace(CLOUD, zone=Zone.PEER)


def public() -> Request:
    return replace(asking("two plus two"), label=Label.PUBLIC)


@asynccontextmanager
async def known(
    first: Target = CLOUD, other: Target = OTHER
) -> AsyncIterator[tuple[Line, FakeProvider, FakeProvider]]:
    """Two providers, the first so often asked that it is known when it is late."""
    box, far = FakeProvider(first), FakeProvider(other, name="far")
    async with probed(build_line(providers=[box, far])) as line:
        for number in range(30):
            box.takes_s = 0.9 if number < 2 else 0.5  # so that 0.9 s is what 19 in 20 stay within
            assert await asked(line) == "box/big"
        assert not far.sent
        yield line, box, far


async def asked(line: Line, request: Request | None = None) -> str:
    async with line.dispatcher.answer(request or public()) as answer:
        assert await text_of(answer) == "from afar"
        return answer.target


async def test_where_the_first_is_late_who_speaks_first_answers() -> None:
    async with known() as (line, box, far):
        box.takes_s = 30.0
        assert await asked(line) == "far/big"
        outcome = line.observer.outcomes[-1]
        assert [(a.target, a.error, a.reason) for a in outcome.attempts] == [
            ("box/big", "outrun", "planned"),
            ("far/big", None, "hedge"),
        ]
        assert outcome.total_s == pytest.approx(0.9 + 0.5, abs=0.01)
        assert len(far.sent) == 1
        assert not line.book.holds  # who was outrun is settled
        assert (box.probes, far.probes) == (2, 1)  # whether anybody is there, was looked at


async def test_the_late_one_may_still_win() -> None:
    async with known() as (line, box, far):
        box.takes_s, far.takes_s = 1.1, 30.0
        assert await asked(line) == "box/big"
        errors = [attempt.error for attempt in line.observer.outcomes[-1].attempts]
        assert errors == [None, "outrun"]


async def test_hedges_are_few() -> None:
    async with known() as (line, box, far):
        for number in range(60):
            box.takes_s = 0.5 if number % 2 else 2.0
            await asked(line)
        assert 2 <= len(far.sent) <= 2 + 0.05 * 90 + 1


async def test_nobody_is_asked_besides_who_is_farther_away() -> None:
    async with known(first=NEAR) as (line, box, far):
        box.takes_s = 30.0
        assert await asked(line) == "box/big"
        assert not far.sent


async def test_never_on_battery_and_never_for_who_does_not_wait() -> None:
    async with known() as (line, box, far):
        box.takes_s = 3.0
        assert await asked(line, replace(public(), priority="background")) == "box/big"
        line.telemetry.now = replace(line.telemetry.now, power=Power("discharging", 50.0))
        assert await asked(line) == "box/big"
        assert not far.sent


async def test_a_first_that_fails_while_both_are_asked_leaves_it_to_the_other() -> None:
    async with known() as (line, box, far):
        box.takes_s, box.fails = 1.2, DestinationFailed("box failed (500)")
        far.takes_s = 2.0
        assert await asked(line) == "far/big"
        errors = [attempt.error for attempt in line.observer.outcomes[-1].attempts]
        assert errors == ["destination_failed", None]


async def test_both_failing_is_the_first_ones_failure() -> None:
    async with known() as (line, box, far):
        box.takes_s, box.fails = 1.2, DestinationFailed("box failed (500)")
        far.fails = DestinationFailed("far failed (500)")
        request = public()
        with pytest.raises(DestinationFailed, match="failed"):
            await asked(line, request)
        reasons = [attempt.reason for attempt in line.observer.outcomes[-1].attempts]
        assert reasons == ["planned", "hedge", "repeat"]


async def test_hanging_up_ends_both() -> None:
    async with known() as (line, box, far):
        box.takes_s = far.takes_s = 30.0
        asking_it = asyncio.create_task(asked(line))
        await asyncio.sleep(1.5)
        assert len(far.sent) == 1
        asking_it.cancel()
        await asyncio.gather(asking_it, return_exceptions=True)
        assert not line.book.holds
        box.takes_s = 0.5
        assert await asked(line) == "box/big"


async def test_who_waits_for_one_that_is_gone_needs_no_budget() -> None:
    async with known() as (line, box, _far):
        box.takes_s = 30.0
        for _ in range(2):  # all that the budget has
            assert await asked(line) == "far/big"
        box.down = DestinationUnreachable("box cannot be reached")
        assert await asked(line) == "far/big"
        outcome = line.observer.outcomes[-1]
        assert [attempt.error for attempt in outcome.attempts] == ["outrun", None]
        late_s, look_s, answer_s = 0.9, 0.1, 0.5
        assert outcome.total_s == pytest.approx(late_s + look_s + answer_s, abs=0.06)
