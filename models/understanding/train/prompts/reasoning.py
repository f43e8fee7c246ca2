"""Prompts whose answer must be deduced: puzzles, common sense, decisions, plans, causes."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from train.prompts.prompt import Prompt
from train.prompts.reasoning_forms import framed, listed, rendered, with_options
from train.prompts.reasoning_grids import grids
from train.prompts.reasoning_words import FRAMES, QUESTION_FRAMES, WORDS

TIMES = 14  # renderings of a template at most
GRIDS = 210


def write(rng: Random) -> Iterator[Prompt]:
    """Yields the prompts of the task `reasoning`."""
    plain = listed("reasoning_lists.txt", "reasoning")
    templates = rendered("reasoning_templates.txt", "reasoning", WORDS, TIMES, rng)
    for prompt in [*plain, *templates]:
        yield replace(prompt, text=framed(prompt.text, FRAMES, 0.25, rng))
    yield from listed("reasoning_foreign.txt", "reasoning")
    for item in listed("reasoning_options.txt", "reasoning"):
        question, *options = item.text.split(" | ")
        question = rng.choice(QUESTION_FRAMES.get(item.family, ("{}",))).replace("{}", question)
        for text in with_options(question, options, 2, rng):
            yield replace(item, text=text)
    yield from grids(rng, GRIDS)
