"""Prompts of which nothing can be said: no instruction, or none that can be understood."""

import base64
import random
import string
from collections.abc import Callable, Iterator

from train.prompts import passages
from train.prompts.prompt import Prompt
from train.prompts.sections import slots, written

HAND = slots("unknown.txt")
SLOTS = slots("unknown_slots.txt")
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "qwertzuiop", "1234567890", ";lkj", "fghj")
HOSTS = ("example.org", "example.com", "example.net", "docs.example.org", "img.example.com")
EACH = 65
PASSAGES = 220


def write(rng: random.Random) -> Iterator[Prompt]:
    """Yields prompts of the task `unknown`; the same for the same state of `rng`."""
    yield from written("unknown.txt", task="unknown", needs_tools=False, needs_fresh=False)
    for family, make in MAKERS:
        for _ in range(EACH):
            yield _prompt(make(rng), family, 50)
    whole = passages.everything()
    for passage in rng.sample(whole, min(PASSAGES, len(whole))):
        yield _prompt(_bare(rng, passage.text), "unknown.passage", 120)


def _prompt(text: str, family: str, tokens: int) -> Prompt:
    return Prompt(
        text, "unknown", family, needs_tools=False, needs_fresh=False, output_tokens=tokens
    )


def _bare(rng: random.Random, text: str) -> str:
    """A passage as it is pasted: whole, from the middle, or broken off."""
    words = text.split(" ")
    if rng.random() < 0.5 or len(words) < 30:
        return text
    start = rng.randrange(len(words) // 2)
    return " ".join(words[start : start + rng.randint(12, 200)])


def _mash(rng: random.Random) -> str:
    row = rng.choice(ROWS)
    keys = "".join(rng.choice(row) for _ in range(rng.randint(4, 24)))
    return keys if rng.random() < 0.6 else f"{keys[:5]} {keys[5:]} {rng.choice(ROWS)[:4]}"


def _digits(rng: random.Random) -> str:
    joint = rng.choice((" ", ", ", "-", "", "\n", "\t", "/"))
    return joint.join(str(rng.randrange(10 ** rng.randint(1, 6))) for _ in range(rng.randint(1, 9)))


def _encoded(rng: random.Random) -> str:
    raw = rng.randbytes(rng.randint(9, 60))
    return base64.b64encode(raw).decode() if rng.random() < 0.5 else raw.hex()


def _address(rng: random.Random) -> str:
    path = "/".join(rng.choice(HAND["unknown.word"]) for _ in range(rng.randint(0, 3)))
    key = "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(4, 12)))
    end = rng.choice(("", f"?id={key}", f"#{key}", ".html", f"/{key}"))
    return f"https://{rng.choice(HOSTS)}/{path}{end}".replace(" ", "-")


def _log(rng: random.Random) -> str:
    lines = [
        f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02} "
        f"{rng.choice(SLOTS['levels'])} {rng.choice(SLOTS['events'])}"
        for _ in range(rng.randint(2, 14))
    ]
    return "\n".join(sorted(lines))


def _pieces(rng: random.Random) -> str:
    joint = rng.choice((" ", ", ", "\n", " - ", "; ", " / ", "... "))
    return joint.join(rng.sample(SLOTS["pieces"], rng.randint(2, 8)))


def _mixed(rng: random.Random) -> str:
    kinds = ("unknown.word", "unknown.marks", "unknown.fragment", "unknown.numbers")
    return " ".join(rng.choice(HAND[kind]) for kind in rng.sample(kinds, rng.randint(2, 3)))


def _shuffled(rng: random.Random) -> str:
    words = rng.choice(passages.everything()).text.split()
    return " ".join(rng.sample(words, min(len(words), rng.randint(4, 40))))


MAKERS: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("unknown.made_mash", _mash),
    ("unknown.made_digits", _digits),
    ("unknown.made_encoded", _encoded),
    ("unknown.made_address", _address),
    ("unknown.made_log", _log),
    ("unknown.made_pieces", _pieces),
    ("unknown.made_mixed", _mixed),
    ("unknown.made_shuffled", _shuffled),
)
