r"""Hand-written prompts and slot lists in text files: one item a line under headed sections.

A line `@ family key=value ...` opens a section; its keys are labels of `Prompt` in short form
(`task`, `lang`, `subject`, `topics`, `tools`, `fresh`, `tokens`, `difficulty`). In an item `\n` is
a line break, and a tab parts the message before (`context`) from the prompt.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.prompts.prompt import Prompt

FOLDER = Path(__file__).parent

LABELS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "task": ("task", str),
    "lang": ("language", str),
    "subject": ("subject", str),
    "topics": ("topics", lambda text: () if text == "none" else tuple(text.split(","))),
    "tools": ("needs_tools", lambda text: text == "yes"),
    "fresh": ("needs_fresh", lambda text: text == "yes"),
    "tokens": ("output_tokens", int),
    "difficulty": ("difficulty", int),
}


@dataclass(frozen=True, slots=True)
class Section:
    """One headed list of items; `labels` are keyword arguments of `Prompt`."""

    family: str
    labels: dict[str, Any]
    items: tuple[str, ...]


def sections(file: str) -> Iterator[Section]:
    """The sections of a text file beside this module; raises `KeyError` for an unknown label."""
    head: list[str] = []
    items: list[str] = []
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("@ "):
            if head:
                yield _section(head, items)
            head, items = line[2:].split(), []
        elif line.strip():
            items.append(line.replace("\\n", "\n").strip(" "))
    if head:
        yield _section(head, items)


def written(file: str, **labels: Any) -> Iterator[Prompt]:
    """The hand-written prompts of a file; a section's own labels win over `labels`."""
    for section in sections(file):
        for item in section.items:
            context, tab, text = item.partition("\t")
            said = {"context": context, "text": text} if tab else {"text": item}
            yield Prompt(**{**labels, **section.labels, **said, "family": section.family})


def slots(file: str) -> dict[str, tuple[str, ...]]:
    """The items of each section of a file of slot lists."""
    return {section.family: section.items for section in sections(file)}


def typed_fast(rng: random.Random, text: str) -> str:
    """`text` as a hurried thumb writes it: lower case, no closing mark, at times a slip."""
    text = text.lower().rstrip(".!?")
    if rng.random() < 0.5:
        text = text.replace("'", "").replace(",", "")
    at = rng.randrange(len(text)) if text else 0
    if rng.random() < 0.3 and text[at : at + 2].isalpha():
        text = text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    return text


def _section(head: list[str], items: list[str]) -> Section:
    labels = {}
    for pair in head[1:]:
        key, _, value = pair.partition("=")
        name, read = LABELS[key]
        labels[name] = read(value)
    return Section(head[0], labels, tuple(items))
