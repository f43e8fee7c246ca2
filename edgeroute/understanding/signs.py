"""How a text looks, whatever it says: 40 figures, each about 0..1.

Owns what is counted. Every count is one pass in C over at most `inputs.ENDS` twice.
"""

import math
import re
from typing import Final

_DIGITS = b"0123456789"
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_LOWER = bytes(range(ord("a"), ord("z") + 1))
_CODE = b"{}()[]<>=;_*&|#\\"
_OPTION = re.compile(r"(?:^|\n|\s)\(?([A-Ea-e1-5])[).:]\s")
_ARITHMETIC = re.compile(r"\d\s*[-+*/^=\u00d7\u00f7]\s*\(?\d")
_KINDS = (
    (b"ABCDEabcde12345", b"a"), (b").:", b"."), (b"(", b"("),
    (b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f", b" "),
)  # fmt: skip
_KIND = bytes(next((kind[0] for of, kind in _KINDS if code in of), 0) for code in range(256))
"""What a character of ASCII may be of an option; what then looks like one, `_OPTION` reads."""
_LIKE_OPTIONS = (b" a. ", b" (a. ")
_CODE_WORDS = tuple(
    (word, re.compile(rf"{word}\b(?<!\w{word})"))  # a word of its own, looked for as a string is
    for word in (
        "def", "return", "import", "assert", "class", "self", "const", "let", "var", "void", "int",
        "SELECT", "FROM", "None", "null",
    )
)  # fmt: skip
_QUOTES = ('"', "\u201c", "\u00ab")
_CLOSED = ".!?"
_SHORT, _LONG = 25, 600
"""Characters of a command, and of what somebody has pasted."""

COUNT: Final = 40


def signs(text: str) -> list[float]:
    """The figures of a text that is not longer than what is read; a lone surrogate is harmless."""
    data = text.encode("utf-8", "replace")
    size = len(data) + 1
    text = text.strip()
    lines = [line for line in text.split("\n") if line.strip()] or [""]
    others = data.translate(None, _LOWER)  # few, so that what follows has little to read
    marks = others.translate(None, _UPPER)
    bare = marks.translate(None, _DIGITS)
    digits = (len(marks) - len(bare)) / size
    return [
        *_lengths(text, lines),
        *_ending(lines[-1].strip()),
        *_ending(lines[0].rstrip()),
        *_opening(text),
        digits,
        math.sqrt(digits),
        (len(others) - len(marks)) / size,
        (len(data) - len(others)) / size,
        (len(bare) - len(bare.translate(None, _CODE))) / size * 4,
        1 - (len(text) + 1) / size if len(data) > len(text) else 0.0,
        *_counts(text, data, has_digits=digits > 0),
    ]


def _lengths(text: str, lines: list[str]) -> list[float]:
    letters, words = len(text), len(text.split())
    return [
        math.log1p(letters) / 9,
        math.log1p(words) / 7,
        math.log(len(lines)) / 5,
        math.log1p(len(lines[0])) / 9,
        math.log1p(len(lines[-1])) / 9,
        letters / (words + 1) / 12,
        float(letters < _SHORT),
        float(letters > _LONG),
    ]


def _ending(line: str) -> list[float]:
    end = line[-1:]
    return [
        float(end == "?"),
        float(end == ":"),
        float(end in _CLOSED),
        float(end.isalnum()),
    ]


def _opening(text: str) -> list[float]:
    start = text[:1]
    return [float(start.islower()), float(start.isupper()), float(start.isdecimal())]


def _counts(text: str, data: bytes, *, has_digits: bool) -> list[float]:
    is_ascii = text.isascii()
    options = len(_OPTION.findall(text)) if not is_ascii or _may_have_options(data) else 0
    code = [word for string, word in _CODE_WORDS if string in text]
    return [
        min(6, options) / 6,
        float(options >= 2),  # noqa: PLR2004 - one is no choice
        min(4, text.count("?")) / 4,
        min(4, len(_ARITHMETIC.findall(text))) / 4 if has_digits or not is_ascii else 0.0,
        min(6, sum(len(word.findall(text)) for word in code)) / 6 if code else 0.0,
        float("```" in text),
        min(6, text.count("$") + text.count("\\")) / 6,
        min(6, sum(map(text.count, _QUOTES))) / 6,
        min(8, text.count(",")) / 8,
        min(8, text.count(":")) / 8,
        min(4, text.count("\n\n")) / 4,
        float("__" in text or "..." in text),
        min(6, text.count("\n- ") + text.count("\n* ") + text.count("|")) / 6,
        float("http" in text or "www." in text),
        float("@" in text),
    ]


def _may_have_options(data: bytes) -> bool:
    """Whether a search is worth it; what stands at the very beginning has a space before it."""
    kinds = b" " + data.translate(_KIND)
    return any(like in kinds for like in _LIKE_OPTIONS)
