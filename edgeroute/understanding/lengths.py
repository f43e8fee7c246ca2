"""How long a prompt is and how long its answer is to be, from what is on its surface.

Owns counting and the words that ask for a length, in bounded time whatever the text. Pure.
"""

import math
import re
from dataclasses import dataclass

from edgeroute.domain.features import Task
from edgeroute.domain.request import Request
from edgeroute.understanding.words import NOTHING, Said, Wording

_HEAD, _TAIL = 2000, 1000
"""Characters of a message that are looked at; people say what they want there."""


def instructed(text: str) -> str:
    """The part of a message that is looked at for how its answer is to be."""
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}\n{text[-_TAIL:]}"


# ---- how long the answer -----------------------------------------------------------------------

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
_COUNTED = Wording(
    rf"\b(\d{{1,4}}|{'|'.join(_NUMBERS)})[ -](?:short |\w{{3,12}} )?({'|'.join(_UNITS)})(?:s|n)?\b",
    (unit + plural for unit in _UNITS for plural in ("", "s", "n")),
)
_SHORTLY = ("brief", "briefly", "short", "concise", "concisely", "quick", "kurz", "bref", "breve")
_BRIEF = Wording(rf"\b(?:{'|'.join(_SHORTLY)})\b", _SHORTLY)
_LONG = Wording(
    r"\b(?:detailed|in detail|in depth|thorough|comprehensive|essay|step by step)\b",
    ("detailed", "detail", "depth", "thorough", "comprehensive", "essay", "step"),
)
_A_WORD = Wording(
    r"\b(?:yes or no|true or false|only the (?:answer|number|letter|label))\b",
    ("yes", "true", "only"),
)
_A_WORD_TOKENS = 5
_LONGEST = 4000
_LONGEST_TEXT = 32_000
"""Characters that are counted for the length of a translation; more is `_LONGEST` anyway."""


@dataclass(frozen=True, slots=True)
class Length:
    """Tokens that an answer may have.

    Attributes:
        usual: Half of such answers are longer.
        most: One such answer in ten is longer.
    """

    usual: int
    most: int


def answer_length(asked: str, task: Task, learned: Length, said: Said = NOTHING) -> Length:
    """How long the answer to `asked` is to be: as it says itself, or else as was learned.

    Args:
        asked: The message.
        task: Its task.
        learned: What such messages are usually answered with.
        said: What was read of `instructed(asked)` already.
    """
    said = said.by(instructed(asked))
    if _A_WORD.search(said):
        return Length(_A_WORD_TOKENS, 3 * _A_WORD_TOKENS)
    # In a sum it is the things that are counted.
    counted = None if task is Task.MATH else _COUNTED.search(said)
    if counted is not None:
        count = _NUMBERS.get(counted[1]) or int(counted[1])
        return _bounded(count * _UNITS[counted[2]], 1.5)
    usual, spread = float(learned.usual), learned.most / learned.usual
    if task in _ECHOES:  # the count is an upper one, about twice the truth
        usual = max(usual, count_tokens(asked[:_LONGEST_TEXT]) / 2)
    if _BRIEF.search(said):
        return _bounded(usual / 2, spread)
    return _bounded(usual * 2 if _LONG.search(said) else usual, spread)


def _bounded(usual: float, spread: float) -> Length:
    tokens = min(_LONGEST, max(_A_WORD_TOKENS, round(usual)))
    return Length(tokens, round(tokens * max(spread, 1.0)))


# ---- how long the prompt -----------------------------------------------------------------------
# A tokenizer may give every byte a token, and for scripts, digits and signs that a vocabulary lacks
# it nearly does. Letters of words come in groups. The weights are an upper estimate for byte-level
# vocabularies from 49k (SmolLM2) to 152k tokens (Qwen2.5): of 5,411 English prompts one is a few
# tokens over, none of ours in other scripts, code or JSON; the median estimate is 1.8 times the
# truth. Random letters between spaces can exceed it: the worker's own count decides.

_LOWER = bytes(range(ord("a"), ord("z") + 1))
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_PER_LOWER, _PER_UPPER, _PER_SPACE = 0.4, 0.6, 0.1
_VISIBLE = bytes(ord("x") if 33 <= code < 127 else ord(" ") for code in range(256))  # noqa: PLR2004
_LONG_RUN = b"x" * 25
_UNBROKEN = re.compile(rb"[!-~]{25,}")
"""No word is that long: a hash, a key, base64; every byte may be a token."""
_PER_TEXT = 4
_PER_MESSAGE = 8
"""Role and separators of a chat template."""
_PER_TOOLBOX = 200
"""What templates say about how functions are called; Qwen2.5's takes 110."""
_PER_PROMPT = 40
"""The opening of the answer, and the system prompt that templates add where there is none."""


def count_tokens(text: str) -> int:
    """Upper estimate of a text's tokens."""
    data = text.encode("utf-8", "surrogatepass")
    unbroken = _LONG_RUN in data.translate(_VISIBLE)
    words = _UNBROKEN.sub(b" ", data) if unbroken else data
    rest = words.translate(None, _LOWER)
    lower, rest_length = len(words) - len(rest), len(rest)
    upper = rest_length - len(rest.translate(None, _UPPER))
    spaces = rest.count(b" ")
    singles = rest_length - upper - spaces + len(data) - len(words)
    letters = _PER_LOWER * lower + _PER_UPPER * upper + _PER_SPACE * spaces
    return math.ceil(letters + singles) + _PER_TEXT


def prompt_tokens(request: Request) -> int:
    """Upper estimate of a prompt's tokens, with what a chat template adds."""
    markup = _PER_PROMPT + _PER_MESSAGE * len(request.messages)
    if request.tools.tools:
        markup += _PER_TOOLBOX + _PER_MESSAGE * len(request.tools.tools)
    return markup + sum(count_tokens(text) for text in request.prompt_texts)
