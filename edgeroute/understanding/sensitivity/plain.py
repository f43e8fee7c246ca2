"""A text as a reader sees it, and where each of its characters came from.

Owns what makes two texts look the same to a person or a model and different to a pattern:
compatibility forms, invisible characters, look-alike letters, escapes, `[at]`, digits as words,
characters with spaces between them. Every step keeps the way back to the text as it was given.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from edgeroute.understanding.sensitivity.wording import any_of
from edgeroute.understanding.words import Said, words

Origin = Sequence[int]
"""For each character, the index of the one it came from; one more entry for the end."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A text without disguise.

    Attributes:
        text: What patterns read.
        lower: The same in small letters, of the same length.
        digits: How many digits it has; all are ASCII. Most patterns need some.
        origin: Where each character came from, or `None` where nothing moved.
    """

    text: str
    lower: str
    digits: int
    origin: Origin | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """A span of `text` as a span of the text as it was given; it is not empty."""
        if self.origin is None:
            return start, end
        return self.origin[start], max(self.origin[end], self.origin[start] + 1)


def plain(text: str) -> Plain:
    """Undo every disguise that is cheap to undo."""
    folded, origin = _fold(text)
    said = _said(folded)
    for applies, pattern, reading in _DISGUISES:
        if applies(said):
            read, origin = _substitute(said.source, origin, pattern, reading)
            if read != said.source:
                said = _said(read)
    data = said.source.encode()
    digits = len(data) - len(data.translate(None, _DIGITS))
    return Plain(said.source, said.lower, digits, origin)


_DIGITS = b"0123456789"


def _said(text: str) -> Said:
    lower = _lower(text)
    return Said(text, lower, words(lower))


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


# ---- one character at a time -------------------------------------------------------------------

_LOOK_ALIKES = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԝһкΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορτυχɑɡıℓօ",
        "ABESIJKMHOPCTYXaesijopcyxdqwhkABEZHIKMNOPTYXaivoptyxagilo",
        strict=True,
    )
)
"""Cyrillic, Greek and other letters that are drawn like Latin ones."""
_QUOTES = dict.fromkeys("\u2018\u2019\u02bc\u2032", "'") | dict.fromkeys("\u201c\u201d\u201e", '"')
_SPELT = {"ß": "ss", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"}
"""Letters without a decomposition, as they are typed where a keyboard lacks them."""
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_KEPT_CONTROLS = "\t\n\r"
_REMEMBERED = 8192
"""Characters whose reading is kept; more are worked out each time."""
_EVEN = bytes((9, 10, 13, *range(32, 127)))
"""What is read as it is written."""


class _Folding(dict[str, str]):
    """From a character to how it is read: compatibility form, no accent, no look-alike."""

    def __missing__(self, char: str) -> str:
        category = unicodedata.category(char)
        if char in _DASHES:
            read = "-"
        elif category in {"Cf", "Cc", "Mn", "Me", "Cs"} and char not in _KEPT_CONTROLS:
            read = ""
        elif category == "Zs":
            read = " "
        elif category == "Nd":
            read = str(unicodedata.decimal(char))
        else:
            parts = unicodedata.normalize("NFKD", char)
            bare = "".join(c for c in parts if unicodedata.category(c) != "Mn") or char
            read = "".join(_LOOK_ALIKES.get(c, c) for c in bare)
        if len(self) < _REMEMBERED:
            self[char] = read
        return read


_FOLDING = _Folding({chr(code): chr(code) for code in range(32, 127)} | _SPELT | _QUOTES)


def fold(text: str) -> str:
    """The folded text alone, for words that patterns look for."""
    return _lower(_fold(text)[0])


def _fold(text: str) -> tuple[str, Origin | None]:
    if text.isascii() and not text.encode().translate(None, _EVEN):
        return text, None
    pieces = [_FOLDING[char] for char in text]
    folded = "".join(pieces)
    if len(folded) == len(text) and all(pieces):
        return folded, None
    origin = [index for index, piece in enumerate(pieces) for _ in piece]
    origin.append(len(text))
    return folded, origin


# ---- several characters that stand for one -----------------------------------------------------

_ESCAPE = re.compile(
    r"[\\%&](?:(?<=%)([2-7][0-9a-fA-F])"
    r"|(?<=&)(?:#(\d{2,5})|#[xX]([0-9a-fA-F]{2,4})|(amp|quot|lt|gt|commat));"
    r"|(?<=\\)\\{0,7}(?:u([0-9a-fA-F]{4})|([\"'/])|[nrt]))"
)
_CODE_POINTS = 0x10000
_ENTITIES = {"amp": "&", "quot": '"', "lt": "<", "gt": ">", "commat": "@"}


def _unescaped(match: re.Match[str]) -> str:
    percent, decimal, hexadecimal, entity, code, quoted = match.groups()
    if percent:
        return unquote(match[0])
    if entity:
        return _ENTITIES[entity]
    if quoted:
        return str(quoted)
    if number := code or hexadecimal:
        return _FOLDING[chr(int(number, 16))]
    if decimal and int(decimal) < _CODE_POINTS:
        return _FOLDING[chr(int(decimal))]
    return " "


_AT_DOT = re.compile(
    r"[\[({<] ?(?:(at|arroba|chez|@)|dot|punkt|punto|point|ponto|\.) ?[\])}>]", re.IGNORECASE
)
_SPOKEN_ADDRESS = re.compile(
    r"(?<![\w.+-])([\w.+-]{1,64}) (?:at|arroba) ([\w-]{1,63})"
    r"((?: (?:dot|punto|punkt) [\w-]{2,24}){1,4})(?!\w)",
    re.IGNORECASE,
)
_SPOKEN_DOT = re.compile(r" (?:dot|punto|punkt) ", re.IGNORECASE)
_DOTS = frozenset((b"dot", b"punto", b"punkt"))


def _address(match: re.Match[str]) -> str:
    return f"{match[1]}@{match[2]}{_SPOKEN_DOT.sub('.', match[3])}"


_DIGIT_WORDS = (
    "zero one two three four five six seven eight nine",
    "null eins zwei drei vier funf sechs sieben acht neun",
    "zero un deux trois quatre cinq six sept huit neuf",
    "cero uno dos tres cuatro cinco seis siete ocho nueve",
)
_BY_LANGUAGE = tuple(named.split() for named in _DIGIT_WORDS)
_VALUES = {word: str(value) for named in _BY_LANGUAGE for value, word in enumerate(named)} | {
    "oh": "0",
    "zwo": "2",
}
_TELLING = tuple([word for word in named if len(word) > 3] for named in _BY_LANGUAGE)  # noqa: PLR2004
"""Without the short ones, which are parts of other words."""
_ANY_TELLING = frozenset(word.encode() for telling in _TELLING for word in telling)
_FEWEST_WORDS = 3
_WORD = any_of(_VALUES)
_SPOKEN_NUMBER = re.compile(rf"\b(?:(?:{_WORD})[ ,.-]{{1,2}}){{5,40}}(?:{_WORD})\b", re.IGNORECASE)
_SPOKEN_DIGIT = re.compile(rf"({_WORD})[ ,.-]{{0,2}}", re.IGNORECASE)


def _may_spell_a_number(said: Said) -> bool:
    if said.words is not None and _ANY_TELLING.isdisjoint(said.words):
        return False
    return any(sum(map(said.lower.count, telling)) >= _FEWEST_WORDS for telling in _TELLING)


def _digits(match: re.Match[str]) -> str:
    return _SPOKEN_DIGIT.sub(lambda word: _VALUES[word[1].lower()], match[0])


_SPACED = re.compile(r"(?<![^\s=:\"'(])[!-~](?: {1,3}[!-~]){6,}(?!\S)")
_SPACED_GATE = re.compile(r" \S \S \S ")
_GAP = re.compile(r" {2,3}")


def _closed_up(match: re.Match[str]) -> str:
    """`p a s s` is `pass`; a wider gap stays as one space."""
    return " ".join(word.replace(" ", "") for word in _GAP.split(match[0]))


def _may_be_escaped(said: Said) -> bool:
    text = said.source
    return "\\" in text or "%" in text or "&" in text


def _may_bracket_a_sign(said: Said) -> bool:
    text = said.source
    return "(" in text or "[" in text or "{" in text or "<" in text


def _may_speak_an_address(said: Said) -> bool:
    if said.words is not None:
        return not _DOTS.isdisjoint(said.words)
    return _SPOKEN_DOT.search(said.source) is not None


def _may_be_spaced(said: Said) -> bool:
    return _SPACED_GATE.search(said.source) is not None


Disguise = tuple[Callable[[Said], bool], re.Pattern[str], Callable[[re.Match[str]], str]]

_DISGUISES: tuple[Disguise, ...] = (
    (_may_be_escaped, _ESCAPE, _unescaped),
    (_may_bracket_a_sign, _AT_DOT, lambda match: "@" if match[1] else "."),
    (_may_speak_an_address, _SPOKEN_ADDRESS, _address),
    (_may_spell_a_number, _SPOKEN_NUMBER, _digits),
    (_may_be_spaced, _SPACED, _closed_up),
)


def _substitute(
    text: str,
    origin: Origin | None,
    pattern: re.Pattern[str],
    reading: Callable[[re.Match[str]], str],
) -> tuple[str, Origin | None]:
    """Replace what matches; all of a replacement comes from where its match begins to its end."""
    pieces: list[str] = []
    moved: list[int] = []
    before = range(len(text) + 1) if origin is None else origin
    last = 0
    for match in pattern.finditer(text):
        read = reading(match)
        pieces += (text[last : match.start()], read)
        moved += before[last : match.start()]
        moved += _spread(read, match[0], before[match.start() : match.end() + 1])
        last = match.end()
    if not pieces:
        return text, origin
    pieces.append(text[last:])
    moved += before[last:]
    return "".join(pieces), moved


def _spread(read: str, written: str, origin: Origin) -> list[int]:
    """Where each character that is read was written: found in order, else where the search is."""
    moved = []
    at = 0
    for char in read:
        found = written.find(char, at)
        moved.append(origin[at if found < 0 else found])
        at = at if found < 0 else found + 1
    return moved
