"""Answers in text: chats and completions, as stock OpenAI clients ask for them."""

from collections.abc import AsyncIterator

from starlette.requests import Request as HttpRequest

from edgeroute.api.answering import Answering
from edgeroute.api.callers import caller_of
from edgeroute.api.house import House, house_of
from edgeroute.api.reply import EVENTS, Reply, read_body
from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import Chunk, Usage
from edgeroute.runtime.dispatch import Answer
from edgeroute.wire.openai import (
    ChatWriter,
    CompletionWriter,
    Gathered,
    TextCall,
    Writer,
    decode_chat,
    decode_completion,
    encode_error,
    sse,
)

_NO_USAGE = Usage(0, 0)


async def chat_completions(request: HttpRequest) -> "Completion":
    """`POST /v1/chat/completions`."""
    house = house_of(request)
    caller = caller_of(request, house.callers)
    call = decode_chat(await read_body(request), house.new_id(), caller)
    return Completion(house, call, ChatWriter)


async def completions(request: HttpRequest) -> "Completion":
    """`POST /v1/completions`."""
    house = house_of(request)
    caller = caller_of(request, house.callers)
    call = decode_completion(await read_body(request), house.new_id(), caller)
    return Completion(house, call, CompletionWriter)


class Completion(Answering):
    """Answers in text. The status goes out with the first token; an earlier failure has its own."""

    def __init__(self, house: House, call: TextCall, writer: type[Writer]) -> None:
        super().__init__(house, call.request, explain=call.explain)
        self._call = call
        self._writer = writer

    async def _answered(self, reply: Reply, answer: Answer) -> None:
        first = await anext(answer.chunks)
        created = int(self._house.wall_clock())
        writer = self._writer(self._call.request.id, answer.target, created)
        write = self._stream if self._call.request.stream else self._whole
        await write(reply, answer, first, writer)

    async def _whole(self, reply: Reply, answer: Answer, first: Chunk, writer: Writer) -> None:
        gathered = Gathered()
        async for chunk in _again(first, answer.chunks):
            gathered.add(chunk)
        body = writer.whole(gathered, self._extra(answer))
        await reply.whole(body, headers=self._headers(answer))

    async def _stream(self, reply: Reply, answer: Answer, first: Chunk, writer: Writer) -> None:
        await reply.start(200, EVENTS, {"cache-control": "no-cache", **self._headers(answer)})
        unsent = writer.opening(self._call.request.choices)
        ended: list[Chunk] = []
        usage = None
        try:
            async for chunk in _again(first, answer.chunks):
                news = writer.delta(chunk)
                usage = chunk.usage or usage
                if chunk.finish is not None:
                    ended.append(chunk)
                if news:  # of the last piece too: ending an answer takes a third of a millisecond
                    await reply.write(unsent + news)
                    unsent = b""
        except EdgeRouteError as error:  # the status is out: the error is the last event
            await reply.write(unsent + sse(encode_error(error)), more=False)
            return
        told = (usage or _NO_USAGE) if self._call.include_usage else None
        closing = writer.closing(ended, told, self._extra(answer))
        await reply.write(unsent + closing, more=False)


async def _again(first: Chunk, rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    yield first
    async for chunk in rest:
        yield chunk
