"""Prompts that ask to write, mend, explain, review or run code."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from train.prompts.coding_words import (
    INPUT_FRAMES,
    MODULE_FRAMES,
    NAMES,
    OUTPUT_FRAMES,
    PASTE_FRAMES,
    STUDY_FRAMES,
    TASK_FRAMES,
    WORDS,
)
from train.prompts.prompt import Prompt
from train.prompts.reasoning_forms import blocks, fill, listed, rendered
from train.prompts.sections import FOLDER

TIMES = 15  # renderings of a template at most
PASTES = 6  # questions on a snippet
MODULES = 60


def write(rng: Random) -> Iterator[Prompt]:
    """Yields the prompts of the task `coding`."""
    for name in ("coding_oneliners.txt", "coding_lists.txt", "coding_foreign.txt"):
        yield from listed(name, "coding")
    for head, text in blocks("coding_long.txt"):
        family, tokens, difficulty = head
        yield _prompt(text, f"coding.{family}", int(tokens), int(difficulty))
    yield from rendered("coding_templates.txt", "coding", WORDS, TIMES, rng)
    yield from _tasks(rng)
    yield from _functions(rng)
    yield from _pasted(rng)
    yield from _modules(rng)


def _prompt(text: str, family: str, tokens: int, difficulty: int) -> Prompt:
    blank = Prompt(text, "coding", family, needs_tools=False, needs_fresh=False, topics=())
    return replace(blank, output_tokens=tokens, difficulty=difficulty)


def _tasks(rng: Random) -> Iterator[Prompt]:
    """Every task in two of the ways of asking for a function; a family is a way of asking."""
    for task in (FOLDER / "coding_tasks.txt").read_text(encoding="utf-8").splitlines():
        for number in rng.sample(range(len(TASK_FRAMES)), 2):
            frame = TASK_FRAMES[number].replace("{lang}", fill("[[language]]", WORDS, rng))
            yield _prompt(frame.replace("{}", task), f"coding.task.{number}", 250, 2)


def _functions(rng: Random) -> Iterator[Prompt]:
    """Every function with questions on a call, on a result and on itself."""
    for (language,), block in blocks("coding_functions.txt"):
        code, *calls = block.split("\n#> ")
        runs = [call.split(" => ") for call in calls]
        for call, value in runs:
            yield _asked("output", rng.choice(OUTPUT_FRAMES), (language, code, call, value))
        call, value = rng.choice(runs)
        name = call.partition("(")[0]
        if name != "list":
            frame = rng.choice(INPUT_FRAMES).replace("f(??)", f"{name}(??)")
            yield _asked("input", frame.replace(" f ", f" {name} "), (language, code, call, value))
        yield _asked("study", rng.choice(STUDY_FRAMES), (language, code, call, value))


def _pasted(rng: Random) -> Iterator[Prompt]:
    """Every snippet and its error in several of the ways of asking about pasted code."""
    for (language, *error), code in blocks("coding_snippets.txt"):
        for number in rng.sample(range(len(PASTE_FRAMES)), PASTES):
            frame = PASTE_FRAMES[number].replace("{lang}", language)
            text = frame.replace("{error}", " ".join(error)).replace("{code}", code)
            yield _prompt(text, f"coding.paste.{number}", 300, 2)


def _modules(rng: Random) -> Iterator[Prompt]:
    """Long prompts: a module of many functions, with the question before, after or around."""
    code = [block.split("\n#> ")[0] for (language,), block in blocks("coding_functions.txt")]
    python = [text for text in code if text.startswith("def f(") and "f(" not in text[6:]]
    for number in range(MODULES):
        chosen = rng.sample(python, rng.randint(3, 11))
        named = zip(rng.sample(NAMES, len(chosen)), chosen, strict=False)
        text = "\n\n\n".join(body.replace("def f(", f"def {name}(") for name, body in named)
        frame = MODULE_FRAMES[number % len(MODULE_FRAMES)]
        yield _prompt(frame.replace("{code}", text), "coding.module", 600, 3)


def _asked(family: str, frame: str, parts: tuple[str, str, str, str]) -> Prompt:
    for key, part in zip(("{lang}", "{code}", "{call}", "{value}"), parts, strict=True):
        frame = frame.replace(key, part)
    return _prompt(frame, f"coding.function.{family}", 60 if family != "study" else 250, 2)
