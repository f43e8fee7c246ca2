"""Prompts that ask for a given text to be said differently: paraphrase, tone, correction, form."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.passages import Passage
from train.prompts.passages_layout import authored, entries, lay_out, made
from train.prompts.prompt import Prompt

_EACH = 11
_REMINDERS = (
    "Keep the meaning.",
    "Don't shorten it.",
    "Give me only the new version.",
    "No comments, just the text.",
    "Change as little as you can.",
    "Rewritten:",
    "Paraphrase:",
    "Use other words, same facts.",
)
_SLIPS = (
    ("their", "there"),
    ("its", "it's"),
    ("than", "then"),
    ("was", "were"),
    ("were", "was"),
    ("has", "have"),
    ("have", "has"),
    ("the", "teh"),
    ("because", "becuase"),
    ("which", "wich"),
    ("received", "recieved"),
    ("until", "untill"),
    ("who", "wich"),
    ("fell", "falled"),
    ("went", "goed"),
    ("could", "coud"),
    ("too", "to"),
    ("every", "evry"),
    ("before", "befor"),
    ("said", "sayed"),
)


def write(rng: random.Random) -> Iterator[Prompt]:
    """Every authored prompt of this task."""
    yield from authored("rewrite", 40)
    for family, instruction in entries("rewrite"):
        for _ in range(_EACH):
            passage = _text(rng, family.partition("/")[0])
            text = lay_out(rng, instruction, passage.text, rng.choice(_REMINDERS))
            tokens = 60 if family.endswith("brief") else int(passage.words * 1.4) + 4
            yield made("rewrite", family, text, passage, tokens)


def _text(rng: random.Random, family: str) -> Passage:
    if family == "article":
        return passages.article(rng) if rng.random() < 0.6 else passages.long(rng)
    if family == "message":
        lot = rng.random()
        if lot < 0.5:
            return Passage("message", "", rng.choice(passages.lines("messages")))
        return passages.draw(rng, "email", "letter", "chat", "voicemail")
    if family in ("sentence", "correct"):
        text = passages.any_sentence(rng) if rng.random() < 0.75 else passages.short(rng)
        return Passage("sentence", "", _spoilt(rng, text) if family == "correct" else text)
    if family == "question":
        return Passage("question", "", rng.choice(passages.lines("questions")))
    return passages.any_text(rng)


def _spoilt(rng: random.Random, text: str) -> str:
    """The text with slips of spelling and grammar."""
    words = text.split()
    slips = dict(_SLIPS)
    words = [slips.get(word, word) if rng.random() < 0.8 else word for word in words]
    at = rng.randrange(1, len(words))
    words[at] = (
        words[at][1:] if rng.random() < 0.4 and len(words[at]) > 4 else words[at] + words[at][-1:]
    )
    spoilt = " ".join(words)
    if rng.random() < 0.5:
        spoilt = spoilt.lower().replace("'", "").replace(",", "")
    return spoilt.rstrip(".") if rng.random() < 0.4 else spoilt
