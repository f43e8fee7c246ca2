"""Prompts that ask for a given text to be shortened."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.passages import Passage
from train.prompts.passages_layout import authored, entries, lay_out, made
from train.prompts.prompt import Prompt

_REMINDERS = (
    "Keep it short.",
    "Only the essentials.",
    "Remember: no more than three sentences.",
    "Don't add anything that isn't in the text.",
    "Summary:",
    "Write the summary of the text above.",
    "A few lines are enough.",
    "Just the gist.",
)
_PROSE = tuple(genre for genre in passages.genres() if genre != "infobox")
_ROUNDS = 11
_TOKENS = {"headline": 14, "sentence": 35, "points": 110, "digest": 180, "minutes": 160}


def write(rng: random.Random) -> Iterator[Prompt]:
    """Every authored prompt of this task."""
    yield from authored("summarise", 90)
    for family, instruction in entries("summarise"):
        rounds = _ROUNDS if "{t}" not in instruction else 7
        for _ in range(rounds):
            passage = _text(rng, family)
            text = lay_out(rng, instruction, passage.text, rng.choice(_REMINDERS))
            yield made("summarise", family, text, passage, _TOKENS.get(family, 80))


def _text(rng: random.Random, family: str) -> Passage:
    if family == "digest":
        return Passage("article", "", passages.several(rng, rng.randint(2, 3)))
    if family in ("minutes", "chat"):
        return passages.draw(rng, "meeting", "chat", "interview")
    if family == "plot":
        return passages.draw(rng, "plot", "story")
    lot = rng.random()
    if lot < 0.1:
        return Passage("short", "", passages.short(rng))
    return passages.draw(rng, *_PROSE) if lot < 0.45 else passages.long(rng)
