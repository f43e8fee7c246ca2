"""A request as the body that a server of the OpenAI protocol takes.

Owns which fields leave this machine: those listed here, `TUNABLE` and no other. What the caller
left open stays open, so that the server's own default holds.
"""

from collections.abc import Mapping

import msgspec

from edgeroute.domain.destination import Dialect
from edgeroute.domain.request import TUNABLE, AnswerForm, Message, Request, Toolbox

_ALWAYS = {"stream": True, "stream_options": {"include_usage": True}}
"""Streamed always: the first token says that it works, and a hang-up ends it."""


def compose(request: Request, model: str, dialect: Dialect) -> dict[str, object]:
    """The body as plain data, streaming asked for."""
    sampling = request.sampling
    body: dict[str, object] = {
        "model": model,
        "messages": [_message(message, dialect) for message in request.messages],
        **_ALWAYS,
    }
    body |= {name: getattr(sampling, name) for name in TUNABLE if name in sampling.given}
    if sampling.max_tokens is not None:
        bound = "max_completion_tokens" if dialect == "openai" else "max_tokens"
        body[bound] = sampling.max_tokens
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.choices > 1:
        body["n"] = request.choices
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body | _tools(request.tools) | _form(request.form)


def _message(message: Message, dialect: Dialect) -> Mapping[str, object]:
    developer = message.role == "developer" and dialect != "openai"
    told: dict[str, object] = {
        "role": "system" if developer else message.role,
        "content": message.content,
    }
    if message.name:
        told["name"] = message.name
    if message.tool_call_id:
        told["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        told["content"] = message.content or None
        told["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return told


def _tools(box: Toolbox) -> dict[str, object]:
    if not box.tools:
        return {}
    told: dict[str, object] = {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": msgspec.json.decode(tool.parameters),
                },
            }
            for tool in box.tools
        ]
    }
    if box.only:
        told["tool_choice"] = {"type": "function", "function": {"name": box.only}}
    elif box.choice != "auto":
        told["tool_choice"] = box.choice
    if not box.parallel:
        told["parallel_tool_calls"] = False
    return told


def _form(form: AnswerForm) -> dict[str, object]:
    match form.kind:
        case "json":
            return {"response_format": {"type": "json_object"}}
        case "schema":
            schema = {"name": form.name, "schema": msgspec.json.decode(form.source)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case _:  # no server of this protocol is asked for a grammar (see `Capability`)
            return {}
