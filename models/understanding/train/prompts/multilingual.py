"""Prompts of every task in languages other than English."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from train.prompts.prompt import Language, Prompt
from train.prompts.sections import slots, typed_fast, written

FILES = ("multilingual.txt", "multilingual_more.txt")
TEXTS = slots("multilingual_texts.txt")
SPACELESS = ("zh", "ja")  # without letters' cases there is no hurried spelling
HURRIED = 0.35
LONG_TASKS = {"summarise": 60, "rewrite": 110, "translate": 130, "classify": 6, "extract": 25}


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts with their own tasks and languages; the same for the same state of `rng`."""
    for file in FILES:
        for prompt in written(file):
            told = replace(prompt, needs_tools=prompt.task == "tool_use", needs_fresh=None)
            yield told
            cased = prompt.language not in SPACELESS and "\n" not in prompt.text
            hurried = typed_fast(rng, prompt.text)
            if cased and hurried != prompt.text and rng.random() < HURRIED:
                yield replace(told, text=hurried)
    yield from _long()


def _long() -> Iterator[Prompt]:
    """A whole text under an instruction in its own language, under one in English, and bare."""
    for written_in in _languages():
        for place, text in enumerate(TEXTS[f"{written_in}.texts"]):
            for task, tokens in LONG_TASKS.items():
                own = TEXTS[f"{written_in}.form_{task}"]
                english = TEXTS[f"en.form_{task}"]
                for form in (*own, english[place % len(english)]):
                    yield Prompt(
                        form.replace("{t}", text),
                        task,
                        f"{written_in}.long_{task}",
                        language=written_in,
                        needs_tools=False,
                        needs_fresh=False,
                        output_tokens=tokens,
                        difficulty=1,
                    )
            yield Prompt(text, "unknown", f"{written_in}.long_bare", language=written_in)


def _languages() -> list[Language]:
    known: tuple[Language, ...] = get_args(Language)
    return [language for language in known if f"{language}.texts" in TEXTS]
