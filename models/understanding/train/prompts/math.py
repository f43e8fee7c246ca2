"""Prompts in which a number or an expression is to be worked out or proved."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from train.prompts.math_words import FRAMES, SHEETS, WORDS
from train.prompts.prompt import Prompt
from train.prompts.reasoning_forms import framed, listed, rendered, with_options

SUBJECT = "mathematics"
TIMES = 14  # renderings of a template at most
SHEET_COUNT = 60


def write(rng: Random) -> Iterator[Prompt]:
    """Yields the prompts of the task `math`."""
    templates = rendered("math_templates.txt", "math", WORDS, TIMES, rng)
    prompts = [*listed("math_lists.txt", "math"), *templates]
    for prompt in prompts:
        text = framed(prompt.text, FRAMES, 0.25, rng)
        yield replace(prompt, text=text, subject=SUBJECT)
    yield from _sheets(prompts, rng)
    for item in listed("math_foreign.txt", "math"):
        yield replace(item, subject=SUBJECT)
    for item in listed("math_options.txt", "math"):
        question, *options = item.text.split(" | ")
        for text in with_options(question, options, 2, rng):
            yield replace(item, text=text, subject=SUBJECT)


def _sheets(prompts: list[Prompt], rng: Random) -> Iterator[Prompt]:
    """Long prompts: several exercises at once, with the instruction before, after or around."""
    for _ in range(SHEET_COUNT):
        chosen = rng.sample(prompts, rng.randint(3, 12))
        mark = rng.choice(("{}. ", "{}) ", "({}) ", "Exercise {}: ", "**{}** "))
        lines = [mark.format(number) + item.text for number, item in enumerate(chosen, 1)]
        tokens = sum(item.output_tokens or 0 for item in chosen)
        text = rng.choice(SHEETS).replace("{}", rng.choice(("\n", "\n\n")).join(lines))
        sheet = replace(chosen[0], text=text, family="math.sheet", subject=SUBJECT, topics=None)
        yield replace(sheet, output_tokens=tokens, difficulty=3)
