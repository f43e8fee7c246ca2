"""Time grows with the text and not faster: shown by the patterns' shape and by hostile texts.

A pattern that is not linear does not end within the test run's limit on texts of this length.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.understanding import sensitivity
from edgeroute.understanding.sensitivity import scan, scan_request
from edgeroute.understanding.sensitivity.plain import plain

_PARSER: Any = importlib.import_module("re._parser")
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def patterns() -> Iterator[re.Pattern[str]]:
    for module in pkgutil.iter_modules(sensitivity.__path__, f"{sensitivity.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            yield from within(value)


def within(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from within(part)


def endless_repeats(parsed: Any, depth: int = 0) -> int:
    """How deep repeats without a bound are nested."""
    deepest = depth
    for operator, argument in parsed:
        inner = depth
        if str(operator) in _REPEATS and argument[1] is _PARSER.MAXREPEAT:
            inner += 1
        for part in argument if isinstance(argument, tuple | list) else (argument,):
            for child in part if isinstance(part, list) else (part,):
                if isinstance(child, _PARSER.SubPattern):
                    deepest = max(deepest, endless_repeats(child, inner))
        deepest = max(deepest, inner)
    return deepest


def test_no_endless_repeat_is_inside_another() -> None:
    assert endless_repeats(_PARSER.parse(r"(?:a+b)*")) == 2  # the check sees what it looks for
    every = set(patterns())
    assert len(every) > 50
    for pattern in every:
        assert endless_repeats(_PARSER.parse(pattern.pattern, pattern.flags)) <= 1, pattern


HOSTILE = (
    "a ", "1 ", "1-", "1", "a", "A", "@", "a@", ".", "\\", "%", "&#", "password ", "password: ",
    "4539 ", "4539148803436467 ", "account number ", "-----BEGIN PRIVATE KEY-----\n", "://a:b@",
    "+1 2", "0171 234 567 89, ", "one ", "one two three ", "ab12", ":", "a:", "1.1.", "eyJ.",
    "seed phrase ", "My name is A", "born ", "[", "[ at ]", "at dot ", "'\"", "\\u0041", "\u200b",
    "\N{CYRILLIC SMALL LETTER A}",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_is_read_to_its_end(unit: str) -> None:
    hostile = unit * (100_000 // len(unit))
    last = scan(f"{hostile}\n\nplease write to mira@posteo.de")[-1]
    assert last.type in {"EMAIL_ADDRESS", "PRIVATE_KEY"}


anything = st.text(st.characters(), max_size=200)


@given(st.lists(anything, max_size=4))
def test_any_text_is_scannable(turns: list[str]) -> None:
    request = Request(RequestId("r"), AUTO, tuple(Message("user", turn) for turn in turns))
    assert "UNSCANNABLE" not in scan_request(request).types


@given(anything)
def test_spans_are_in_the_text_and_apart(text: str) -> None:
    findings = scan(text)
    assert all(0 <= finding.start < finding.end <= len(text) for finding in findings)
    assert all(first.end <= second.start for first, second in pairwise(findings))


@given(anything)
def test_every_character_keeps_its_origin(text: str) -> None:
    read = plain(text)
    assert len(read.lower) == len(read.text)
    if read.origin is None:
        assert len(read.text) == len(text)
    else:
        assert len(read.origin) == len(read.text) + 1
        assert read.origin[-1] == len(text)
        assert all(first <= second for first, second in pairwise(read.origin))


@given(anything, st.sampled_from(["\u200b", "\u2060", "\u00ad", "\ufeff"]))
def test_invisible_characters_change_nothing_that_is_read(text: str, invisible: str) -> None:
    address = "mira.holt@posteo.de"
    hidden = invisible.join(address)
    assert scan(f"{hidden}")[0].type == scan(address)[0].type == "EMAIL_ADDRESS"
    assert plain(invisible + text).text == plain(text).text
