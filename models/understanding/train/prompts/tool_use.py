"""Requests for an action or a look-up: assistants' commands, accounts, function calls."""

import random
import re
from collections.abc import Iterator

from train.prompts.knowledge_qa_lines import Line, fill, read, read_values
from train.prompts.prompt import Prompt
from train.prompts.tool_use_functions import requests

_RENDERINGS = 5  # of each template
_COMBINED = 110  # function calls of two or three parts
_SPOKEN = 280  # commands said in another way
_WAYS = (
    ("wake_word", "hey {assistant}, {}"),
    ("wake_word", "ok {assistant} {}"),
    ("wake_word", "{assistant}: {}"),
    ("polite", "could you please {}"),
    ("polite", "{} please"),
    ("polite", "would you mind doing this for me: {}"),
    ("polite", "{}, thanks"),
    ("polite", "can you {} for me"),
    ("polite", "i'd like you to {}"),
    ("polite", "{}. When you've a moment."),
    ("chatty", "ugh i'm so tired, {}"),
    ("chatty", "right, before i forget: {}"),
    ("chatty", "my hands are full, {}"),
    ("chatty", "um {}"),
    ("chatty", "{} and be quick about it"),
    ("chatty", "let's see... {}"),
)
_ASSISTANTS = ("nova", "iris", "computer", "google", "siri", "alexa", "house", "milo", "assistant")
_VERBS = re.compile(
    "(turn|set|add|play|call|text|send|remind|cancel|book|find|show|tell|put|delete|pay|transfer|"
    "move|read|order|track|open|close|lock|start|stop|pause|schedule|freeze|check|switch|dim|"
    "navigate|reserve|skip|repeat|change|activate|record|log|list|share|mark|buy|take|make|get) ",
    re.IGNORECASE,
)
_PAIRS = (
    "{first} Also, {second}",
    "{first} And {second}",
    "{first} After that, {second}",
    "{first}\n{second}",
    "1. {first}\n2. {second}",
    "Two things: {first} Then {second}",
    "I need the following. First: {first} Second: {second}",
)
_CONFIRMED = (
    ("Send 300 to Anna", "yes"),
    ("book the 9 am flight to Nice", "yes, go ahead"),
    ("delete all photos from 2016", "no, don't"),
    ("set an alarm for five", "make that half past five"),
    ("order two large pizzas", "actually three"),
    ("call Daniel", "the one from work"),
    ("find a hotel in Bath", "the second one, for two nights"),
    ("what's the weather in Turin", "and on sunday?"),
    ("play something by Fauré", "not this one"),
    ("how much did I spend on taxis in May", "what about June"),
    ("freeze my card", "yes I'm sure"),
    ("Remind me to call the school", "tomorrow at eight"),
    ("Get the exchange rate of the dollar in yen", "now in won"),
    ("turn off the lights", "all of them"),
    ("transfer 40 to Bo", "from savings"),
    ("reserve a table at Luigi's", "six people, eight o'clock"),
    ("text Marta that I'm late", "send it"),
    ("What's on my calendar on Monday", "move the first one to Tuesday"),
    ("navigate to the airport", "avoid the motorway"),
    ("Calculate the area of a circle with radius 4", "do the same with 6"),
)


def write(rng: random.Random) -> Iterator[Prompt]:
    """Hand-written commands and calls, ways of saying them, pairs of them, filled templates."""
    commands = list(read("tool_use_commands"))
    calls = list(read("tool_use_calls"))
    for line in [*commands, *calls]:
        yield _prompt(line, line.form, line.text)
    yield from _spoken(rng, [line for line in commands if not line.form.startswith("dialogue")])
    yield from _combined(rng, [line for line in calls if line.form.startswith("single_")])
    yield from _filled(rng)
    for text in requests(rng):
        yield Prompt(
            text=text, task="tool_use", family="described_functions", needs_tools=True, difficulty=2
        )
    for context, text in _CONFIRMED:
        yield Prompt(
            text=text,
            task="tool_use",
            family="follow_up",
            context=context,
            needs_tools=True,
            output_tokens=20,
            difficulty=0,
        )


def _prompt(line: Line, family: str, text: str) -> Prompt:
    return Prompt(
        text=text,
        task="tool_use",
        family=family,
        topics=line.topics,
        needs_tools=True,
        needs_fresh=line.needs_fresh,
        output_tokens=line.output_tokens,
        difficulty=line.difficulty,
    )


def _spoken(rng: random.Random, lines: list[Line]) -> Iterator[Prompt]:
    orders = [line for line in lines if _VERBS.match(line.text)]
    for line in rng.sample(orders, min(_SPOKEN, len(orders))):
        family, way = rng.choice(_WAYS)
        text = line.text.rstrip(".?")
        said = way.format(text[0].lower() + text[1:], assistant=rng.choice(_ASSISTANTS))
        yield _prompt(line, f"spoken_{family}", said)


def _combined(rng: random.Random, lines: list[Line]) -> Iterator[Prompt]:
    for _ in range(_COMBINED):
        first, second = rng.sample(lines, 2)
        pair = rng.choice(_PAIRS)
        text = pair.format(first=first.text, second=_continued(second.text, pair))
        yield Prompt(
            text=text,
            task="tool_use",
            family="combined",
            topics=tuple(dict.fromkeys(first.topics + second.topics)),
            needs_tools=True,
            needs_fresh=_fresh((first, second)),
            output_tokens=first.output_tokens + second.output_tokens,
            difficulty=2,
        )


def _fresh(parts: tuple[Line, Line]) -> bool | None:
    """Whether one part needs facts of today; unknown where neither does and one is unknown."""
    known = {part.needs_fresh for part in parts}
    if True in known:
        return True
    return None if None in known else False


def _continued(text: str, pair: str) -> str:
    runs_on = pair.endswith((", {second}", "And {second}", "Then {second}"))
    return text[0].lower() + text[1:] if runs_on and re.match(r"[A-Z][a-z]+ ", text) else text


def _filled(rng: random.Random) -> Iterator[Prompt]:
    values = read_values("tool_use_values")
    for line in read("tool_use_slots"):
        texts = (fill(line.text, values, rng) for _ in range(_RENDERINGS))
        for text in dict.fromkeys(texts):
            yield _prompt(line, line.form, text)
