"""The OpenAI chat protocol: a JSON body to a `Request`, chunks and errors to JSON.

Owns the field names and their ranges. Unknown top-level fields are dropped and told; fields that
change the answer and are not built are refused, since dropping them would answer another question;
an unknown key inside the `edgeroute` object is an error.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, Unsupported
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import (
    AUTO,
    FinishReason,
    Limits,
    Message,
    Overflow,
    Priority,
    Request,
    Role,
    Sampling,
    Usage,
)
from edgeroute.domain.units import Joules, RequestId, Usd

MAX_MESSAGES = 10_000

_Temperature = Annotated[float, Meta(ge=0, le=2)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Stop = Annotated[str, Meta(min_length=1, max_length=256)]


class _TextPart(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: Role
    content: str | list[_TextPart] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _ResponseFormat(msgspec.Struct):
    type: str = "text"


class _EdgeRoute(msgspec.Struct, forbid_unknown_fields=True):
    label: Literal["public", "internal", "private", "secret"] = "private"
    profile: str | None = None
    session: Annotated[str, Meta(max_length=256)] | None = None
    deadline_s: _Positive | None = None
    max_usd: Annotated[float, Meta(ge=0)] | None = None
    max_j: _Positive | None = None
    on_device: Literal["only", "any"] = "any"
    priority: Priority = "interactive"
    overflow: Overflow = "refuse"
    explain: bool = False


class _Body(msgspec.Struct):
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=MAX_MESSAGES)]
    model: Annotated[str, Meta(min_length=1, max_length=256)] = AUTO
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: _Temperature | None = None
    top_p: _Share | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    min_p: _Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stop: _Stop | Annotated[list[_Stop], Meta(max_length=16)] | None = None
    n: _Count | None = None
    logprobs: bool | None = None
    tools: list[msgspec.Raw] | None = None
    response_format: _ResponseFormat | None = None
    edgeroute: _EdgeRoute | UnsetType = UNSET


_KNOWN = frozenset(_Body.__struct_fields__)
_fields: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_body: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Body)


class ChatCall(msgspec.Struct, frozen=True):
    """A decoded chat call: the request, and how its answer is to be written."""

    request: Request
    include_usage: bool
    explain: bool


def decode_chat(data: bytes, request_id: RequestId) -> ChatCall:
    """Read the body of `POST /v1/chat/completions`.

    Raises:
        InvalidRequest: Not JSON, a wrong type or range; the message names the field.
        Unsupported: A field that would change the answer and is not built.
    """
    try:
        names = _fields.decode(data)
        body = _body.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a chat completion request: {error}") from error
    _refuse_unsupported(body)
    options = _EdgeRoute() if body.edgeroute is UNSET else body.edgeroute
    model, profile = _model_and_profile(body.model)
    request = Request(
        id=request_id,
        model=model,
        messages=tuple(Message(m.role, _text(m)) for m in body.messages),
        sampling=_sampling(body),
        limits=_limits(options),
        label=Label[options.label.upper()],
        profile=options.profile or profile,
        session=options.session,
        stream=bool(body.stream),
        priority=options.priority,
        overflow=options.overflow,
        ignored=tuple(sorted(names.keys() - _KNOWN)),
    )
    usage = body.stream_options is not None and body.stream_options.include_usage
    return ChatCall(request, include_usage=usage, explain=options.explain)


def _refuse_unsupported(body: _Body) -> None:
    asked = {
        "n > 1": body.n is not None and body.n != 1,
        "logprobs": bool(body.logprobs),
        "tools": bool(body.tools),
        "response_format": body.response_format is not None and body.response_format.type != "text",
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise Unsupported(f"{name} is not supported yet", hint=f"leave {name} out")


def _model_and_profile(model: str) -> tuple[str, str | None]:
    name, colon, profile = model.partition(":")
    return (AUTO, profile) if name == AUTO and colon else (model, None)


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    for part in message.content or ():
        if part.type != "text":
            raise Unsupported(
                f"content of type {part.type!r} is not supported yet", hint="send text only"
            )
    return "".join(part.text for part in message.content or ())


def _sampling(body: _Body) -> Sampling:
    given: dict[str, Any] = {
        name: value
        for name in (
            "temperature", "top_p", "top_k", "min_p", "repeat_penalty",
            "presence_penalty", "frequency_penalty", "seed",
        )
        if (value := getattr(body, name)) is not None
    }  # fmt: skip
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    return Sampling(**given, max_tokens=body.max_completion_tokens or body.max_tokens, stop=stop)


def _limits(options: _EdgeRoute) -> Limits:
    return Limits(
        deadline_s=options.deadline_s,
        max_usd=None if options.max_usd is None else Usd(options.max_usd),
        max_j=None if options.max_j is None else Joules(options.max_j),
        on_device=options.on_device == "only",
    )


# ---- answers ----------------------------------------------------------------------------------

_encoder = msgspec.json.Encoder()


def encode_json(value: object) -> bytes:
    """Encode plain data and nouns as JSON."""
    return _encoder.encode(value)


class ChatWriter:
    """Writes one answer in the shapes of the OpenAI API.

    Args:
        request_id: Becomes `chatcmpl-...`, so that an answer can be explained later.
        model: The model that answers, not the one asked for.
        created: Unix seconds.
    """

    def __init__(self, request_id: RequestId, model: str, created: int) -> None:
        self._head = {"id": f"chatcmpl-{request_id}", "created": created, "model": model}
        event = self._event({"content": ""}, None)
        self._before_text, _, self._after_text = event.rpartition(b'""')

    def whole(self, text: str, finish: FinishReason, usage: Usage, extra: object) -> bytes:
        """The body of a non-streamed answer."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
        }
        return encode_json(
            {
                **self._head,
                "object": "chat.completion",
                "choices": [choice],
                "usage": _usage(usage),
                **_extension(extra),
            }
        )

    def opening(self) -> bytes:
        """The first event: the role."""
        return self._event({"role": "assistant", "content": ""}, None)

    def delta(self, text: str) -> bytes:
        """An event with text. All that is equal in each was encoded once."""
        return self._before_text + encode_json(text) + self._after_text

    def closing(self, finish: FinishReason, usage: Usage | None, extra: object) -> bytes:
        """The last events: the finish reason, the usage where it was asked for, `[DONE]`."""
        events = self._event({}, finish, extra)
        if usage is not None:
            events += sse(
                encode_json(
                    {
                        **self._head,
                        "object": "chat.completion.chunk",
                        "choices": [],
                        "usage": _usage(usage),
                    }
                )
            )
        return events + sse(b"[DONE]")

    def _event(
        self, delta: dict[str, str], finish: FinishReason | None, extra: object = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return sse(encode_json({**chunk, **_extension(extra)}))


def sse(data: bytes) -> bytes:
    """One server-sent event; `data` holds no newline."""
    return b"data: " + data + b"\n\n"


def encode_error(error: EdgeRouteError) -> bytes:
    """The error object of the OpenAI API, with what would have to change."""
    return encode_json(
        {
            "error": {
                "message": error.message
                if error.hint is None
                else f"{error.message} ({error.hint})",
                "type": "invalid_request_error" if error.caller_is_wrong else "server_error",
                "code": error.code,
                "param": None,
            }
        }
    )


def encode_models(ids: Sequence[str], created: int) -> bytes:
    """The body of `GET /v1/models`."""
    rows = [
        {"id": name, "object": "model", "created": created, "owned_by": "edgeroute"} for name in ids
    ]
    return encode_json({"object": "list", "data": rows})


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _extension(extra: object) -> dict[str, object]:
    return {} if extra is None else {"edgeroute": extra}
