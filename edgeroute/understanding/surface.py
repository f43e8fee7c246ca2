"""Task, probability and lengths of a request from what is on its surface: words and signs.

Owns reading the text, in bounded time whatever its length or script. Pure. It is explainable and
no more than that: a learned encoder is to replace the task, the lengths stay.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from edgeroute.domain.features import Features, Task
from edgeroute.domain.request import Message, Request
from edgeroute.understanding import cues

_HEAD, _TAIL = 2000, 1000
"""Characters of a message that are looked at for its task; people say what they want there."""
_HEAD_WORDS, _TAIL_WORDS = 40, 25
_SYSTEM_WORDS = 30


class SurfaceUnderstanding:
    """Implements `ports.Understanding` without a model."""

    def features(self, request: Request) -> Features:
        """Describe a request. Never raises; time grows with the text only to count its bytes."""
        asked = _last(request.messages, "user")
        system = _last(request.messages, "system", "developer")
        task, probability = classify(asked, system)
        return Features(
            task=task,
            task_probability=probability,
            prompt_tokens=prompt_tokens(request.messages),
            output_tokens=output_tokens(asked, task),
            max_tokens=request.sampling.max_tokens,
        )


def _last(messages: Sequence[Message], *roles: str) -> str:
    return next((m.content for m in reversed(messages) if m.role in roles), "")


def _ends(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}\n{text[-_TAIL:]}"


# ---- which task --------------------------------------------------------------------------------

_WORD = re.compile(r"\w+")
_POLITE = frozenset(
    {"please", "can", "could", "would", "will", "you", "kindly", "i", "want", "need", "like", "to"}
    | {"help", "me", "with", "just", "so", "and", "now", "bitte", "kannst", "du", "können", "sie"}
    | {"peux", "tu", "pouvez", "vous", "por", "favor", "puedes", "potresti", "per"}
)
"""Words that may stand before what is asked."""
_MANY_NUMBERS = 2

_SIGNS: tuple[tuple[re.Pattern[str], tuple[tuple[Task, float], ...]], ...] = (
    (re.compile(r"```|#include|</\w+>"), ((Task.CODING, 2.5),)),
    (
        re.compile(r"\b(?:def|fn|func|function|class|public|var|let|const) \w+ ?[({:;=]"),
        ((Task.CODING, 2.5),),
    ),
    (re.compile(r"\bselect\b.{1,80}\bfrom\b", re.IGNORECASE), ((Task.CODING, 2.0),)),
    (re.compile(r"[;{}] *\n|\w\(\)|\w->\w|=>|==|!="), ((Task.CODING, 1.5),)),
    (re.compile(r"\d ?[+*\u00d7\u00f7^=] ?\d|\d [-/x] \d|\d% of\b"), ((Task.MATH, 3.5),)),
    (re.compile(r"\b[xyn] ?(?:[=<>^+]|\*\*)|\\(?:frac|sqrt|int|sum|boxed)"), ((Task.MATH, 2.5),)),
    (
        re.compile(r"\n\(?[A-Da-d][).:] "),  # a choice of answers
        ((Task.KNOWLEDGE_QA, 1.5), (Task.REASONING, 1.0)),
    ),
    (re.compile(r"(?:^|\n)(?:passage|context):", re.IGNORECASE), ((Task.EXTRACT, 3.0),)),
)
"""What is no word. Each pattern is linear: no repetition inside a repetition, no open range."""

_ELSEWHERE, _NOWHERE = -1.0, 0.5
"""Scores of a task and of `unknown` before any cue."""
_DOUBT = 1.25
"""Divides scores: prompts by others are recognised less often than those the cues were set on."""


def classify(asked: str, system: str = "") -> tuple[Task, float]:
    """The most probable task of a message and its probability.

    Each cue adds its weight to its tasks, once; probabilities are the softmax of the sums. The
    system prompt counts by half: it says what an assistant is for, not what is asked now.
    """
    scores = dict.fromkeys(Task, _ELSEWHERE)
    scores[Task.UNKNOWN] = _NOWHERE
    for task, weight in _evidence(_ends(asked)):
        scores[task] += weight
    for task, weight in _word_cues(_WORD.findall(system[:_HEAD].casefold())[:_SYSTEM_WORDS]):
        scores[task] += weight / 2
    best = max(scores, key=scores.__getitem__)
    top = scores[best]
    return best, 1.0 / sum(math.exp((score - top) / _DOUBT) for score in scores.values())


def _evidence(text: str) -> Iterator[tuple[Task, float]]:
    words = _WORD.findall(text.casefold())
    near = words[:_HEAD_WORDS] + words[_HEAD_WORDS:][-_TAIL_WORDS:]
    yield from _word_cues(near)
    opening = next((word for word in near if word not in _POLITE), "")
    yield from cues.WORDS.get(opening, ())  # once more: an order begins with what is ordered
    for word in dict.fromkeys((*near[:1], opening)):
        yield from cues.OPENINGS.get(word, ())
    for pattern, weights in _SIGNS:
        if pattern.search(text):
            yield from weights
    for substring, weighted in () if text.isascii() else cues.SUBSTRINGS.items():
        if substring in text:
            yield from weighted
    question = "?" in text
    if sum(word.isdecimal() for word in near) >= _MANY_NUMBERS:
        yield Task.MATH, 2.0 if question else 1.0
    if question:
        yield Task.KNOWLEDGE_QA, 0.5


def _word_cues(words: Sequence[str]) -> Iterator[tuple[Task, float]]:
    for word in dict.fromkeys(words):
        yield from cues.WORDS.get(word, ())
    for phrase in dict.fromkeys(f"{first} {second}" for first, second in pairwise(words)):
        yield from cues.PHRASES.get(phrase, ())


# ---- how long the answer -----------------------------------------------------------------------

_LENGTHS = {
    Task.MATH: 150, Task.CODING: 300, Task.KNOWLEDGE_QA: 120, Task.REASONING: 250,
    Task.CREATIVE: 300, Task.TOOL_USE: 60, Task.CHIT_CHAT: 60, Task.SUMMARISE: 120,
    Task.EXTRACT: 60, Task.CLASSIFY: 15, Task.REWRITE: 80, Task.TRANSLATE: 60, Task.UNKNOWN: 200,
}  # fmt: skip
_ECHOES = (Task.REWRITE, Task.TRANSLATE)
"""Tasks whose answer is about as long as the text that was given."""

_UNITS = {
    "word": 1.4, "sentence": 30, "line": 20, "paragraph": 110, "bullet": 25, "point": 25,
    "step": 30, "item": 15, "idea": 25, "example": 40, "tip": 30, "reason": 35, "name": 6,
    "question": 25, "page": 600, "wort": 2, "wörter": 2, "satz": 35, "sätze": 35, "mot": 2,
    "phrase": 35, "palabra": 2, "frase": 35, "parola": 2, "parole": 2,
}  # fmt: skip
_NUMBERS = {
    "in a": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10,
    "einem": 1, "zwei": 2, "drei": 3, "une": 1, "deux": 2, "trois": 3, "una": 1, "dos": 2,
    "tres": 3, "due": 2, "tre": 3,
}  # fmt: skip
_COUNTED = re.compile(
    rf"\b(\d{{1,4}}|{'|'.join(_NUMBERS)})[ -](?:short |\w{{3,12}} )?({'|'.join(_UNITS)})(?:s|n)?\b"
)
_BRIEF = re.compile(r"\b(?:brief|briefly|short|concise|concisely|quick|kurz|bref|breve)\b")
_LONG = re.compile(r"\b(?:detailed|in detail|in depth|thorough|comprehensive|essay|step by step)\b")
_A_WORD = re.compile(r"\b(?:yes or no|true or false|only the (?:answer|number|letter|label))\b")
_A_WORD_TOKENS = 5
_LONGEST = 4000
_LONGEST_TEXT = 32_000
"""Characters that are counted for the length of a translation; more is `_LONGEST` anyway."""


def output_tokens(asked: str, task: Task) -> int:
    """Tokens that an answer to `asked` should have: by what it asks for, or else by its task."""
    text = _ends(asked).casefold()
    if _A_WORD.search(text):
        return _A_WORD_TOKENS
    counted = _COUNTED.search(text)
    if counted is not None and task is not Task.MATH:  # there it is the things that are counted
        count = _NUMBERS.get(counted[1]) or int(counted[1])
        return min(_LONGEST, max(_A_WORD_TOKENS, round(count * _UNITS[counted[2]])))
    length = _LENGTHS[task]
    if task in _ECHOES:  # the count is an upper one, about twice the truth
        length = max(length, count_tokens(asked[:_LONGEST_TEXT]) // 2)
    if _BRIEF.search(text):
        return min(_LONGEST, length // 2)
    return min(_LONGEST, length * 2 if _LONG.search(text) else length)


# ---- how long the prompt -----------------------------------------------------------------------
# A tokenizer may give every byte a token, and for scripts, digits and signs that a vocabulary lacks
# it nearly does. Letters of words come in groups. The weights are an upper estimate for byte-level
# vocabularies from 49k (SmolLM2) to 152k tokens (Qwen2.5): of 5,411 English prompts one is a few
# tokens over, none of ours in other scripts, code or JSON; the median estimate is 1.8 times the
# truth. Random letters between spaces can exceed it: the worker's own count decides.

_LOWER = bytes(range(ord("a"), ord("z") + 1))
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_PER_LOWER, _PER_UPPER, _PER_SPACE = 0.4, 0.6, 0.1
_UNBROKEN = re.compile(rb"[!-~]{25,}")
"""No word is that long: a hash, a key, base64; every byte may be a token."""
_PER_TEXT = 4
_PER_MESSAGE = 8
"""Role and separators of a chat template."""
_PER_PROMPT = 40
"""The opening of the answer, and the system prompt that templates add where there is none."""


def count_tokens(text: str) -> int:
    """Upper estimate of a text's tokens."""
    data = text.encode("utf-8", "surrogatepass")
    words = _UNBROKEN.sub(b" ", data)
    rest = words.translate(None, _LOWER)
    lower, rest_length = len(words) - len(rest), len(rest)
    upper = rest_length - len(rest.translate(None, _UPPER))
    spaces = rest.count(b" ")
    singles = rest_length - upper - spaces + len(data) - len(words)
    letters = _PER_LOWER * lower + _PER_UPPER * upper + _PER_SPACE * spaces
    return math.ceil(letters + singles) + _PER_TEXT


def prompt_tokens(messages: Sequence[Message]) -> int:
    """Upper estimate of a conversation's tokens, with what a chat template adds."""
    return _PER_PROMPT + sum(_PER_MESSAGE + count_tokens(message.content) for message in messages)
