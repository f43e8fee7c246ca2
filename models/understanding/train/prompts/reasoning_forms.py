"""Forms shared by the maths, coding and reasoning prompts: slots, blocks, options and frames.

In a template `[[3-12]]` is a number, `[[a|b]]` a choice, `[[name]]` a word of a list, and
`[[x=...]]` remembers what was drawn for a later `[[x]]`; slots may stand in a choice.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from string import ascii_lowercase, ascii_uppercase

from train.prompts.prompt import Prompt
from train.prompts.sections import FOLDER, written

RANGE = re.compile(r"(-?\d+)-(-?\d+)")
SLOT = re.compile(r"\[\[(?:(\w+)=)?((?:(?!\[\[|\]\]).)+)\]\]")  # the innermost

Words = Mapping[str, Sequence[str]]


def listed(name: str, task: str) -> Iterator[Prompt]:
    """Yields the items of a list; a section is a family of the task, on no delicate topic."""
    for prompt in written(name, task=task, topics=(), needs_tools=False, needs_fresh=False):
        yield replace(prompt, family=f"{task}.{prompt.family}")


def blocks(name: str) -> Iterator[tuple[list[str], str]]:
    """Yields the items of several lines of a file: the words after their `@@`, and their text."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for block in re.split(r"^@@ (?=[a-z])", text, flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        yield head.split(), body.strip("\n")


def fill(template: str, words: Words, rng: Random) -> str:
    """Returns the template with its slots drawn anew; no two slots of a list share a word."""
    drawn: dict[str, str] = {}
    taken: list[str] = []

    def draw(match: re.Match[str]) -> str:
        key, slot = match.groups()
        if slot in drawn:
            return drawn[slot]
        value = _draw(slot, words, rng, taken)
        if key:
            drawn[key] = value
        return value

    text, slots = template, 1
    while slots:
        text, slots = SLOT.subn(draw, text)
    return text


def _draw(slot: str, words: Words, rng: Random, taken: list[str]) -> str:
    if span := RANGE.fullmatch(slot):
        return str(rng.randint(int(span[1]), int(span[2])))
    if "|" in slot:
        return rng.choice(slot.split("|"))
    value = rng.choice([word for word in words[slot] if word not in taken])
    taken.append(value)
    return value


def rendered(templates: str, task: str, words: Words, times: int, rng: Random) -> Iterator[Prompt]:
    """Yields every template of a list up to `times` times, without repeats."""
    for template in listed(templates, task):
        seen = dict.fromkeys(fill(template.text, words, rng) for _ in range(times))
        yield from (replace(template, text=text) for text in seen)


def with_options(question: str, options: Sequence[str], times: int, rng: Random) -> list[str]:
    """Puts a question and its options in `times` of the ways in which tests and people do."""
    shown = list(options)
    rng.shuffle(shown)
    letters = ascii_uppercase[: len(shown)]
    upper = list(zip(letters, shown, strict=True))
    lower = list(zip(ascii_lowercase, shown, strict=False))
    lines = "\n".join(f"{letter}. {text}" for letter, text in upper)
    brackets = " ".join(f"({letter}) {text}" for letter, text in upper)
    counted = [f"{number}. {text}" for number, text in enumerate(shown, 1)]
    forms = (
        f"{question}\n{lines}",
        f"{question}\n{lines}\nAnswer:",
        f"Question: {question}\n{lines}\nAnswer:",
        f"{question} {brackets}",
        f"{question}\n" + "\n".join(f"({letter}) {text}" for letter, text in upper),
        f"{question}\n\n" + "\n".join(f"{letter}) {text}" for letter, text in lower),
        f"{question}\nOptions:\n" + "\n".join(f"- {text}" for text in shown),
        f"{question}\nOPTIONS:\n- " + "\n- ".join(shown) + "\nAnswer:",
        f"Q: {question}\nAnswer Choices: {brackets}\nA:",
        f"{question}\nchoices: {shown!r}",
        f"{question}\n" + "\n".join(f"{i}: {text}" for i, text in enumerate(shown)),
        f"{question}\n" + "\n".join(counted),
        f"{question} Choose one: {', '.join(shown[:-1])} or {shown[-1]}.",
        f"{question} {' / '.join(shown)}",
        f"Choose the best answer.\n\n{question}\n\n{lines}\n\nRespond with the letter only.",
        f"Here is a question with {len(shown)} possible answers. Pick one.\n{question}\n{lines}",
        f"{question}\n\n{lines}\n\nThink step by step, then give the letter.",
        f"{question.rstrip('?. ').lower()} - {' or '.join(text.lower() for text in shown)}?",
        f"Pick the right option: {'; '.join(f'{i}) {t}' for i, t in enumerate(shown, 1))}\n"
        f"The question is: {question}",
        f"### Question\n{question}\n\n### Choices\n{lines}\n\n### Answer\n",
    )
    return rng.sample(forms, times)


def framed(text: str, frames: Sequence[str], share: float, rng: Random) -> str:
    """Puts a share of the texts into a frame (`{}` is the text) and roughens a few of them."""
    chance = rng.random()
    if chance < share:
        return rng.choice(frames).replace("{}", text)
    if chance > 1 - share / 4:
        return text.lower().rstrip("?.! ")
    return text
