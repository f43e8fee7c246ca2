"""`/v1`: chat completions and the list of models, as stock OpenAI clients speak them."""

from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from edgeroute.api import methods
from edgeroute.api.account import account
from edgeroute.api.head import head_of
from edgeroute.api.house import House, house_of
from edgeroute.api.reply import EVENTS, JSON, Produced, Reply, header_safe, read_body
from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import Chunk, Usage
from edgeroute.runtime.dispatch import Answer
from edgeroute.wire.openai import (
    ChatCall,
    ChatWriter,
    Gathered,
    decode_chat,
    encode_error,
    encode_json,
    sse,
)

_NO_USAGE = Usage(0, 0)


async def models(request: HttpRequest) -> Response:
    """`GET /v1/models`: `auto`, then every model by name."""
    return Response(encode_json(await methods.models(house_of(request), b"")), media_type=JSON)


async def completions(request: HttpRequest) -> "Completion":
    """`POST /v1/chat/completions`."""
    house = house_of(request)
    return Completion(house, decode_chat(await read_body(request), house.new_id()))


class Completion(Produced):
    """One answer. Its status goes out with the first token, so an earlier failure has its own."""

    def __init__(self, house: House, call: ChatCall) -> None:
        super().__init__(self._answer, {"x-edgeroute-id": call.request.id})
        self._house = house
        self._call = call

    async def _answer(self, reply: Reply) -> None:
        async with self._house.dispatcher.answer(self._call.request) as answer:
            first = await anext(answer.chunks)
            created = int(self._house.wall_clock())
            writer = ChatWriter(self._call.request.id, answer.target, created)
            write = self._stream if self._call.request.stream else self._whole
            await write(reply, answer, first, writer)

    async def _whole(self, reply: Reply, answer: Answer, first: Chunk, writer: ChatWriter) -> None:
        gathered = Gathered()
        async for chunk in _again(first, answer.chunks):
            gathered.add(chunk)
        body = writer.whole(gathered, self._extra(answer))
        await reply.whole(body, headers=self._headers(answer))

    async def _stream(self, reply: Reply, answer: Answer, first: Chunk, writer: ChatWriter) -> None:
        await reply.start(200, EVENTS, {"cache-control": "no-cache", **self._headers(answer)})
        unsent = writer.opening(self._call.request.choices)
        ended: list[Chunk] = []
        usage = None
        try:
            async for chunk in _again(first, answer.chunks):
                unsent += writer.delta(chunk)
                usage = chunk.usage or usage
                if chunk.finish is not None:
                    ended.append(chunk)
                else:
                    await reply.write(unsent)
                    unsent = b""
        except EdgeRouteError as error:  # the status is out: the error is the last event
            await reply.write(unsent + sse(encode_error(error)), more=False)
            return
        told = (usage or _NO_USAGE) if self._call.include_usage else None
        closing = writer.closing(ended, told, self._extra(answer))
        await reply.write(unsent + closing, more=False)

    def _extra(self, answer: Answer) -> Mapping[str, object] | None:
        if not self._call.explain:
            return None
        return account(answer.view, answer.decision, answer.target, answer.outcome())

    def _headers(self, answer: Answer) -> dict[str, str]:
        head = head_of(answer)
        headers = {
            "x-edgeroute-id": head.request,
            "x-edgeroute-target": head.target,
            "x-edgeroute-zone": head.zone,
            "x-edgeroute-task": head.task,
            "x-edgeroute-reason": header_safe(head.reason),
        }
        if self._call.request.ignored:
            headers["x-edgeroute-ignored"] = header_safe(",".join(self._call.request.ignored))
        return headers


async def _again(first: Chunk, rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    yield first
    async for chunk in rest:
        yield chunk
