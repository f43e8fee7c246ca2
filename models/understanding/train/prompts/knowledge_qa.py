"""Questions of fact and explanation in sixteen subjects: quizzes, searches, exams, how-to."""

import random
from collections.abc import Iterator

from train.prompts.knowledge_qa_lines import Line, fill, read, read_values
from train.prompts.knowledge_qa_options import FIELDS, few_shot, put
from train.prompts.prompt import Prompt

_RENDERINGS = 2  # of each template
_TYPED_LENGTH = 90  # characters that people still type without punctuation
_LETTER = 4  # tokens of an answer that only names its option
_LETTER_WANTED = ("\nAnswer:", "\nCorrect option:", "letter only.", "just give me the letter.")
_SHORT = ("why_how", "search", "fresh", "howto", "trivia", "assistant_howto", "exam_open")
_ON_SHEETS = ("exam_open", "why_how", "trivia", "listed", "misconception", "etiquette")
_SHEET_HEADS = (
    "Here's my {subject} homework. Please answer all of it.",
    "Answer each of the questions below.",
    "Worksheet ({subject}). Full sentences, please!",
    "answer these",
    "I'm revising for a test on {subject} and would like model answers to the following:",
    "Short answers only.",
    "Could you go through these with me one by one?",
)
_WRAPPERS = (
    ("qa", "Q: {}\nA:"),
    ("qa", "Question: {}\nAnswer:"),
    ("qa", "question: {}"),
    ("qa", "Question\n{}\n\nAnswer"),
    ("qa", "Answer the following question.\n\n{}"),
    ("qa", "### Instruction:\n{}\n\n### Response:"),
    ("polite", "Hello, could you tell me something? {} Thanks!"),
    ("polite", "Sorry if that's a silly question, but: {}"),
    ("polite", "hey, quick question. {}"),
    ("polite", "I was wondering... {}"),
    ("polite", "Please help me with this one: {}"),
    ("polite", "{} Please keep it short."),
    ("polite", "{} Explain it like I'm five."),
    ("polite", "{} One sentence is enough, thank you."),
    ("story", "My daughter asked me this at breakfast and I had no idea: {}"),
    ("story", "We argued about it in the pub last night, settle it for us. {}"),
    ("story", "I'm preparing for a quiz night. {}"),
    ("story", "I have an exam tomorrow and my notes don't say. {}"),
    ("story", "This came up in a documentary and nobody explained it: {}"),
    ("expert", "Answer as an expert in the field and name your sources. {}"),
    ("expert", "{}\n\nThink carefully before answering. If you don't know, say so."),
    ("expert", "You are a helpful assistant. Reply with the short answer alone. {}"),
)


def write(rng: random.Random) -> Iterator[Prompt]:
    """Hand-written questions as they stand, some of them wrapped, and filled templates."""
    more = list(read("knowledge_qa_more"))
    for subject in FIELDS:
        lines = list(read(f"knowledge_qa_{subject}"))
        choices = [line for line in lines if line.options]
        plain = [line for line in lines if not line.options]
        plain += [line for line in more if line.subject == subject]
        for line in plain:
            yield _prompt(line, subject, line.form, line.text)
        yield from _wrapped(rng, plain, subject)
        yield from _with_options(rng, choices, subject)
        yield from _sheets(rng, plain, subject)
    yield from _filled(rng)


def _prompt(line: Line, subject: str, family: str, text: str) -> Prompt:
    return Prompt(
        text=text,
        task="knowledge_qa",
        family=family,
        subject=subject,
        topics=line.topics,
        needs_tools=line.needs_fresh,
        needs_fresh=line.needs_fresh,
        output_tokens=_LETTER if text.endswith(_LETTER_WANTED) else line.output_tokens,
        difficulty=line.difficulty,
    )


def _wrapped(rng: random.Random, lines: list[Line], subject: str) -> Iterator[Prompt]:
    short = [line for line in lines if line.form in _SHORT]
    for line in rng.sample(short, 12):
        family, wrapper = rng.choice(_WRAPPERS)
        runs_on = not wrapper.endswith("{}") and line.text[-1].isalnum()
        text = f"{line.text}?" if runs_on else line.text
        yield _prompt(line, subject, f"wrapped_{family}", wrapper.format(text))
    typed = [line for line in short if line.text[0].isupper() and len(line.text) < _TYPED_LENGTH]
    for line in rng.sample(typed, 5):
        yield _prompt(line, subject, "lower_case", line.text.lower().rstrip("?."))


def _with_options(rng: random.Random, lines: list[Line], subject: str) -> Iterator[Prompt]:
    for number, line in enumerate(lines):
        for which in (number, number + 7)[: 1 + number % 2]:
            family, text = put(rng, line, subject, which + len(subject))
            yield _prompt(line, subject, family, text)
    for count in (2, 3, 5, 8, 13):
        shots = rng.sample(lines, count)
        yield _prompt(shots[-1], subject, "few_shot", few_shot(rng, shots, subject))
    open_ended = [line for line in lines if line.text.endswith("?") and " of the" not in line.text]
    for line in [line for line in open_ended if " of these" not in line.text][:2]:
        yield _prompt(line, subject, "options_left_out", line.text)


def _sheets(rng: random.Random, lines: list[Line], subject: str) -> Iterator[Prompt]:
    """Whole question sheets, as pupils paste them."""
    asked = [line for line in lines if line.form in _ON_SHEETS]
    for count in (5, 10, 16):
        chosen = rng.sample(asked, count)
        mark = rng.choice(("{}. {}", "{}) {}", "Question {}: {}", "Q{}. {}", "- {1}"))
        body = rng.choice(("\n", "\n\n")).join(
            mark.format(number, line.text) for number, line in enumerate(chosen, 1)
        )
        head = rng.choice(_SHEET_HEADS).format(subject=subject)
        text = f"{head}\n\n{body}" if rng.random() < 0.7 else f"{body}\n\n{head}"
        yield Prompt(
            text=text,
            task="knowledge_qa",
            family="sheet",
            subject=subject,
            topics=tuple(dict.fromkeys(topic for line in chosen for topic in line.topics)),
            needs_tools=False,
            needs_fresh=False,
            output_tokens=80 * count,
            difficulty=max(line.difficulty for line in chosen),
        )


def _filled(rng: random.Random) -> Iterator[Prompt]:
    values = read_values("knowledge_qa_values")
    for line in read("knowledge_qa_slots"):
        texts = (fill(line.text, values, rng) for _ in range(_RENDERINGS))
        for text in dict.fromkeys(texts):
            yield _prompt(line, line.subject or "everyday", line.form, text)
