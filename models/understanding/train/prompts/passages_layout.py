"""Puts an instruction and a text together in the ways in which people and data sets do."""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from train.prompts.passages import Passage
from train.prompts.prompt import Prompt

_FOLDER = Path(__file__).parent
_DELICATE: dict[str, tuple[str, ...]] = {
    "doctor": ("health",),
    "voicemail": ("health",),
    "health": ("health",),
    "legal": ("legal",),
    "bank": ("finance",),
}
_HARMLESS = (
    *("film", "plot", "story", "restaurant", "recipe", "encyclopaedia", "infobox"),
    *(
        "situation",
        "book",
        "music",
        "game",
        "theatre",
        "travel",
        "product",
        "garage",
        "app",
        "hotel",
    ),
)
_BEFORE = (
    "{i}\n\n{t}",
    "{i}\n\n{t}",
    "{i}\n{t}",
    "{i}\n\n{t}\n\n",
    '{i}\n\n"{t}"',
    '{i}\n"""\n{t}\n"""',
    "{i}\n\n```\n{t}\n```",
    "{i}\n\n---\n{t}\n---",
    "{i}\n\n<text>\n{t}\n</text>",
    "{i}\n\nText:\n{t}",
    "{i}\n\nText: {t}\nAnswer:",
    "{i}\n### Input:\n{t}\n### Output:",
    "### Instruction:\n{i}\n\n### Input:\n{t}\n\n### Response:\n",
    "Instruction: {i}\nInput: {t}\nOutput:",
    "# Task\n{i}\n\n# Document\n{t}",
    "**{i}**\n\n{t}",
    "[{i}]\n\n{t}",
    "Task: {i}\n\nPassage: {t}",
    "hi! {i}\n\n{t}\n\nthanks",
    "{i} {t}",
    "Hello, I need some help with the text below. {i}\n\n{t}",
    "<<<\n{i}\n>>>\n{t}",
)
_AFTER = (
    "{t}\n\n{i}",
    "{t}\n\n{i}",
    "{t}\n{i}",
    "{t} {i}",
    "{t}\n\n===\n\n{i}",
    "{t}\n\n---\n{i}",
    "Text: {t}\n\n{i}",
    "Article: {t}\n\n{i}",
    '"{t}"\n\n{i}',
    "<document>\n{t}\n</document>\n\n{i}",
    "```\n{t}\n```\n{i}",
    "{t}\n\n\n({i})",
    "{t}\n\n### {i}",
    "Read this first:\n{t}\n\nNow: {i}",
    "here's something i found:\n\n{t}\n\n{i}",
    "Input: {t}\nInstruction: {i}\nOutput:",
    "{t}\n\nQ: {i}\nA:",
    "Document:\n{t}\n\nTask:\n{i}\n\nResult:",
    "“{t}” {i}",
)
_AROUND = (
    "{i}\n\n{t}\n\n{r}",
    "{r}\n\n{t}\n\n{i}",
    "Below is a text. {r}\n\n{t}\n\n{i}",
    "You will be given a text.\n{i}\n\nText: {t}\n\n{r}",
    "I'll paste it here:\n{t}\n\nThat's all of it. {i} {r}",
    "{i}\n<<<\n{t}\n>>>\n{r}",
    "Consider this text:\n\n{t}\n\n{i}\n\n{r}",
)


@cache
def entries(name: str) -> tuple[tuple[str, str], ...]:
    r"""The pairs of family and text in `prompts/<name>.txt`, `\n` unescaped; `#` is a comment."""
    found = []
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            family, _, text = line.partition("\t")
            found.append((family, text.replace("\\n", "\n")))
    return tuple(found)


def lay_out(rng: random.Random, instruction: str, text: str, reminder: str = "") -> str:
    """The instruction with the text: before, after or on both sides; at `{t}` if it names it."""
    if "{t}" in instruction:
        return instruction.replace("{t}", text)
    lot = rng.random()
    form = rng.choice(_BEFORE if lot < 0.42 else _AFTER)
    if reminder and lot > 0.88:
        form = rng.choice(_AROUND)
    form = form.replace("{i}", _dressed(rng, instruction)).replace("{r}", reminder)
    return form.replace("{t}", text)


def _dressed(rng: random.Random, instruction: str) -> str:
    lot = rng.random()
    if lot < 0.08:
        return instruction.lower().rstrip(".:?")
    if lot < 0.14 and instruction.endswith("."):
        return "Please " + instruction[0].lower() + instruction[1:]
    if lot < 0.2 and instruction.endswith("."):
        return instruction.rstrip(".") + ", please."
    return instruction


def topics(passage: Passage) -> tuple[str, ...] | None:
    """The delicate topics of a passage as far as its genre tells; `None` where it does not."""
    genre = passage.genre.rstrip("+-0")
    return _DELICATE.get(genre, () if genre in _HARMLESS else None)


def made(task: str, family: str, text: str, passage: Passage, output_tokens: int) -> Prompt:
    """A prompt about a passage: nothing to look up, and all that is needed stands in it."""
    difficulty = 2 if passage.words > 250 else 1
    if len(text.split()) < 40:
        difficulty = 0
    return Prompt(
        text.strip(),
        task,
        family,
        topics=topics(passage),
        needs_tools=False,
        needs_fresh=False,
        output_tokens=output_tokens,
        difficulty=difficulty,
    )


def authored(task: str, output_tokens: int) -> Iterator[Prompt]:
    """The whole prompts written by hand for a task, `prompts/<task>_whole.txt`."""
    for family, text in entries(f"{task}_whole"):
        yield Prompt(
            text,
            task,
            family,
            needs_tools=False,
            needs_fresh=False,
            output_tokens=output_tokens,
            difficulty=1,
        )
