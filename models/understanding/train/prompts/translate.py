"""Prompts that ask for the same in another language."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.prompt import Prompt
from train.prompts.sections import slots, typed_fast, written

SLOTS = slots("translate_slots.txt")
HURRIED = 0.12
LONGEST = 450  # words of a passage
KINDS = (("into", 15, 35), ("word", 13, 12), ("from", 14, 35))  # family, renderings, answer tokens
EACH_LONG = 15


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of the task `translate`; the same for the same state of `rng`."""
    yield from dict.fromkeys(_all(rng))


def _all(rng: random.Random) -> Iterator[Prompt]:
    """As `write`, with the repetitions that chance brings."""
    yield from written("translate.txt", task="translate", needs_tools=False, needs_fresh=False)
    for family, renderings, tokens in KINDS:
        for place, form in enumerate(SLOTS[f"{family}_forms"]):
            for _ in range(renderings):
                text = _filled(rng, form)
                if family != "from" and "\n" not in text and rng.random() < HURRIED:
                    text = typed_fast(rng, text)
                yield _prompt(text, f"{family}{place // 5}", tokens)
    texts = [passage.text for passage in passages.everything() if passage.words <= LONGEST]
    for form in SLOTS["long_forms"]:
        for text in rng.sample(texts, min(EACH_LONG, len(texts))):
            filled = _filled(rng, form).replace("{t}", text)
            yield _prompt(filled, "long", len(text.split()) * 3 // 2)


def _prompt(text: str, family: str, tokens: int) -> Prompt:
    return Prompt(
        text,
        "translate",
        f"translate.{family}",
        needs_tools=False,
        needs_fresh=False,
        output_tokens=tokens,
        difficulty=1,
    )


def _filled(rng: random.Random, form: str) -> str:
    into, other = rng.sample(SLOTS["languages"], 2)
    phrase, second = rng.sample(SLOTS["phrases"], 2)
    if '"{p}"' in form and rng.random() < 0.5:
        phrase = phrase.rstrip(".")
    values = {
        "{l}": into,
        "{m}": other,
        "{p}": phrase,
        "{r}": second,
        "{w}": rng.choice(SLOTS["words"]),
        "{f}": rng.choice(SLOTS["foreign"]),
    }
    for slot, value in values.items():
        form = form.replace(slot, value)
    return form
