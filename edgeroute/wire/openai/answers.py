"""Answers to chats in the shapes of the OpenAI API, whole or as events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeroute.domain.request import (
    Chunk,
    FinishReason,
    TokenLogprob,
    ToolCall,
    ToolCallPiece,
    Usage,
)
from edgeroute.domain.units import RequestId
from edgeroute.wire.openai.replies import encode_json, sse


@dataclass(slots=True)
class _Choice:
    """One answer, as far as it has come."""

    pieces: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: FinishReason = "stop"


class Gathered:
    """Chunks put together again.

    Attributes:
        usage: Of all answers.
        embeddings: Every vector, in order.
    """

    def __init__(self) -> None:
        self.usage = Usage(0, 0)
        self.embeddings: list[bytes] = []
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        choice = self._choices.setdefault(chunk.choice, _Choice())
        choice.pieces.append(chunk.text)
        choice.logprobs += chunk.logprobs
        for piece in chunk.tool_calls:
            _add_call(choice.calls, piece)
        choice.finish = chunk.finish or choice.finish
        self.usage = chunk.usage or self.usage
        self.embeddings += chunk.embeddings

    @property
    def choices(self) -> list[tuple[int, _Choice]]:
        """Every answer with its number, in order."""
        return sorted(self._choices.items())


def _add_call(calls: list[ToolCall], piece: ToolCallPiece) -> None:
    if piece.index == len(calls):
        calls.append(ToolCall(piece.id, piece.name, piece.arguments))
    else:
        old = calls[piece.index]
        calls[piece.index] = ToolCall(old.id, old.name, old.arguments + piece.arguments)


class ChatWriter:
    """Writes one answer, or several to one question.

    Args:
        request_id: Becomes `chatcmpl-...`, so that an answer can be explained later.
        model: The model that answers, not the one asked for.
        created: Unix seconds.
    """

    def __init__(self, request_id: RequestId, model: str, created: int) -> None:
        self._head = {"id": f"chatcmpl-{request_id}", "created": created, "model": model}
        event = self._event(0, {"content": ""})
        self._before_text, _, self._after_text = event.rpartition(b'""')

    def whole(self, answers: Gathered, extra: object) -> bytes:
        """The body of a non-streamed answer."""
        return encode_json(
            {
                **self._head,
                "object": "chat.completion",
                "choices": [_whole_choice(number, one) for number, one in answers.choices],
                "usage": usage_fields(answers.usage),
                **extension(extra),
            }
        )

    def opening(self, choices: int) -> bytes:
        """The first events: the role of each answer."""
        role = {"role": "assistant", "content": ""}
        return b"".join(self._event(number, role) for number in range(choices))

    def delta(self, chunk: Chunk) -> bytes:
        """The event of what a chunk brings; empty where it only says that an answer is over."""
        if not (chunk.choice or chunk.tool_calls or chunk.logprobs or chunk.finish):
            # All that is equal in each was encoded once.
            return self._before_text + encode_json(chunk.text) + self._after_text
        delta: dict[str, object] = {"content": chunk.text} if chunk.text else {}
        if chunk.tool_calls:
            delta["tool_calls"] = [_call_piece(piece) for piece in chunk.tool_calls]
        if not delta and not chunk.logprobs:
            return b""
        return self._event(chunk.choice, delta, logprobs=chunk.logprobs)

    def closing(self, ended: Sequence[Chunk], usage: Usage | None, extra: object) -> bytes:
        """The last events: how each answer ended, the usage where it was asked for, `[DONE]`."""
        *others, last = ended
        told = [self._event(one.choice, {}, finish=one.finish) for one in others]
        told.append(self._event(last.choice, {}, finish=last.finish, extra=extra))
        if usage is not None:
            fields = {"choices": [], "usage": usage_fields(usage)}
            told.append(
                sse(encode_json({**self._head, "object": "chat.completion.chunk", **fields}))
            )
        return b"".join((*told, sse(b"[DONE]")))

    def _event(
        self,
        number: int,
        delta: Mapping[str, object],
        *,
        finish: FinishReason | None = None,
        logprobs: Iterable[TokenLogprob] = (),
        extra: object = None,
    ) -> bytes:
        choice: dict[str, Any] = {"index": number, "delta": delta, "finish_reason": finish}
        if logprobs:
            choice["logprobs"] = logprob_fields(logprobs)
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return sse(encode_json({**chunk, **extension(extra)}))


def _whole_choice(number: int, one: _Choice) -> dict[str, object]:
    text = "".join(one.pieces)
    message: dict[str, object] = {"role": "assistant", "content": text}
    if one.calls:
        message["content"] = text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in one.calls
        ]
    choice: dict[str, object] = {
        "index": number,
        "message": message,
        "finish_reason": one.finish,
    }
    if one.logprobs:
        choice["logprobs"] = logprob_fields(one.logprobs)
    return choice


def _call_piece(piece: ToolCallPiece) -> dict[str, object]:
    function = {"arguments": piece.arguments}
    if not piece.name:
        return {"index": piece.index, "function": function}
    named = {"name": piece.name, **function}
    return {"index": piece.index, "id": piece.id, "type": "function", "function": named}


def logprob_fields(logprobs: Iterable[TokenLogprob]) -> dict[str, object]:
    """The `logprobs` object of a choice."""
    return {
        "content": [
            {
                **_token(told.token, told.logprob),
                "top_logprobs": [_token(*other) for other in told.top],
            }
            for told in logprobs
        ],
        "refusal": None,
    }


def _token(token: bytes, logprob: float) -> dict[str, object]:
    return {
        "token": token.decode(errors="replace"),
        "logprob": logprob,
        "bytes": list(token),
    }


def usage_fields(usage: Usage) -> dict[str, object]:
    """The `usage` object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def extension(extra: object) -> dict[str, object]:
    """Our own object in an answer."""
    return {} if extra is None else {"edgeroute": extra}
