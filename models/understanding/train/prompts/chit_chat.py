"""Prompts that only make conversation."""

import random
from collections.abc import Iterator
from dataclasses import replace

from train.prompts.prompt import Prompt
from train.prompts.sections import slots, typed_fast, written

SLOTS = slots("chit_chat_slots.txt")
ADDRESSES = (
    "", "", "Hey, ", "So, ", "Ok, ", "Well ", "Hi! ", "Hello, ", "um, ", "Tell me, ",
    "By the way, ", "Just curious: ", "Now ", "oh and ", "Listen, ", "Hey buddy, ",
    "Dear computer, ",
)  # fmt: skip
TAILS = (
    "", "", "", " haha", " :)", "?", "!", "...", " please", " then", " my friend", " lol",
    " today", " 😊", " dude", " hm?",
)  # fmt: skip
EACH_MEETING = 12
LIVELY = ("chat.hello", "chat.goodbye", "chat.reaction", "chat.welcome", "chat.longer")


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of the task `chit_chat`; the same for the same state of `rng`."""
    yield from dict.fromkeys(_all(rng))


def _all(rng: random.Random) -> Iterator[Prompt]:
    """As `write`, with the repetitions that chance brings."""
    told = list(
        written("chit_chat.txt", task="chit_chat", topics=(), needs_tools=False, needs_fresh=False)
    )
    for prompt in told:
        yield replace(prompt, difficulty=0)
        if prompt.family not in LIVELY and rng.random() < 0.6:
            yield replace(prompt, text=_dressed(rng, prompt.text), difficulty=0)
    for form in SLOTS["meetings"]:
        for _ in range(EACH_MEETING):
            one, other = rng.sample(SLOTS["people"], 2)
            yield _chat(form.replace("{n}", one).replace("{m}", other), "chat.people")
    for mood in SLOTS["moods"]:
        for prompt in rng.sample(told, 7):
            yield _chat(f"{mood} {prompt.text}", "chat.mood")
    for _ in range(60):
        two = rng.sample(told, 2)
        yield _chat(". ".join(prompt.text.rstrip(".?!") for prompt in two), "chat.both")


def _chat(text: str, family: str) -> Prompt:
    return Prompt(
        text,
        "chit_chat",
        family,
        topics=(),
        needs_tools=False,
        needs_fresh=False,
        output_tokens=40,
        difficulty=0,
    )


def _dressed(rng: random.Random, text: str) -> str:
    """The same utterance with an address, a tail or hurried spelling."""
    if rng.random() < 0.3:
        return typed_fast(rng, text)
    tail = rng.choice(TAILS)
    bare = text.rstrip(".?!") if tail else text
    return f"{rng.choice(ADDRESSES)}{bare}{tail}"
