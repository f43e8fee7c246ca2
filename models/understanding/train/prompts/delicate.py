"""Prompts of every task that touch a delicate topic, and near misses that only sound like it."""

import random
from collections.abc import Iterator
from dataclasses import replace

from train.prompts.prompt import Prompt
from train.prompts.sections import typed_fast, written

LEADS = (
    "", "Hi, ", "Quick one: ", "I'm a bit embarrassed to ask. ", "Please help, ", "Question. ",
    "So, ", "Asking for myself: ", "I don't know who else to ask. ", "Keep it short please. ",
    "Be honest with me: ", "hello ", "Before I call anyone: ",
)  # fmt: skip
HURRIED = 0.3
LED = 0.6  # share of hand-written prompts that come again behind a lead


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts with their own tasks and topics; the same for the same state of `rng`."""
    for prompt in written("delicate.txt"):
        yield prompt
        if "\n" in prompt.text or prompt.task in {"summarise", "extract", "classify", "coding"}:
            continue
        hurried = typed_fast(rng, prompt.text)
        if hurried != prompt.text and rng.random() < HURRIED:
            yield replace(prompt, text=hurried)
        elif rng.random() < LED:
            yield replace(prompt, text=rng.choice(LEADS[1:]) + prompt.text)
