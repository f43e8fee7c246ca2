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
_MAY_HAVE_OPTIONS = re.compile(r"[).:]\s(?<=[\s(][A-Ea-e1-5][).:]\s)")
"""What every option but one at the very beginning ends with; begun with signs that are rare."""
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
    first, last = lines[0].rstrip(), lines[-1].strip()
    words = text.split()
    digits = _share(data, _DIGITS, size)
    upper = _share(data, _UPPER, size)
    return [
        *_lengths(text, lines, words),
        *_ending(last),
        *_ending(first),
        *_opening(text),
        digits,
        math.sqrt(digits),
        upper,
        _share(data, _LOWER, size),
        _share(data, _CODE, size) * 4,
        1 - (len(text) + 1) / size if len(data) > len(text) else 0.0,
        *_counts(text, has_digits=digits > 0 or not text.isascii()),
    ]


def _share(data: bytes, letters: bytes, size: int) -> float:
    return 1 - (len(data.translate(None, letters)) + 1) / size


def _lengths(text: str, lines: list[str], words: list[str]) -> list[float]:
    letters = len(text)
    return [
        math.log1p(letters) / 9,
        math.log1p(len(words)) / 7,
        math.log(len(lines)) / 5,
        math.log1p(len(lines[0])) / 9,
        math.log1p(len(lines[-1])) / 9,
        letters / (len(words) + 1) / 12,
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


def _counts(text: str, *, has_digits: bool) -> list[float]:
    options = min(6, len(_OPTION.findall(text))) if _MAY_HAVE_OPTIONS.search(f"\n{text}") else 0
    questions = min(4, text.count("?"))
    return [
        options / 6,
        float(options >= 2),  # noqa: PLR2004 - one is no choice
        questions / 4,
        min(4, len(_ARITHMETIC.findall(text))) / 4 if has_digits else 0.0,
        min(6, sum(len(word.findall(text)) for string, word in _CODE_WORDS if string in text)) / 6,
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
