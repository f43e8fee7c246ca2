"""Authored prompts as samples: collected from every author, varied, and put into arrays.

Owns the variations (case, punctuation, typos, padding, wrappers, a conversation before), which keep
a head from trusting one cue, and the labels as numbers.
"""

import importlib
import pkgutil
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from train import prompts
from train.prompts.prompt import Prompt


def authored(seed: int) -> list[Prompt]:
    """Every authored prompt, in the order of modules' names; each text once."""
    found: dict[str, Prompt] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(prompts.__path__)):
        source = importlib.import_module(f"train.prompts.{module}")
        if hasattr(source, "write"):
            for prompt in source.write(random.Random(f"{seed}/{module}")):
                found.setdefault(prompt.text, prompt)
    return list(found.values())


def varied(rng: random.Random, prompt: Prompt, others: Sequence[Prompt]) -> Prompt:
    """The prompt as somebody else might have typed it; a fifth of them stay as they are."""
    text = prompt.text
    for change, chance in _CHANGES:
        if rng.random() < chance:
            text = change(rng, text)
    context = prompt.context
    if not context and rng.random() < _TALKING:
        context = rng.choice(others).text
    return replace(prompt, text=text or prompt.text, context=context)


_TALKING = 0.2


def _lower(_: random.Random, text: str) -> str:
    return text.lower()


def _capital(_: random.Random, text: str) -> str:
    return text[:1].upper() + text[1:]


def _bare_end(_: random.Random, text: str) -> str:
    return text.rstrip(".?! \n") or text


def _ended(rng: random.Random, text: str) -> str:
    return text + rng.choice(("?", ".", "!", " ", "\n", "\n\n", "..."))


def _typo(rng: random.Random, text: str) -> str:
    words = text.split(" ")
    for _ in range(1 + len(words) // 40):
        at = rng.randrange(len(words))
        word = words[at]
        if len(word) > 3 and word.isalpha():
            cut = rng.randrange(1, len(word) - 1)
            words[at] = rng.choice(
                (
                    word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :],
                    word[:cut] + word[cut + 1 :],
                    word[:cut] + word[cut] + word[cut:],
                )
            )
    return " ".join(words)


def _padded(rng: random.Random, text: str) -> str:
    before = rng.choice(_BEFORE)
    return before + (text[:1].lower() + text[1:] if before.endswith(" ") else text)


def _followed(rng: random.Random, text: str) -> str:
    return text.rstrip() + rng.choice(_AFTER)


def _wrapped(rng: random.Random, text: str) -> str:
    return rng.choice(_WRAPPERS).replace("%", text)


def _lines(rng: random.Random, text: str) -> str:
    return text.replace("\n\n", "\n") if rng.random() < 0.6 else text.replace("\n", " ")


_BEFORE = (
    "Please ",
    "please ",
    "Hi, ",
    "Hello! ",
    "Could you ",
    "can you ",
    "I'd like you to ",
    "hey ",
    "Ok, ",
    "Thanks for earlier. ",
    "Quick one: ",
    "One more: ",
    "Now ",
    "So ",
    "I need help. ",
    "pls ",
    "Hi there,\n",
    "Question:\n",
    "Task: ",
    "Q: ",
    "And now, ",
    "Dear assistant,\n\n",
)
_AFTER = (
    " Thanks!",
    " thank you",
    " please",
    "\nThanks in advance.",
    " Please be quick.",
    " Thx",
    "\n\nCheers",
    " I would appreciate it.",
    "\nAnswer:",
    " :)",
    "\n\n",
    "\nA:",
    " It's urgent.",
    "\nResponse:",
)
_WRAPPERS = (
    "### Instruction:\n%\n\n### Response:\n",
    "User: %\nAssistant:",
    "Human: %\n\nAssistant:",
    "<user>%</user>",
    "Instruction: %",
    "Input: %\nOutput:",
    "[INST] % [/INST]",
    "Below is an instruction. %",
    "You are a helpful assistant.\n\n%",
    "Prompt: %",
    '"%"',
    "Read this carefully.\n%",
)
_CHANGES: tuple[tuple[Callable[[random.Random, str], str], float], ...] = (
    (_lower, 0.2),
    (_capital, 0.1),
    (_bare_end, 0.2),
    (_typo, 0.15),
    (_lines, 0.1),
    (_padded, 0.12),
    (_followed, 0.08),
    (_ended, 0.1),
    (_wrapped, 0.06),
)


def left_out(prompts: Sequence[Prompt], seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """The prompts without a fifth of each task's families, and the prompts of these."""
    kept_back: set[str] = set()
    for task in sorted({prompt.task for prompt in prompts}):
        families = sorted({prompt.family for prompt in prompts if prompt.task == task})
        random.Random(f"{seed}/{task}").shuffle(families)
        kept_back |= {f"{task}/{family}" for family in families[: len(families) // 5]}
    parts: tuple[list[Prompt], list[Prompt]] = ([], [])
    for prompt in prompts:
        parts[f"{prompt.task}/{prompt.family}" in kept_back].append(prompt)
    return parts
