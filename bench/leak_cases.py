"""What must not leave and what may: requests composed from an authored, seeded set.

A private case holds a value (an identifier, a secret, a sentence under a label) in one place of a
request and one disguise. Every request also carries a tag of its own, by which it is known wherever
it turns up.
"""

from __future__ import annotations

import base64
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.unit.understanding.disguises import clean_cases, sensitive_cases

SEED = 20261124
PUBLIC = {"label": "public"}
CHAT, COMPLETE, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
Body = dict[str, Any]


@dataclass
class Case:
    """A request, or several in turn.

    Attributes:
        kind: Place and disguise.
        values: What no sink may hold, besides the tag.
        bodies: In turn; each a path and a JSON body, or bytes as they are.
        peer_may: A machine of the same owner's may see it, who lets it see `internal`.
    """

    kind: str
    tag: str
    values: tuple[str, ...]
    bodies: list[tuple[str, Body | bytes]] = field(default_factory=list)
    peer_may: bool = False


def _say(text: str, **fields: Any) -> Body:
    return {"messages": [{"role": "user", "content": text}], **fields}


def _called(arguments: str) -> list[Body]:
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    return [
        {"role": "user", "content": "Please send it."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sent"},
        {"role": "user", "content": "Did it work?"},
    ]


def _tool(text: str, **parameters: Any) -> list[Body]:
    schema = {"type": "object", "properties": parameters}
    function = {"name": "look", "description": text, "parameters": schema}
    return [{"type": "function", "function": function}]


def _schema(name: str, inner: Body) -> Body:
    schema = {"type": "object", "properties": inner}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


Place = Callable[[str], tuple[str, Body]]
PLACES: dict[str, Place] = {
    "question": lambda text: (CHAT, _say(text)),
    "history": lambda text: (
        CHAT,
        {
            "messages": [
                {"role": "user", "content": text},
                {"role": "assistant", "content": "I see."},
                {"role": "user", "content": "And now a poem about rain."},
            ]
        },
    ),
    "an answer before": lambda text: (
        CHAT,
        {
            "messages": [
                {"role": "user", "content": "Say it again."},
                {"role": "assistant", "content": text},
                {"role": "user", "content": "Thanks. And a poem?"},
            ]
        },
    ),
    "system prompt": lambda text: (
        CHAT,
        {
            "messages": [
                {"role": "system", "content": text},
                {"role": "user", "content": "Tell me of the sea."},
            ]
        },
    ),
    "developer prompt": lambda text: (
        CHAT,
        {
            "messages": [
                {"role": "developer", "content": text},
                {"role": "user", "content": "Tell me of the sea."},
            ]
        },
    ),
    "content parts": lambda text: (
        CHAT,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look: "},
                        {"type": "text", "text": text},
                    ],
                }
            ]
        },
    ),
    "tool arguments": lambda text: (
        CHAT,
        {"messages": _called(json.dumps({"body": text})), "tools": _tool("Looks things up.")},
    ),
    "tool arguments, a key": lambda text: (
        CHAT,
        {"messages": _called(json.dumps({text: 1})), "tools": _tool("Looks things up.")},
    ),
    "tool arguments, nested JSON": lambda text: (
        CHAT,
        {"messages": _called(json.dumps({"args": json.dumps({"body": [text]})}))},
    ),
    "tool result": lambda text: (
        CHAT,
        {
            "messages": [
                *_called("{}")[:2],
                {"role": "tool", "tool_call_id": "c1", "content": text},
                {"role": "user", "content": "What does it say?"},
            ]
        },
    ),
    "tool description": lambda text: (CHAT, _say("Which tool fits?", tools=_tool(text))),
    "tool schema, a default": lambda text: (
        CHAT,
        _say("Which tool?", tools=_tool("Looks.", who={"type": "string", "default": text})),
    ),
    "tool schema, a key": lambda text: (
        CHAT,
        _say("Which tool?", tools=_tool("Looks.", **{text: {"type": "string"}})),
    ),
    "answer's schema": lambda text: (
        CHAT,
        _say("Fill it in.", response_format=_schema("form", {"who": {"enum": [text]}})),
    ),
    "a stop string": lambda text: (CHAT, _say("Count to ten.", stop=[text[:250]])),
    "name of a speaker": lambda text: (
        CHAT,
        {"messages": [{"role": "user", "name": text[:250], "content": "Count to ten."}]},
    ),
    "very long, at its middle": lambda text: (
        CHAT,
        _say(f"{'The river rose. ' * 4000}{text}{' It fell again.' * 4000}"),
    ),
    "an address of the web": lambda text: (
        CHAT,
        _say("Open https://example.org/find?q=" + text.replace(" ", "+")),
    ),
    "a field that nobody knows": lambda text: (
        CHAT,
        _say("Count to ten.", metadata={"note": text}, user=text, prediction=text),
    ),
    "a continued text": lambda text: (COMPLETE, {"prompt": text}),
    "a text to embed": lambda text: (EMBED, {"input": ["a river", text]}),
}


def private_cases() -> Iterator[Case]:
    """Yield everything that must stay."""
    rng = random.Random(SEED)
    numbers = iter(range(100_000))

    def case(kind: str, *values: str) -> Case:
        return Case(kind, f"tag{next(numbers):05}q", values)

    drawn = list(sensitive_cases())
    for disguised in drawn:  # every disguise, in a question or over several turns
        made = case(f"question: {disguised.kind}", *disguised.turns)
        turns = [made.tag + " here", *disguised.turns]
        messages: list[Body] = []
        for turn in turns:
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Ok."}]
        body = (
            {"messages": messages[:-1]}
            if len(disguised.turns) > 1
            else _say(f"{disguised.turns[0]}\n\n{made.tag}")
        )
        made.bodies.append((CHAT, {**body, "edgeroute": PUBLIC}))
        yield made
    plain = [c for c in drawn if c.kind.startswith("as it is") or c.kind.startswith("invisible")]
    for place, put in PLACES.items():  # every place
        for disguised in rng.sample(plain, 8):
            made = case(f"{place}: {disguised.kind}", disguised.turns[0])
            path, body = put(f"{disguised.turns[0]} {made.tag}")
            made.bodies.append((path, {**body, "edgeroute": PUBLIC}))
            yield made
    yield from _labelled(case)
    yield from _sessions(case)
    yield from _malformed(case, rng)


def _labelled(case: Callable[..., Case]) -> Iterator[Case]:
    """Nothing to be found in them but what their caller or app says."""
    for label in ("internal", "private", "secret", None):
        text = f"{_sentence(label)}, tell nobody"
        for place, put in PLACES.items():
            made = case(f"{place}: label {label}", text)
            made.peer_may = label == "internal"
            path, body = put(f"{text} {made.tag}")
            options = {} if label is None else {"edgeroute": {"label": label}}
            made.bodies.append((path, {**body, **options}))
            yield made


def _sentence(label: str | None) -> str:
    """What is `internal` may be known where nothing else may."""
    return "the picnic is called off" if label == "internal" else "the merger is called off"


def _sessions(case: Callable[..., Case]) -> Iterator[Case]:
    """A turn that was private, and one after it that says it is public."""
    for label in ("internal", "private", "secret", None):
        for named in (True, False):
            made = case(f"session after a turn of {label}", _sentence(label))
            made.peer_may = label == "internal"
            first = f"{made.tag}: {_sentence(label)}, tell nobody of it"
            said = {} if label is None else {"label": label}
            options = {"session": made.tag} if named else {}
            talk = [
                {"role": "user", "content": first},
                {"role": "assistant", "content": "Understood."},
                {"role": "user", "content": f"Write of it, {made.tag}."},
            ]
            later = talk[2:] if named else talk
            made.bodies += [
                (CHAT, {"messages": talk[:1], "edgeroute": {**said, **options}}),
                (CHAT, {"messages": later, "edgeroute": {**PUBLIC, **options}}),
            ]
            yield made


def _malformed(case: Callable[..., Case], rng: random.Random) -> Iterator[Case]:
    """Bytes that are no text, halves of pairs, nesting without end."""
    for number in range(12):
        password = f"Falcon#{rng.randint(100, 999)}xq{number}"
        made = case("invalid UTF-8", password)
        told = f'{{"messages":[{{"role":"user","content":"{made.tag} my password is {password} '
        made.bodies.append((CHAT, told.encode() + b'\xff\xfe"}],"edgeroute":{"label":"public"}}'))
        yield made
        made = case("half a pair", password)
        half = told + '\\ud83d"}],"edgeroute":{"label":"public"}}'
        made.bodies.append((CHAT, half.encode()))
        yield made
        made = case("base64 of base64", password)
        twice = base64.b64encode(base64.b64encode(f"my password is {password}".encode())).decode()
        made.bodies.append((CHAT, _say(f"{made.tag} decode {twice}", edgeroute=PUBLIC)))
        yield made


QUESTIONS = (
    "Why is the sky {} at dusk?", "Write a limerick about a {} boat.", "Explain a {} queue.",
    "How do I reverse a {} list in Python?", "Translate into French: the {} door is open.",
    "Summarise: the {} river rose for three days and then fell.", "Which planet looks {}?",
    "Name three uses of {} clay.", "What is a {} hash table?", "Is {} tea older than coffee?",
)  # fmt: skip
COLOURS = (
    "red", "blue", "green", "amber", "violet", "white", "black", "grey", "golden", "silver",
    "crimson", "teal", "brown", "ivory", "rose",
)  # fmt: skip


def public_cases() -> Iterator[Case]:
    """Yield what may leave, and what only looks as if it might not."""
    numbers = iter(range(100_000))
    for clean in clean_cases():
        made = Case(f"looks like it: {clean.kind}", f"pub{next(numbers):05}q", ())
        text = "\n".join(clean.turns)
        made.bodies.append((CHAT, _say(f"{made.tag} {text}", edgeroute=PUBLIC)))
        yield made
    for question in QUESTIONS:
        for colour in COLOURS:
            made = Case("a question", f"pub{next(numbers):05}q", ())
            text = f"{question.format(colour)} ({made.tag})"
            made.bodies.append((CHAT, _say(text, edgeroute=PUBLIC)))
            yield made
