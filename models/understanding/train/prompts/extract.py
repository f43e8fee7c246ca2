"""Prompts whose answer stands in a given text: reading comprehension, entities, fields, tables."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.passages import Passage
from train.prompts.passages_layout import authored, entries, lay_out, made
from train.prompts.prompt import Prompt

_REMINDERS = (
    "Only use what's in the text.",
    "If it isn't mentioned, say so.",
    "Return nothing else.",
    "Copy the words exactly as they stand.",
    "Answer:",
    "Leave out duplicates.",
    "No explanations.",
)
_FORMS_EACH = 12
_ASKS_EACH = 7
_BARE = 150
_TOKENS = {"json": 90, "list": 60, "table": 90, "facts": 60, "question": 20, "sentence": 40}


def write(rng: random.Random) -> Iterator[Prompt]:
    """Every authored prompt of this task."""
    yield from authored("extract", 25)
    yield from _comprehension(rng)
    yield from _bare(rng)
    for family, instruction in entries("extract"):
        for _ in range(_ASKS_EACH):
            passage = _text(rng, family)
            text = lay_out(rng, instruction, passage.text, rng.choice(_REMINDERS))
            yield made("extract", f"ask.{family}", text, passage, _TOKENS.get(family, 40))


def _comprehension(rng: random.Random) -> Iterator[Prompt]:
    for family, form in entries("extract_forms"):
        for _ in range(_FORMS_EACH):
            passage, question = _pair(rng, family)
            if ", {q}" in form:
                question = question[0].lower() + question[1:]
            text = form.replace("{q}", question).replace("{title}", passage.title or "untitled")
            text = text.replace("{c}", passage.text)
            yield made("extract", f"form.{family}", text, passage, 20)


def _bare(rng: random.Random) -> Iterator[Prompt]:
    """A passage and a question with no label or instruction at all."""
    for _ in range(_BARE):
        passage, question = _pair(rng, "bare")
        gap = rng.choice(("\n\n", "\n", " ", "\n\n\n"))
        if rng.random() < 0.25:
            question = question.lower().rstrip("?")
        order = (passage.text, question) if rng.random() < 0.7 else (question, passage.text)
        yield made("extract", "bare", gap.join(order), passage, 20)


def _pair(rng: random.Random, family: str) -> tuple[Passage, str]:
    if family == "plot":
        passage = rng.choice([p for p in passages.of("plot", "story") if p.questions])
    elif family == "situation":
        passage = passages.draw(rng, "situation")
    elif rng.random() < 0.3:
        return passages.article(rng), rng.choice(passages.lines("article_questions"))
    else:
        passage = rng.choice([p for p in passages.everything() if p.questions])
    return passage, rng.choice(passage.questions)


def _text(rng: random.Random, family: str) -> Passage:
    if family == "table":
        return passages.draw(rng, "infobox")
    if family == "facts":
        return passages.draw(rng, "infobox", "biography")
    if family == "mail":
        return passages.draw(rng, "email", "letter", "chat", "voicemail", "meeting")
    return passages.any_text(rng)
