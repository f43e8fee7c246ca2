"""The ways in which a question with options is put, from a bare list to an exam's whole header."""

import json
import random
from collections.abc import Callable, Sequence
from string import ascii_lowercase, ascii_uppercase

from train.prompts.knowledge_qa_lines import Line

_ROMAN = ("i", "ii", "iii", "iv", "v")
# What examiners call the papers; a header names the field, not the label.
FIELDS: dict[str, tuple[str, ...]] = {
    "mathematics": ("abstract algebra", "high school statistics", "mathematics", "pure maths"),
    "physics": ("physics", "college physics", "conceptual physics", "mechanics and waves"),
    "chemistry": ("chemistry", "high school chemistry", "organic chemistry", "inorganic chemistry"),
    "biology": ("biology", "college biology", "cell biology and genetics", "life science"),
    "medicine": ("medicine", "anatomy", "clinical knowledge", "nutrition and health"),
    "computing": ("computer science", "computer security", "machine learning", "IT basics"),
    "engineering": ("engineering", "electrical engineering", "mechanics of materials"),
    "economics": ("macroeconomics", "microeconomics", "accounting", "business and marketing"),
    "law": ("law", "jurisprudence", "the bar exam", "contract law and torts"),
    "politics": ("government and politics", "foreign policy", "political science"),
    "history": ("world history", "European history", "US history", "prehistory and antiquity"),
    "geography": ("geography", "earth science", "human geography", "meteorology"),
    "philosophy": ("philosophy", "formal logic", "moral theories", "world religions"),
    "psychology": ("psychology", "professional psychology", "sociology", "human behaviour"),
    "culture": ("literature", "music and art", "general knowledge", "film and sport"),
    "everyday": ("household knowledge", "practical matters", "common knowledge", "food and home"),
}

_ASKS = (
    "Choose the correct answer.",
    "Pick the right option and reply with its letter only.",
    "Which one is correct? Just give me the letter.",
    "Select the best answer from the choices and explain briefly why the others are wrong.",
    "Answer with the letter of the correct option.",
    'Think step by step, then finish with "the answer is (X)".',
)
_HEADERS = (
    "The following is a multiple choice question about {field}. Give the answer.",
    "The following are multiple choice questions (with answers) about {field}.",
    "You are sitting an examination in {field}. Only one of the options is right.",
    "Here's a question from a {field} test.",
    "Subject: {field}",
    "# {field}",
    "[{field}]",
    "Domain: {field}. Respond with a single letter.",
)


def _listed(options: Sequence[str], mark: str, letters: Sequence[str], between: str) -> str:
    marked = (mark.format(letters[i]) + option for i, option in enumerate(options))
    return between.join(marked)


def _lines(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    mark = rng.choice(("{}. ", "{}) ", "({}) ", "{}: ", "{} ", "[{}] "))
    return f"{question}\n{_listed(options, mark, ascii_uppercase, chr(10))}"


def _inline(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    mark = rng.choice(("{}) ", "({}) ", "{}. "))
    letters = rng.choice((ascii_lowercase, ascii_uppercase, "12345", _ROMAN))
    return f"{question} {_listed(options, mark, letters, rng.choice((' ', ', ', '; ', '  ')))}"


def _header(rng: random.Random, question: str, options: list[str], field: str) -> str:
    head = rng.choice(_HEADERS).format(field=field)
    mark = rng.choice(("{}. ", "({}) ", "{}) "))
    listed = _listed(options, mark, ascii_uppercase, "\n")
    return f"{head}\n\n{question}\n{listed}\nAnswer:"


def _labelled(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    head = rng.choice(("Question: ", "Q: ", "**Question**\n", "question: "))
    between = rng.choice(("\nOptions:\n", "\nChoices:\n", "\n\nAnswer choices:\n", "\n"))
    tail = rng.choice(
        ("\nAnswer:", "\nA:", "\n\nCorrect option:", "\nLet's think step by step.", "")
    )
    listed = _listed(options, rng.choice(("{}. ", "- {}: ", "({}) ")), ascii_uppercase, "\n")
    return f"{head}{question}{between}{listed}{tail}"


def _python(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    name = rng.choice(("choices", "options", "Options", "answers"))
    return f"{question}\n{name}: {options!r}"


def _json(rng: random.Random, question: str, options: list[str], field: str) -> str:
    body: dict[str, object] = {"question": question, "choices": options}
    if rng.random() < 0.5:
        body = {"subject": field, **body}
    return json.dumps(body, ensure_ascii=False) + rng.choice(("", "\nReturn the index."))


def _numbered(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    start = rng.choice((0, 1))
    numbers = [str(start + i) for i in range(len(options))]
    return f"{question}\n{_listed(options, rng.choice(('{}: ', '{}. ', '{}) ')), numbers, chr(10))}"


def _bulleted(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    dash = rng.choice(("- ", "* ", "• ", "-- "))
    listed = "\n".join(dash + option for option in options)
    return f"{question}\n\n{rng.choice(('', 'OPTIONS:' + chr(10)))}{listed}"


def _asked(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    ask = rng.choice(_ASKS)
    body = _lines(rng, question, options, "")
    return f"{ask}\n\n{body}" if rng.random() < 0.5 else f"{body}\n\n{ask}"


def _spoken(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    joined = ", ".join(options[:-1]) + " or " + options[-1]
    return rng.choice(
        (
            f"{question} Is it {joined}?",
            f"quick quiz: {question.rstrip('?').lower()}: {joined}?",
            f"I have to choose between {joined}. {question}",
            f"my homework asks: {question} the options are {joined}",
        )
    )


def _options_first(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    listed = _listed(options, "{}. ", ascii_uppercase, "\n")
    return f"{rng.choice(('Options', 'Possible answers', 'Choose from'))}:\n{listed}\n\n{question}"


def _cloze(rng: random.Random, question: str, options: list[str], _field: str) -> str:
    blank = rng.choice(("____", "______.", "[blank]", "...?"))
    stem = question.rstrip("?")
    return f"{stem} {blank}\n{_listed(options, '({}) ', ascii_lowercase, ' ')}"


FORMATS: tuple[Callable[[random.Random, str, list[str], str], str], ...] = (
    _lines, _inline, _header, _labelled, _python, _json, _numbered, _bulleted, _asked, _spoken,
    _options_first, _cloze, _header, _lines, _labelled,
)  # fmt: skip


def put(rng: random.Random, line: Line, subject: str, which: int) -> tuple[str, str]:
    """A question with its options shuffled, in the format number `which`; its family and text."""
    unfit = _cloze if line.text.endswith(("?", ".")) else _spoken
    formats = [form for form in FORMATS if form is not unfit]
    form = formats[which % len(formats)]
    options = rng.sample(line.options, len(line.options))
    text = form(rng, line.text, options, rng.choice(FIELDS[subject]))
    return f"options{form.__name__}", text


def few_shot(rng: random.Random, lines: Sequence[Line], subject: str) -> str:
    """Several questions with options, each but the last with its answer."""
    head = f"The following are multiple choice questions (with answers) about {subject}."
    if rng.random() < 0.4:
        head = f"{rng.choice(FIELDS[subject]).capitalize()}. Answer the last question."
    parts = [head]
    for line in lines:
        options = rng.sample(line.options, len(line.options))
        listed = _listed(options, "{}. ", ascii_uppercase, "\n")
        answer = f" {ascii_uppercase[options.index(line.options[0])]}"
        parts.append(f"{line.text}\n{listed}\nAnswer:{'' if line is lines[-1] else answer}")
    return "\n\n".join(parts)
