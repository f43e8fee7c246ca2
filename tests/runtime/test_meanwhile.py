"""Work that waits for a while, or is asked for sooner."""

import asyncio

from edgeroute.runtime.meanwhile import Meanwhile

_NEVER_S = 3600.0


async def test_it_is_done_in_its_time_and_not_before() -> None:
    done: list[str] = []
    worked = asyncio.Event()

    def work() -> None:
        done.append("worked")
        worked.set()

    Meanwhile(0.0, work)
    done.append("asked")
    await worked.wait()
    assert done == ["asked", "worked"]


async def test_it_is_done_once_where_it_is_asked_for_sooner() -> None:
    done: list[str] = []
    work = Meanwhile(0.0, lambda: done.append("worked"))
    work.finish()
    assert done == ["worked"]
    work.finish()
    later = asyncio.Event()
    Meanwhile(0.0, later.set)  # whose turn is after the first one's
    await later.wait()
    assert done == ["worked"]


async def test_nobody_waits_for_its_time_who_asks_for_it() -> None:
    done: list[str] = []
    Meanwhile(_NEVER_S, lambda: done.append("worked")).finish()
    assert done == ["worked"]


async def test_what_it_raises_in_its_turn_is_told_and_stops_nobody() -> None:
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail() -> None:
        raise ValueError("a full disk, say")

    Meanwhile(0.0, fail)
    later = asyncio.Event()
    Meanwhile(0.0, later.set)
    await later.wait()
    assert [str(error) for error in told] == ["a full disk, say"]
