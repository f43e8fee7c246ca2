"""Calls in the text of an answer: found whatever the pieces, and nothing that is none is lost."""

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.tool_markup import ToolMarkup, tool_markup
from edgeroute.worker.tool_calls import ToolCallParser

HERMES, LLAMA = ToolMarkup.HERMES, ToolMarkup.LLAMA
MISTRAL, ARGS = ToolMarkup.MISTRAL, ToolMarkup.MISTRAL_ARGS
NAMES = {"weather", "time"}
OSLO = '{"city": "Oslo"}'
WEATHER = f'{{"name": "weather", "arguments": {OSLO}}}'
TIME = '{"name": "time", "arguments": {}}'

Found = tuple[str, list[tuple[str, str]]]
"""Text, and the name and arguments of each call."""


def read(markup: ToolMarkup, pieces: Sequence[str]) -> Found:
    ids = itertools.count()
    parser = ToolCallParser(markup, NAMES, lambda: f"c{next(ids)}")
    parsed = [*map(parser.feed, pieces), parser.flush()]
    calls = [call for one in parsed for call in one.calls]
    assert [call.index for call in calls] == list(range(parser.calls))
    assert len({call.id for call in calls}) == parser.calls
    return "".join(one.text for one in parsed), [(call.name, call.arguments) for call in calls]


def cut(text: str, at: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


ANSWERS: list[tuple[ToolMarkup, str, Found]] = [
    (HERMES, f"<tool_call>\n{WEATHER}\n</tool_call>", ("", [("weather", OSLO)])),
    (
        HERMES,
        f"I look.\n<tool_call>\n{WEATHER}\n</tool_call>\n<tool_call>\n{TIME}\n</tool_call>",
        ("I look.", [("weather", OSLO), ("time", "{}")]),
    ),
    (HERMES, f"<tool_call>{WEATHER}</tool_call> Done.", (" Done.", [("weather", OSLO)])),
    (HERMES, f"<tool_call>\n{WEATHER}", ("", [("weather", OSLO)])),
    (HERMES, WEATHER, ("", [("weather", OSLO)])),
    (HERMES, f"```json\n{WEATHER}\n```", ("", [("weather", OSLO)])),
    (HERMES, f'[{{"type": "function", "function": {TIME}}}]', ("", [("time", "{}")])),
    (LLAMA, WEATHER.replace("arguments", "parameters"), ("", [("weather", OSLO)])),
    (LLAMA, f"<|python_tag|>{WEATHER}; {TIME}", ("", [("weather", OSLO), ("time", "{}")])),
    (MISTRAL, f"[TOOL_CALLS][{WEATHER}, {TIME}]", ("", [("weather", OSLO), ("time", "{}")])),
    (MISTRAL, f"Yes.[TOOL_CALLS] [{WEATHER}]", ("Yes.", [("weather", OSLO)])),
    (
        ARGS,
        f"[TOOL_CALLS]weather[ARGS]{OSLO}[TOOL_CALLS]time[ARGS]{{}}",
        ("", [("weather", OSLO), ("time", "{}")]),
    ),
    (ARGS, f"[TOOL_CALLS][{WEATHER}]", ("", [("weather", OSLO)])),
]
TEXTS = [
    (HERMES, "The weather is fine; 3 < 4."),
    (HERMES, "<tool_call>\n{not json}\n</tool_call> and more"),
    (HERMES, '<tool_call>\n{"name": "weather", "arguments": {"ci'),
    (HERMES, '<tool_call>{"name": "rm", "arguments": {}}</tool_call>'),
    (HERMES, '<tool_call>{"name": "weather", "arguments": [1]}</tool_call>'),
    (HERMES, "<tool_call>[]</tool_call>"),
    (HERMES, '```json\n{"name": "Mira", "age": 7}\n```'),
    (HERMES, '{"name": "weather"} is how I would call it'),
    (HERMES, "```python\nprint(1)\n```"),
    (HERMES, "  \n "),
    (HERMES, "a <tool_c"),
    (LLAMA, '<|python_tag|>brave_search.call(query="x")'),
    (LLAMA, "A plain answer."),
    (MISTRAL, "[TOOL_CALLS] weather please"),
    (ARGS, "[TOOL_CALLS]weather[ARGS]{"),
    (ARGS, "[TOOL_CALLS]rm[ARGS]{}"),
]
cuts = st.lists(st.integers(0, 200), max_size=8)


@pytest.mark.parametrize(("markup", "answer", "expected"), ANSWERS)
@given(at=cuts)
def test_calls_are_found_whatever_the_pieces(
    markup: ToolMarkup, answer: str, expected: Found, at: list[int]
) -> None:
    assert read(markup, cut(answer, at)) == expected


@pytest.mark.parametrize(("markup", "answer"), TEXTS)
@given(at=cuts)
def test_what_is_no_call_stays_text(markup: ToolMarkup, answer: str, at: list[int]) -> None:
    assert read(markup, cut(answer, at)) == (answer, [])


@given(
    st.sampled_from(ToolMarkup),
    st.lists(st.sampled_from(["<tool_call>", "</tool_call>", "{", "}", '"name"', "a", "\n"])),
)
def test_a_text_of_marks_is_never_lost(markup: ToolMarkup, pieces: list[str]) -> None:
    assert read(markup, pieces) == ("".join(pieces), [])


def test_ordinary_text_is_not_held_back() -> None:
    parser = ToolCallParser(HERMES, NAMES, str)
    assert parser.feed("The").text == "The"
    assert parser.feed(" weather <").text == " weather"
    assert parser.feed("b>").text == " <b>"


def test_a_call_is_told_as_soon_as_it_is_whole() -> None:
    parser = ToolCallParser(HERMES, NAMES, lambda: "c1")
    assert parser.feed(f"<tool_call>\n{WEATHER}\n").calls == ()
    (call,) = parser.feed("</tool_call>").calls
    assert (call.id, call.name, json.loads(call.arguments)) == ("c1", "weather", {"city": "Oslo"})


def test_arguments_may_be_json_inside_a_string() -> None:
    written = json.dumps({"name": "weather", "arguments": OSLO})
    assert read(HERMES, [written]) == ("", [("weather", OSLO)])


@pytest.mark.parametrize(
    ("template", "markup"),
    [
        (None, None),
        ("{{ messages }}", None),
        ("{% if tools %}<tool_call>{{ tools }}</tool_call>{% endif %}", HERMES),
        ("{% if tools %}<tool_call><function=x>{% endif %}", None),
        ("{% if tools %}<tool_call>x<arg_key>{% endif %}", None),
        ("{{ tools }}<|python_tag|>", LLAMA),
        ("{{ tools }}[TOOL_CALLS]", MISTRAL),
        ("{{ tools }}[TOOL_CALLS]x[ARGS]", ARGS),
        ("{{ tools }} and something of its own", None),
    ],
)
def test_the_family_shows_in_the_template(template: str | None, markup: ToolMarkup | None) -> None:
    assert tool_markup(template) is markup
