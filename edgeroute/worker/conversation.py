"""Conversations as chat templates take them: plain data, as Hugging Face defines it. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edgeroute.domain.request import Message, Tool, ToolCall

Turn = Mapping[str, Any]


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """Every turn as an object; what it does not have is not there."""
    return [_turn(message) for message in messages]


def functions_of(tools: Sequence[Tool]) -> list[Mapping[str, Any]]:
    """Functions as objects, their schemas parsed."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": json.loads(tool.parameters),
            },
        }
        for tool in tools
    ]


def texts_in(value: object) -> Iterator[str]:
    """Every string in plain data, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The same data with every string changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): with_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_texts(inner, change) for inner in value]
    return value


def _turn(message: Message) -> Turn:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    return turn


def _call(call: ToolCall) -> Mapping[str, Any]:
    """Templates print arguments as JSON: what is JSON already is parsed first."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}
