"""Prompts that ask to invent text."""

import random
from collections.abc import Iterator

from train.prompts.prompt import Prompt
from train.prompts.sections import slots, typed_fast, written

SLOTS = slots("creative_slots.txt")
CONCEPT_FAMILIES = ("concept_imperative", "concept_question", "concept_last", "concept_story")
EACH_CONCEPT = 9
EACH_FORM = 7
HURRIED = 0.12  # share of generated prompts in hurried spelling


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of the task `creative`; the same for the same state of `rng`."""
    yield from dict.fromkeys(_all(rng))


def _all(rng: random.Random) -> Iterator[Prompt]:
    """As `write`, with the repetitions that chance brings."""
    yield from written("creative.txt", task="creative", needs_tools=False, needs_fresh=False)
    for family in CONCEPT_FAMILIES:
        for form in SLOTS[family]:
            for _ in range(EACH_CONCEPT):
                text = form.replace("{w}", _words(rng))
                yield _prompt(rng, text, family, tokens=120 if family == "concept_story" else 25)
    for family, tokens in FORMS:
        for form in SLOTS[f"{family}_forms"]:
            for _ in range(EACH_FORM):
                yield _prompt(rng, _filled(rng, form), family, tokens)


FORMS = (
    ("title", 250),
    ("topic", 120),
    ("character", 350),
    ("product", 90),
    ("occasion", 150),
    ("spice", 130),
    ("qa", 200),
    ("highlight", 400),
)


def _prompt(rng: random.Random, text: str, family: str, tokens: int) -> Prompt:
    if rng.random() < HURRIED and "\n" not in text:
        text = typed_fast(rng, text)
    return Prompt(
        text,
        "creative",
        f"creative.{family}",
        needs_tools=False,
        needs_fresh=False,
        output_tokens=tokens,
        difficulty=1 if tokens < 200 else 2,
    )


def _words(rng: random.Random) -> str:
    """A set of three to six everyday concepts in one of the ways in which people list them."""
    words = rng.choice(SLOTS["groups"]).split(", ")
    if rng.random() < 0.25:
        words = [*rng.sample(SLOTS["nouns"], rng.randint(2, 4)), rng.choice(SLOTS["verbs"])]
    elif rng.random() < 0.25:
        words.append(rng.choice(SLOTS["nouns"]))
    if rng.random() < 0.2:
        words.append(rng.choice(SLOTS["verbs"]))
    if rng.random() < 0.3:
        words = words[:3]
    rng.shuffle(words)
    style = rng.randrange(12)
    if style == 0:
        return "[" + ", ".join(f"'{word}'" for word in words) + "]"
    if style == 1:
        return ", ".join(f'"{word}"' for word in words)
    if style == 2:
        return "\n" + "\n".join(f"- {word}" for word in words) + "\n"
    if style <= 4:
        return ", ".join(words[:-1]) + f" and {words[-1]}"
    return (", ", ", ", ", ", " ", " / ", "; ", " + ")[style - 5].join(words)


def _filled(rng: random.Random, form: str) -> str:
    """A form with every slot filled; `{x}` takes the list that the form's own kind names."""
    question, answer = rng.choice(SLOTS["qa"]).split(" => ")
    one, other = rng.sample(SLOTS["characters"], 2)
    values = {
        "{q}": question,
        "{a}": answer,
        "{c}": one,
        "{d}": other,
        "{p}": rng.choice(SLOTS["places"]),
        "{s}": rng.choice(SLOTS["styles"]),
        "{t}": rng.choice(SLOTS["titles"]),
        "{h}": _highlights(rng),
        "{x}": rng.choice(SLOTS[_subject_of(form)]),
    }
    for slot, value in values.items():
        form = form.replace(slot, value)
    return form


def _subject_of(form: str) -> str:
    for kind, subjects in (("topic", "topics"), ("product", "products"), ("spice", "plain")):
        if form in SLOTS[f"{kind}_forms"]:
            return subjects
    return "occasions"


def _highlights(rng: random.Random) -> str:
    points = rng.choice(SLOTS["highlights"]).split("; ")
    style = rng.randrange(5)
    if style == 0:
        return "; ".join(points)
    if style == 1:
        return "\n".join(f"- {point}" for point in points)
    if style == 2:
        return "\n".join(f"{number}. {point}" for number, point in enumerate(points, 1))
    whole = [point[0].upper() + point[1:] + "." for point in points]
    return (" " if style == 3 else "\n").join(whole)
