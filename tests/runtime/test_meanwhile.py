"""Work that waits for the loop's next turn, or is asked for sooner."""

import asyncio

from edgeroute.runtime.meanwhile import Meanwhile


async def test_it_is_done_at_the_next_turn_and_not_before() -> None:
    done: list[str] = []
    Meanwhile(lambda: done.append("worked"))
    done.append("asked")
    await asyncio.sleep(0)
    assert done == ["asked", "worked"]


async def test_it_is_done_once_where_it_is_asked_for_sooner() -> None:
    done: list[str] = []
    work = Meanwhile(lambda: done.append("worked"))
    work.finish()
    assert done == ["worked"]
    work.finish()
    await asyncio.sleep(0)
    assert done == ["worked"]


async def test_what_it_raises_in_its_turn_is_told_and_stops_nobody() -> None:
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail() -> None:
        raise ValueError("a full disk, say")

    Meanwhile(fail)
    await asyncio.sleep(0)
    assert [str(error) for error in told] == ["a full disk, say"]
