"""Authored texts of many genres, which other modules put under an instruction, or under none.

Long ones stand in `passages/*.txt`: a line `== genre | title` opens each, and lines that begin
with `? ` after its text are questions that it answers. One-line ones stand in `passages/*.lst`.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from train.prompts import passages_newsroom

_FOLDER = Path(__file__).parent.parent / "passages"
_LONG = 110  # words
_SHORT, _LONGEST = 8, 40  # words of a sentence worth asking about
_TOLD = ("encyclopaedia", "biography", "history", "news")
_MARKERS = ("\n\n", "\n\n---\n\n", "\n|||||\n", "\n\n***\n\n", "\n\n[next]\n\n", "\n\n#####\n\n")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text without an instruction.

    Attributes:
        genre: Its file's word for it, such as `news` or `review+` (a favourable review).
        title: A headline or name; may be empty.
        text: The passage; paragraphs are separated by blank lines.
        questions: Questions that the text answers; may be empty.
    """

    genre: str
    title: str
    text: str
    questions: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        """How many words the text has."""
        return len(self.text.split())


def _parse(block: str) -> Passage:
    head, _, body = block.partition("\n")
    genre, _, title = (part.strip() for part in head.partition("|"))
    lines = body.strip().splitlines()
    questions = tuple(line[2:].strip() for line in lines if line.startswith("? "))
    text = "\n".join(line for line in lines if not line.startswith("? ")).strip()
    return Passage(genre, title, text, questions)


@cache
def everything() -> tuple[Passage, ...]:
    """Every authored passage, in the order of file and place."""
    found: list[Passage] = []
    for path in sorted(_FOLDER.glob("*.txt")):
        blocks = ("\n" + path.read_text(encoding="utf-8")).split("\n== ")
        found.extend(_parse(block) for block in blocks[1:])
    return tuple(found)


@cache
def genres() -> tuple[str, ...]:
    """Every genre there is, sorted."""
    return tuple(sorted({passage.genre for passage in everything()}))


@cache
def of(*names: str) -> tuple[Passage, ...]:
    """The passages of these genres; of all where none is named."""
    return tuple(p for p in everything() if not names or p.genre in names)


@cache
def lines(name: str) -> tuple[str, ...]:
    r"""The lines of `passages/<name>.lst`, `\n` unescaped; `#` opens a comment line."""
    text = (_FOLDER / f"{name}.lst").read_text(encoding="utf-8")
    rows = (row.strip() for row in text.splitlines())
    return tuple(row.replace("\\n", "\n") for row in rows if row and not row.startswith("# "))


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The lines of `passages/<name>.lst`, split at their tabs."""
    return tuple(tuple(line.split("\t")) for line in lines(name))


def draw(rng: random.Random, *names: str) -> Passage:
    """A passage of one of these genres; of any where none is named."""
    return rng.choice(of(*names))


def article(rng: random.Random) -> Passage:
    """A news-like article of 150-600 words, put together from authored sentences."""
    headline, text = passages_newsroom.report(rng)
    return Passage("article", headline, text)


def review(rng: random.Random) -> Passage:
    """A review of 2-14 authored sentences on a film, a place or a thing, with a verdict."""
    kind = rng.choice(("film", "place", "thing"))
    verdict = rng.choice("++--0")
    sentences = [row[2] for row in rows("reviews") if row[0] == kind and row[1] in ("0", verdict)]
    if verdict == "0":
        sentences = [row[2] for row in rows("reviews") if row[0] == kind]
    told = pick(rng, sentences, rng.randint(2, 14))
    return Passage(f"review{verdict}", "", rng.choice((" ", " ", " ", "\n")).join(told))


def long(rng: random.Random) -> Passage:
    """A text of 110 words or more: an authored one, or as often an article."""
    if rng.random() < 0.5:
        return article(rng)
    return rng.choice([p for p in everything() if p.words >= _LONG])


def short(rng: random.Random) -> str:
    """A text of one to three sentences; a third of them stand together in a longer passage."""
    if rng.random() < 0.67:
        return rng.choice(lines("shorts"))
    parts = _sentences(rng.choice(of(*_TOLD)))
    start = rng.randrange(max(1, len(parts) - 2))
    return " ".join(parts[start : start + rng.randint(1, 3)])


def sentence(rng: random.Random) -> str:
    """A single sentence."""
    return rng.choice(lines("sentences"))


def _sentences(passage: Passage) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", passage.text.replace("\n", " "))


@cache
def _told() -> tuple[str, ...]:
    """The sentences of the encyclopaedic and news passages, apart from the very short and long."""
    parts = (part for passage in of(*_TOLD) for part in _sentences(passage))
    return tuple(part for part in parts if _SHORT <= len(part.split()) <= _LONGEST)


def any_sentence(rng: random.Random) -> str:
    """A single sentence, or as often one out of an encyclopaedic or news passage."""
    return sentence(rng) if rng.random() < 0.5 else rng.choice(_told())


def any_text(rng: random.Random) -> Passage:
    """Any text at all: of one sentence up to several hundred words."""
    lot = rng.random()
    if lot < 0.1:
        return Passage("sentence", "", sentence(rng))
    if lot < 0.25:
        return Passage("short", "", short(rng))
    if lot < 0.32:
        return review(rng)
    return draw(rng) if lot < 0.75 else long(rng)


def several(rng: random.Random, count: int) -> str:
    """Several articles about as many matters, separated by one marker."""
    return rng.choice(_MARKERS).join(article(rng).text for _ in range(count))


def fragment(rng: random.Random) -> str:
    """A part of a longer text, cut wherever it happens, as a copied selection is."""
    words = long(rng).text.split()
    start = rng.randrange(len(words) // 2)
    return " ".join(words[start : start + rng.randint(8, 120)])


def pick(rng: random.Random, values: Sequence[str], count: int) -> list[str]:
    """Some of the values, each once, in a random order."""
    return rng.sample(list(values), min(count, len(values)))
