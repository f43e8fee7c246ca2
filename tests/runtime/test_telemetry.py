"""How often the machine is looked at: all of it, its memory alone, and its meters."""

import asyncio

import pytest

from edgeroute.domain.calibration import Calibration
from edgeroute.domain.load import EchoBehaviour
from edgeroute.runtime.memory_watch import watch_memory
from edgeroute.runtime.sessions import Sessions
from edgeroute.runtime.telemetry import TelemetryFeed
from tests.runtime.conftest import FakeSensors, build_line, card

pytestmark = pytest.mark.looptime


async def test_telemetry_is_read_every_five_seconds_and_faster_while_something_is_generated() -> (
    None
):
    loop, generating, told = asyncio.get_running_loop(), [False], list[float]()

    async def changed() -> None:
        told.append(round(loop.time() - began, 1))

    began = loop.time()
    feed = TelemetryFeed(FakeSensors(), changed, lambda: generating[0])
    running = asyncio.create_task(feed.run())
    await asyncio.sleep(10.5)
    generating[0] = True
    await asyncio.sleep(7)
    generating[0] = False
    await asyncio.sleep(10)
    running.cancel()
    assert told == [5.0, 10.0, 15.0, 16.0, 17.0, 18.0, 23.0]


async def test_memory_is_looked_at_by_the_second_where_a_model_holds_some() -> None:
    line = build_line(card("m", EchoBehaviour(), 0.9))
    looks = line.memory.loading
    before = len(looks)
    watching = asyncio.create_task(watch_memory(line.pool, Sessions(lambda: 0)))
    await asyncio.sleep(10.5)
    assert len(looks) == before + 2
    await line.ask("hello")
    await asyncio.sleep(5)  # what was slept already is slept to its end
    before = len(looks)
    await asyncio.sleep(10)
    assert len(looks) == before + 10
    watching.cancel()
    await line.pool.close()


async def test_speed_is_told_against_what_was_calibrated() -> None:
    """An echo draws a hundred tokens a second; calibrated, it drew twice as many."""
    model = card("m", EchoBehaviour(tok_s=100.0), 0.9)
    line = build_line(model)
    assert line.roster.speed() is None
    await line.ask("hello")
    seen = line.roster.rates(model.id).decode_tok_s
    row = Calibration(2, True, 900.0, 2 * seen, 100.0, 0.1, 200.0, 0.1, counted=False)
    line.roster.replace_cards([model], {model.id: line.roster.rates(model.id)}, lambda _: row)
    assert line.roster.speed() == pytest.approx(0.5)
    await line.pool.close()
