"""What a worker says meets who reads it: nothing is lost, nothing is waited for twice."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.backends.stream import Stream
from edgeroute.domain.errors import Overloaded, WorkerDied
from edgeroute.domain.request import Chunk, TokenLogprob, ToolCallPiece, Usage

USED = Usage(1, 2, 0.5, 1.0)


async def read(stream: Stream) -> list[Chunk]:
    taken: list[Chunk] = []
    while not stream.over:
        taken += await stream.take()
    return taken


async def test_what_arrived_together_is_taken_together_with_the_end() -> None:
    stream = Stream()
    for piece in ("one", " two", " three"):
        stream.put(piece)
    stream.end("stop", USED)
    assert await stream.take() == [Chunk("one two three", "stop", USED)]
    assert stream.over


async def test_a_reader_waits_for_text_and_gets_it_at_once() -> None:
    stream = Stream()
    reading = asyncio.ensure_future(stream.take())
    await asyncio.sleep(0)
    assert not reading.done()
    stream.put("one")
    assert await reading == [Chunk("one")]
    assert (stream.begun, stream.over) == (True, False)


async def test_what_came_behind_a_readers_back_is_still_to_be_taken() -> None:
    stream = Stream()
    stream.put("one")
    assert await stream.take() == [Chunk("one")]
    stream.put(" two")
    stream.end("stop", USED)
    told = [stream.over, await stream.take(), stream.over]
    assert told == [False, [Chunk(" two", "stop", USED)], True]
    broken = Stream()
    broken.put("said")
    broken.fail(WorkerDied("x"))
    assert [broken.over, await broken.take(), broken.over] == [False, [Chunk("said")], True]


async def test_a_reader_that_left_is_not_woken() -> None:
    stream = Stream()
    reading = asyncio.ensure_future(stream.take())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    stream.put("one")
    assert await stream.take() == [Chunk("one")]


async def test_the_first_word_on_how_it_failed_counts() -> None:
    stream = Stream()
    stream.fail(Overloaded("first"))
    stream.fail(WorkerDied("later"))
    assert await stream.take() == []
    assert isinstance(stream.failure, Overloaded)
    ended = Stream()
    ended.end("stop", USED)
    ended.fail(WorkerDied("later"))
    assert ended.failure is None


async def test_the_last_of_several_answers_tells_what_all_of_them_took() -> None:
    stream = Stream(choices=2)
    stream.put("a", 0)
    stream.put("b", 1)
    stream.end("length", Usage(9, 2, 0.5, 1.0, cached_tokens=4), 1)
    assert await stream.take() == [Chunk("a"), Chunk("b", "length", choice=1)]
    assert (stream.over, stream.running) == (False, {0})
    stream.end("stop", Usage(9, 3, 0.25, 2.0, cached_tokens=9), 0)
    assert await stream.take() == [Chunk("", "stop", Usage(9, 5, 0.5, 3.0, cached_tokens=4))]


async def test_calls_probabilities_and_vectors_come_with_the_text() -> None:
    stream = Stream()
    call, told = ToolCallPiece(0, "c1", "weather"), TokenLogprob(b"a", -0.5)
    stream.put("a")
    stream.put_call(call)
    stream.put_logprob(told)
    stream.put_vectors((b"1234",))
    expected = Chunk("a", tool_calls=(call,), logprobs=(told,), embeddings=(b"1234",))
    assert await stream.take() == [expected]


async def test_what_was_computed_is_told_with_what_comes_next_and_once() -> None:
    stream = Stream()
    stream.work(1.5)
    assert not stream.begun
    stream.work(0.5)
    stream.put("one")
    assert await stream.take() == [Chunk("one", worked_s=2.0)]
    stream.end("stop", USED)
    assert await stream.take() == [Chunk("", "stop", USED)]


@given(st.lists(st.none() | st.text(min_size=1)))
def test_all_text_comes_once_and_in_order(script: list[str | None]) -> None:
    """`None` lets the reader have its turn."""

    async def run() -> list[Chunk]:
        stream = Stream()
        reading = asyncio.ensure_future(read(stream))
        for step in script:
            if step is None:
                await asyncio.sleep(0)
            else:
                stream.put(step)
        stream.end("stop", USED)
        return await reading

    assert "".join(chunk.text for chunk in asyncio.run(run())) == "".join(
        step for step in script if step
    )
