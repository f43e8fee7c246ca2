"""What a worker says meets who reads it: nothing is lost, nothing is waited for twice."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.backends.stream import Stream
from edgeroute.domain.errors import WorkerDied
from edgeroute.domain.request import Usage
from edgeroute.wire.frames import Finished

END = Finished(1, "stop", Usage(1, 2))


async def read(stream: Stream) -> list[str]:
    taken = []
    while True:
        taken.append(await stream.take())
        if stream.ending is not None:
            return taken


async def test_what_arrived_together_is_taken_together_with_the_end() -> None:
    stream = Stream()
    for piece in ("one", " two", " three"):
        stream.put(piece)
    stream.end(END)
    assert await read(stream) == ["one two three"]
    assert stream.ending is END


async def test_a_reader_waits_for_text_and_gets_it_at_once() -> None:
    stream = Stream()
    reading = asyncio.ensure_future(stream.take())
    await asyncio.sleep(0)
    assert not reading.done()
    stream.put("one")
    assert await reading == "one"
    assert (stream.begun, stream.ending) == (True, None)


async def test_a_reader_that_left_is_not_woken() -> None:
    stream = Stream()
    reading = asyncio.ensure_future(stream.take())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    stream.put("one")
    assert await stream.take() == "one"


async def test_the_first_word_on_how_it_ended_counts() -> None:
    stream = Stream()
    stream.end(END)
    stream.end(WorkerDied("later"))
    assert await stream.take() == ""
    assert stream.ending is END


@given(st.lists(st.none() | st.text(min_size=1)))
def test_all_text_comes_once_and_in_order(script: list[str | None]) -> None:
    """`None` lets the reader have its turn."""

    async def run() -> list[str]:
        stream = Stream()
        reading = asyncio.ensure_future(read(stream))
        for step in script:
            if step is None:
                await asyncio.sleep(0)
            else:
                stream.put(step)
        stream.end(END)
        return await reading

    assert "".join(asyncio.run(run())) == "".join(step for step in script if step)
