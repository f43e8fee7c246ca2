"""What a server streams, or tells at once, as chunks.

Owns the differences between servers: calls without an index, an end without `[DONE]`, a usage with
the last choice or after it, answers that are not streamed although that was asked for.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import Struct

from edgeroute.domain.request import Chunk, FinishReason, TokenLogprob, ToolCallPiece, Usage
from edgeroute.wire.upstream.reading import Malformed, read

DONE = "[DONE]"
_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
"""Anything else, `content_filter` too, is an answer that has stopped."""


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _TopLogprob(Struct):
    token: str
    logprob: float
    octets: list[int] | None = msgspec.field(default=None, name="bytes")

    @property
    def raw(self) -> bytes:
        return self.token.encode() if self.octets is None else _octets(self.octets)


class _Logprob(_TopLogprob):
    top_logprobs: list[_TopLogprob] | None = None


class _Logprobs(Struct):
    content: list[_Logprob] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Cached(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Event(Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_event: msgspec.json.Decoder[_Event] = msgspec.json.Decoder(_Event)


class AnswerReader:
    """Reads one call's events.

    Attributes:
        usage: As the server counted; `None` where it did not.
        pieces: How many chunks brought something, which is about the number of tokens.
        thinking: Whether the last event brought thoughts, which are not shown.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.pieces = 0
        self.thinking = False
        self._calls: dict[int, list[str | int]] = {}
        self._ended: dict[int, FinishReason] = {}

    def read(self, data: str | bytes) -> Iterator[Chunk]:
        """The chunks of one event, or of a whole answer, but for those that end it.

        Raises:
            Malformed: It is not JSON or not of the protocol.
            Told: The server says that it failed.
        """
        event = read(data, _event, "an event is not a chat completion's")
        if bytes(event.error) not in {b"", b"null"}:
            raise Told(bytes(event.error))
        if event.usage is not None:
            self.usage = _usage(event.usage)
        self.thinking = False
        for choice in event.choices or ():
            yield from self._chunk(choice)

    @property
    def ended(self) -> bool:
        """Whether some answer, or the only one, has come to its end."""
        return bool(self._ended)

    def end(self, usage: Usage) -> tuple[Chunk, ...]:
        """The chunks that end every answer, the last one with the usage.

        Raises:
            Malformed: The stream broke off: some answer, or the only one, has no end.
        """
        if not self.ended:
            raise Malformed("the answer broke off")
        chunks = [Chunk("", finish, choice=number) for number, finish in self._ended.items()]
        chunks[-1] = replace(chunks[-1], usage=usage)
        return tuple(chunks)

    def _chunk(self, choice: _Choice) -> Iterator[Chunk]:
        delta = choice.delta or choice.message or _Delta()
        text = delta.content or delta.refusal or ""
        calls = tuple(self._piece(choice.index, call) for call in delta.tool_calls or ())
        logprobs = tuple(_logprobs(choice.logprobs))
        self.thinking |= bool(delta.reasoning_content or delta.reasoning)
        if choice.finish_reason is not None:
            finish = _FINISH.get(choice.finish_reason, "stop")
            called = bool(calls or self._calls.get(choice.index))
            self._ended[choice.index] = "tool_calls" if called and finish == "stop" else finish
        if text or calls or logprobs:
            self.pieces += 1
            yield Chunk(text, choice=choice.index, tool_calls=calls, logprobs=logprobs)

    def _piece(self, choice: int, call: _Call) -> ToolCallPiece:
        """A piece of a call, numbered from 0 whatever the server's numbers; new with its id."""
        calls = self._calls.setdefault(choice, [])
        name, arguments = call.function.name or "", call.function.arguments or ""
        own: str | int = call.id or len(calls) if call.index is None else call.index
        if own not in calls and (name or not calls):
            calls.append(own)
            at = len(calls) - 1
            return ToolCallPiece(at, call.id or f"call_{choice}_{at}", name, arguments)
        at = calls.index(own) if own in calls else len(calls) - 1
        return ToolCallPiece(at, arguments=arguments)


class Told(Exception):
    """The server says in its stream that it failed.

    Attributes:
        error: Its error object, JSON.
    """

    def __init__(self, error: bytes) -> None:
        super().__init__("the server reported an error")
        self.error = error


def _usage(told: _Usage) -> Usage:
    cached = told.prompt_tokens_details
    return Usage(
        told.prompt_tokens or 0,
        told.completion_tokens or 0,
        cached_tokens=(cached and cached.cached_tokens) or 0,
    )


def _logprobs(told: _Logprobs | None) -> Iterator[TokenLogprob]:
    for one in (told and told.content) or ():
        top = tuple((other.raw, other.logprob) for other in one.top_logprobs or ())
        yield TokenLogprob(one.raw, one.logprob, top)


def _octets(numbers: list[int]) -> bytes:
    try:
        return bytes(numbers)
    except ValueError as error:
        raise Malformed("a token's bytes are none") from error
