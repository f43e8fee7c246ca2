"""Requests that bring the description of the functions along, in the ways that people paste it."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADS = (
    "You have access to the following functions. Call the right one for the user's request.",
    "You are a function calling assistant. Reply only with the calls to make.",
    "Tools:",
    "# Available tools",
    "Given these APIs, return the call with its arguments as JSON.",
    "Use the functions below where needed; ask if a required parameter is missing.",
)
_ASKS = ("User: {}", "{}", "Request: {}\nCall:", "### Query\n{}", "Question: {}", "USER: {}\nTOOL:")
_OTHERS = (0, 1, 2, 3, 8, 14)


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    parameters: str
    purpose: str
    requests: tuple[str, ...]


def requests(rng: random.Random) -> Iterator[str]:
    """Each hand-written request once, with its function alone or among up to fourteen others."""
    functions = [_function(row) for row in _rows()]
    for function in functions:
        for request in function.requests:
            others = [other for other in functions if other is not function]
            offered = [function, *rng.sample(others, rng.choice(_OTHERS))]
            rng.shuffle(offered)
            describe = rng.choice((_as_json, _as_python, _as_list))
            parts = [rng.choice(_HEADS), describe(offered), rng.choice(_ASKS).format(request)]
            yield "\n\n".join(parts if rng.random() < 0.75 else [parts[2], *parts[:2]])


def _rows() -> list[str]:
    return Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()


def _function(row: str) -> _Function:
    name, parameters, purpose, *asked = row.split(" || ")
    return _Function(name, parameters, purpose, tuple(asked))


def _as_json(functions: list[_Function]) -> str:
    described = [
        {
            "name": function.name,
            "description": function.purpose,
            "parameters": dict(
                parameter.split(": ", 1) for parameter in function.parameters.split(", ")
            ),
        }
        for function in functions
    ]
    return json.dumps(described, indent=2 if len(described) < 3 else None)


def _as_python(functions: list[_Function]) -> str:
    signatures = (
        f'def {function.name}({function.parameters}):\n    """{function.purpose}"""'
        for function in functions
    )
    return "\n\n".join(signatures)


def _as_list(functions: list[_Function]) -> str:
    rows = (f"- {one.name}({one.parameters}): {one.purpose}" for one in functions)
    return "\n".join(rows)
