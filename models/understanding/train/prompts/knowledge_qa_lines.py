r"""Reads the hand-written lists: sections of one prompt a line, with the labels in their headings.

A heading is `== form key=value ...`; the keys are `tokens`, `difficulty`, `subject`, `topics`
(joined by commas, `none` is none) and `fresh` (yes, no or unknown). A line holds one prompt; `\n`
stands for a new line, and `||` parts a question from its options, of which the first is right. In
lists of templates `{city}` is a slot, and `{city2}` another value of the same.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FRESH: dict[str, bool | None] = {"yes": True, "no": False, "unknown": None}


@dataclass(frozen=True, slots=True)
class Line:
    """One hand-written item with its section's labels.

    Attributes:
        form: The section's name: the form or the skill.
        text: The prompt, or the question alone where options follow.
        options: The possible answers, the right one first; empty where there are none.
        subject: A value of `domain.features.Subject`, where the heading gives one.
    """

    form: str
    text: str
    options: tuple[str, ...]
    subject: str | None
    topics: tuple[str, ...]
    needs_fresh: bool | None
    output_tokens: int
    difficulty: int


def read(name: str) -> Iterator[Line]:
    """The items of `<name>.txt` beside this module, in order.

    Raises:
        ValueError: An item before the first heading, or a heading that can't be read.
    """
    form = ""
    labels: dict[str, str] = {}
    for row in Path(__file__).with_name(f"{name}.txt").read_text("utf-8").splitlines():
        if row.startswith("== "):
            form, *pairs = row[3:].split()
            labels = dict(pair.split("=", 1) for pair in pairs)
        elif row.strip():
            if not form:
                raise ValueError(f"{name}.txt: an item before the first heading: {row[:40]!r}")
            yield _line(form, labels, row)


def read_values(name: str) -> dict[str, tuple[str, ...]]:
    """The slots of `<name>.txt`, whose lines are `slot: value|value|...`."""
    rows = Path(__file__).with_name(f"{name}.txt").read_text("utf-8").splitlines()
    slots = (row.partition(": ") for row in rows if row.strip())
    return {slot: tuple(values.split("|")) for slot, _, values in slots}


def fill(template: str, values: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """The template with a random value in each slot, all of them different.

    Raises:
        KeyError: A slot that has no values.
    """
    used: list[str] = []

    def pick(slot: re.Match[str]) -> str:
        name = slot[1] if slot[1] in values else slot[1].rstrip("2")
        value = rng.choice([value for value in values[name] if value not in used])
        used.append(value)
        return value

    return re.sub(r"\{(\w+)\}", pick, template)


def _line(form: str, labels: dict[str, str], row: str) -> Line:
    text, *options = (part.strip(" ").replace("\\n", "\n") for part in row.split("||"))
    topics = labels.get("topics", "none")
    return Line(
        form=form,
        text=text,
        options=tuple(options),
        subject=labels.get("subject"),
        topics=() if topics == "none" else tuple(topics.split(",")),
        needs_fresh=_FRESH[labels.get("fresh", "no")],
        output_tokens=int(labels.get("tokens", "60")),
        difficulty=int(labels.get("difficulty", "1")),
    )
