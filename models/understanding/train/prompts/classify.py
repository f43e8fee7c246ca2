"""Prompts that ask for one of several labels: of a text, a title, a question or a pair."""

import random
from collections.abc import Iterator

from train.prompts import passages
from train.prompts.passages import Passage
from train.prompts.passages_layout import authored, entries, lay_out, made
from train.prompts.prompt import Prompt

_EACH = 11
_REMINDERS = (
    "Answer with the label only.",
    "One word.",
    "Label:",
    "No explanation.",
    "Reply with exactly one of the options.",
    "Just the category, please.",
    "Category:",
)
_REVIEWS = tuple(genre for genre in passages.genres() if genre[-1] in "+-0")
_ONE_LINERS = {"qtype": "questions", "message": "messages"}
_LABELS: dict[str, tuple[tuple[str, ...], ...]] = {
    "sentiment": (
        ("positive", "negative"),
        ("positive", "negative", "neutral"),
        ("good", "bad"),
        ("Positive", "Mixed", "Negative"),
        ("happy", "unhappy"),
    ),
    "stars": (
        ("1", "2", "3", "4", "5"),
        ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"),
        ("terrible", "poor", "okay", "good", "excellent"),
    ),
    "topic": (
        ("world", "sports", "business", "science and technology"),
        ("politics", "economy", "sport", "culture", "weather", "crime"),
        ("Local", "National", "International"),
        ("health", "travel", "finance", "entertainment", "technology", "other"),
        ("Business", "Sports", "Politics", "Science", "Arts"),
    ),
    "category": (
        ("company", "school", "artist", "athlete", "politician", "building"),
        ("book", "film", "album", "animal", "plant", "village", "ship"),
        ("Person", "Place", "Organisation", "Work", "Species"),
        ("natural place", "village", "means of transport", "written work", "office holder"),
        ("Animal", "Plant", "Building", "Album", "Film", "Company"),
    ),
    "qtype": (
        ("person", "place", "number", "thing", "description", "abbreviation"),
        ("who", "what", "when", "where", "why", "how"),
        ("Human", "Location", "Numeric value", "Entity", "Definition"),
        ("factual", "opinion", "how-to"),
    ),
    "kind": (
        ("news", "review", "recipe", "letter", "story", "encyclopaedia entry"),
        ("fact", "opinion"),
        ("advertisement", "complaint", "notice", "chat", "report"),
        ("interesting to tourists", "interesting to investors", "neither"),
    ),
    "kind/register": (("formal", "informal"), ("casual", "neutral", "formal", "technical")),
    "message": (
        ("spam", "ham"),
        ("toxic", "harmless"),
        ("question", "request", "complaint", "thanks"),
        ("billing", "delivery", "technical problem", "cancellation", "praise"),
    ),
    "message/intent": (
        ("billing", "delivery", "technical problem", "cancellation", "praise"),
        ("refund", "order_status", "account", "feedback", "other"),
        ("Sales", "Support", "Accounts", "HR"),
    ),
    "message/emotion": (
        ("joy", "anger", "sadness", "fear", "surprise", "neutral"),
        ("happy", "angry", "worried", "indifferent"),
    ),
    "message/priority": (("high", "medium", "low"), ("P1", "P2", "P3"), ("urgent", "can wait")),
    "qtype/forum": (
        ("Health", "Sports", "Computers", "Home & Garden", "Travel", "Food", "Science"),
        ("pets", "cooking", "money", "languages", "history", "technology"),
    ),
    "pair": (
        ("yes", "no"),
        ("duplicate", "not duplicate"),
        ("same", "different"),
        ("1", "0"),
        ("equivalent", "not equivalent"),
    ),
}


def write(rng: random.Random) -> Iterator[Prompt]:
    """Every authored prompt of this task."""
    yield from authored("classify", 4)
    for family, instruction in entries("classify"):
        for _ in range(_EACH):
            labels = rng.choice(_LABELS[family])
            asked = instruction.replace("{labels}", _listed(rng, labels))
            passage = _text(rng, family.partition("/")[0])
            if family == "pair":
                text = asked.replace("{a}", passage.title).replace("{b}", passage.text)
            else:
                asked = asked.replace("{title}", passage.title or "(none)")
                text = lay_out(rng, asked, passage.text, rng.choice(_REMINDERS))
            yield made("classify", f"label.{family}", text, passage, 4)


def _listed(rng: random.Random, labels: tuple[str, ...]) -> str:
    values = list(labels)
    if not values[0][0].isdigit() and rng.random() < 0.5:
        rng.shuffle(values)
    lettered = [f"{letter}) {value}" for letter, value in zip("ABCDEFGH", values, strict=False)]
    return rng.choice(
        (
            ", ".join(values[:-1]) + " or " + values[-1],
            ", ".join(values),
            " / ".join(values),
            " | ".join(values),
            "\n- " + "\n- ".join(values) + "\n",
            "\n" + "\n".join(lettered) + "\n",
            "[" + ", ".join(repr(value) for value in values) + "]",
            "; ".join(values),
            "\n" + "\n".join(f"{at}. {value}" for at, value in enumerate(values, 1)) + "\n",
            "(" + ", ".join(values) + ")",
        )
    )


def _text(rng: random.Random, family: str) -> Passage:
    if family in ("sentiment", "stars"):
        authored_one = rng.random() < 0.5
        return passages.draw(rng, *_REVIEWS) if authored_one else passages.review(rng)
    if family in _ONE_LINERS:
        return Passage(family, "", rng.choice(passages.lines(_ONE_LINERS[family])))
    if family == "pair":
        _, first, second = rng.choice(passages.rows("pairs"))
        return Passage("pair", first, second)
    if family == "category":
        return _named(rng)
    articles = family == "topic" and rng.random() < 0.5
    return passages.article(rng) if articles else passages.any_text(rng)


def _named(rng: random.Random) -> Passage:
    if rng.random() < 0.45:
        _, title = rng.choice(passages.rows("titles"))
        return Passage("title", title, title)
    return passages.draw(rng, "encyclopaedia", "biography", "plot", "infobox")
