"""From the text of an answer to the calls in it, as the text comes.

Owns what counts as a call: a function that was offered, with arguments that are a JSON object.
Whatever else looks like one stays text, all of it. Pure.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from edgeroute.domain.request import ToolCallPiece
from edgeroute.domain.tool_markup import ToolMarkup

_BARE = re.compile(r'\s*(?:```(?:json)?\s*)?[\[{]\s*(?:\{\s*)?"(?:name|function|type)"')
"""The beginning of an answer that is nothing but a call, as small models often forget the marks."""
_BARE_LONGEST = 64
"""Characters within which that shows."""
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_ARGUMENTS = ("arguments", "parameters")


class Parsed(NamedTuple):
    """What a piece of an answer brought."""

    text: str
    calls: tuple[ToolCallPiece, ...] = ()


class ToolCallParser:
    """Finds the calls of one answer.

    Args:
        markup: How its model writes calls.
        names: Functions that were offered.
        new_id: Makes the id of a call.

    Attributes:
        calls: How many there were so far.
    """

    def __init__(
        self, markup: ToolMarkup, names: Collection[str], new_id: Callable[[], str]
    ) -> None:
        self.calls = 0
        self._markup = markup
        self._names = names
        self._new_id = new_id
        self._held = ""
        self._calling = False  # what is held begins with a mark
        self._said = False  # something other than white space was given back as text

    def feed(self, text: str) -> Parsed:
        """Take in the next piece; what may be a part of a call is held."""
        self._held += text
        told = ""
        calls: list[ToolCallPiece] = []
        while True:
            if self._calling:
                end = self._end_of_call()
                if end < 0:
                    break
                parsed = self._take(self._held[:end])
                self._held, self._calling = self._held[end:], False
                told, calls = told + parsed.text, [*calls, *parsed.calls]
            free = self._free()
            told, self._held = told + self._held[:free], self._held[free:]
            self._said = self._said or bool(told.strip())
            if not self._calling:
                break
        return Parsed(told, tuple(calls))

    def flush(self) -> Parsed:
        """The answer is over: decide about what is held."""
        held, self._held = self._held, ""
        if self._calling or (not self._said and self._may_be_bare(held)):
            return self._take(held)
        return Parsed("" if self.calls and not held.strip() else held)

    def _end_of_call(self) -> int:
        """Where a call that has begun is over; -1 is not yet, or not before the answer."""
        if self._markup is not ToolMarkup.HERMES:
            return -1
        closing = self._markup.marks[1]
        found = self._held.find(closing)
        return found if found < 0 else found + len(closing)

    def _free(self) -> int:
        """How much of what is held is surely text; notes where a call begins after it."""
        if not self._said and self._may_be_bare(self._held):
            return 0
        mark = self._markup.marks[0]
        found = self._held.find(mark)
        if found >= 0:
            self._calling = True
            return len(self._held[:found].rstrip())  # the line break before a call goes with it
        for size in range(min(len(mark) - 1, len(self._held)), 0, -1):
            if mark.startswith(self._held[-size:]):
                return len(self._held[:-size].rstrip())
        return len(self._held.rstrip())  # white space waits for what it stands before

    def _may_be_bare(self, text: str) -> bool:
        if self.calls:
            return False
        head = text[:_BARE_LONGEST]
        return bool(_BARE.match(head)) or (len(text) < _BARE_LONGEST and _may_become_bare(head))

    def _take(self, written: str) -> Parsed:
        """The calls in what was held, or all of it as text."""
        try:
            found = [self._call(value) for value in _values(written, self._markup)]
        except (ValueError, RecursionError):
            found = []
        if not found or None in found:
            self._said = True
            return Parsed(written)
        pieces = []
        for call in found:
            assert call is not None  # noqa: S101 - as just checked
            name, arguments = call
            pieces.append(ToolCallPiece(self.calls, self._new_id(), name, arguments))
            self.calls += 1
        return Parsed("", tuple(pieces))

    def _call(self, value: Any) -> tuple[str, str] | None:
        """Name and arguments, or `None` where it is no call of a function that was offered."""
        if not isinstance(value, dict):
            return None
        if isinstance(value.get("function"), dict):
            value = value["function"]
        name = value.get("name")
        arguments: Any = next((value[key] for key in _ARGUMENTS if key in value), {})
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        if name not in self._names or not isinstance(arguments, dict):
            return None
        return str(name), json.dumps(arguments, ensure_ascii=False)


def _values(written: str, markup: ToolMarkup) -> Iterator[Any]:
    """Every JSON value in what a model wrote as its calls.

    Raises:
        ValueError: Something else is there too.
    """
    for mark in markup.marks:
        if mark != "[ARGS]":
            written = written.replace(mark, "\n")
    written = _FENCE.sub("", written.strip()).strip()
    if markup is ToolMarkup.MISTRAL_ARGS and "[ARGS]" in written:
        yield from _named_values(written)
        return
    at = 0
    while at < len(written):
        value, at = _decoder.raw_decode(written, at)
        yield from value if isinstance(value, list) else [value]
        while at < len(written) and written[at] in "; \n\t\r":
            at += 1


def _named_values(written: str) -> Iterator[dict[str, Any]]:
    """`name[ARGS]{...}`, one after the other."""
    while written:
        name, mark, rest = written.partition("[ARGS]")
        if not mark:
            raise ValueError("no arguments")
        rest = rest.lstrip()
        arguments, end = _decoder.raw_decode(rest)
        yield {"name": name.strip(), "arguments": arguments}
        written = rest[end:].strip()


_decoder = json.JSONDecoder()
_STEPS = ('```json{"name"', '```{"name"', '{"name"', '[{"name"')


def _may_become_bare(text: str) -> bool:
    """Whether a short beginning of an answer can still turn out to be a call."""
    packed = "".join(text.split())
    return any(
        step.replace("name", key).startswith(packed)
        for step in _STEPS
        for key in ("name", "function", "type")
    )
