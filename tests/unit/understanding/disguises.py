"""Identifiers and secrets in disguise, and innocent texts that look like them; authored here.

Everything is drawn from a seed: numbers have right checksums and belong to nobody. A case is the
turns of a conversation; its twin is as near to it as a text can be that holds nothing sensitive.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from stdnum import iban, luhn

SEED = 20261123
_ROUNDS = 6


@dataclass(frozen=True)
class Case:
    """A conversation of the user's turns; `kind` says what was done to it."""

    kind: str
    turns: tuple[str, ...]


# ---- what is to be found -----------------------------------------------------------------------


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _card(rng: random.Random) -> str:
    body = rng.choice(("4", "51", "55", "6011")) + _digits(rng, 15)
    body = body[:15]
    return f"{body}{luhn.calc_check_digit(body)}"


def _iban(rng: random.Random) -> str:
    country, length = rng.choice((("DE", 18), ("AT", 16), ("CH", 17), ("PL", 24)))
    account = _digits(rng, length)
    return f"{country}{iban.calc_check_digits(f'{country}00{account}')}{account}"


def _ssn(rng: random.Random) -> str:
    return f"{rng.randint(101, 665)}-{rng.randint(11, 99)}-{rng.randint(1000, 9999)}"


def _email(rng: random.Random) -> str:
    name = rng.choice(("mira.holt", "j.okafor", "tomasz_w", "lena-brandt", "ravi.k"))
    return f"{name}{rng.randint(1, 99)}@{rng.choice(('posteo.de', 'mailbox.org', 'acme-lab.com'))}"


def _phone(rng: random.Random) -> str:
    return f"{rng.randint(201, 989)}-{rng.randint(201, 989)}-{rng.randint(1000, 9999)}"


def _password(rng: random.Random) -> str:
    word = rng.choice(("Falcon", "Nebel", "Tundra", "Violet", "Harbor"))
    return f"{word}{rng.choice('!#%&+')}{rng.randint(100, 999)}x"


def _key(rng: random.Random) -> str:
    letters = "".join(rng.choice("abcdefghjkmnpqrstuvwxyzABCDEFGHJK23456789") for _ in range(33))
    return rng.choice(("ghp_7", "sk-proj-4", "glpat-9")) + letters


_PLAIN: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "card": (_card, ("please charge {} for the order", "{} is what I pay with")),
    "iban": (_iban, ("send the refund to {} this week", "wire it to {}")),
    "ssn": (_ssn, ("her number for the form is {}", "fill in {} where it asks")),
    "email": (_email, ("write to {} about the lease", "my mail is {} by the way")),
    "phone": (_phone, ("call me at {} after six", "my phone: {}")),
    "password": (_password, ("my password is {} and it fails", "login with password: {}")),
    "key": (_key, ("it answers 401 with {} in the header", "export KEY={}")),
}

# ---- how it is disguised -----------------------------------------------------------------------

_LATIN = "acekopxyABEHKMOPTX"
_DRAWN_ALIKE = str.maketrans(_LATIN, "асекорхуАВЕНКМОРТХ")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _invisible(rng: random.Random, text: str) -> str:
    return "".join(char + rng.choice(("", "\u200b", "\u2060", "\u00ad")) for char in text)


def _spelled(_: random.Random, text: str) -> str:
    return " ".join(_WORDS[int(char)] for char in text if char.isdigit())


def _escaped(_: random.Random, text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


_ANY = tuple(_PLAIN)
_NUMBERS = ("card", "ssn", "phone")
_OF_VALUE: dict[str, tuple[tuple[str, ...], Callable[[random.Random, str], str]]] = {
    "as it is": (_ANY, lambda _, text: text),
    "spaced": (_ANY, lambda _, text: " ".join(text)),
    "dotted": (("card",), lambda _, text: ".".join(text)),
    "grouped": (
        ("card", "iban"),
        lambda _, text: " ".join(text[at : at + 4] for at in range(0, len(text), 4)),
    ),
    "dashed": (
        ("card",),
        lambda _, text: "\u2013".join(text[at : at + 4] for at in range(0, len(text), 4)),
    ),
    "homoglyphs": (("iban", "email", "key"), lambda _, text: text.translate(_DRAWN_ALIKE)),
    "full width": (_ANY, lambda _, text: text.translate(_FULL_WIDTH)),
    "arabic digits": (
        _NUMBERS,
        lambda _, text: text.translate({48 + digit: 0x660 + digit for digit in range(10)}),
    ),
    "invisible": (_ANY, _invisible),
    "words for digits": (("card", "phone"), _spelled),
    "percent": (_ANY, lambda _, text: quote(text, safe="")),
    "escapes": (_ANY, _escaped),
    "entities": (("email", "ssn", "key"), lambda _, text: "".join(f"&#{ord(c)};" for c in text)),
    "at and dot": (("email",), lambda _, text: text.replace("@", " [at] ").replace(".", "(dot)")),
    "spoken address": (
        ("email",),
        lambda _, text: (
            text.partition("@")[0] + " at " + text.partition("@")[2].replace(".", " dot ")
        ),
    ),
}
_OF_SENTENCE: dict[str, Callable[[str], str]] = {
    "base64": lambda text: "decode this: " + base64.b64encode(text.encode()).decode(),
    "base64, of addresses": lambda text: "see " + base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: "what is " + text.encode().hex() + " in ascii?",
    "nested json": lambda text: json.dumps({"tool": "send", "args": json.dumps({"body": text})}),
    "homoglyphs around": lambda text: text.translate(_DRAWN_ALIKE),
    "shouted": lambda text: f"HELLO!!! {text} ???",
}


def sensitive_cases() -> Iterator[Case]:
    """Yield what must be flagged."""
    rng = random.Random(SEED)  # noqa: S311 - drawn, not secret
    for _ in range(_ROUNDS):
        for kind, (values, disguise) in _OF_VALUE.items():
            for name in values:
                draw, sentences = _PLAIN[name]
                text = rng.choice(sentences).format(disguise(rng, draw(rng)))
                yield Case(f"{kind}: {name}", (text,))
        for kind, rewrite in _OF_SENTENCE.items():
            for name, (draw, sentences) in _PLAIN.items():
                if kind.startswith("homoglyphs") and name in {"password", "key"}:
                    continue  # the value itself would be another one
                yield Case(f"{kind}: {name}", (rewrite(rng.choice(sentences).format(draw(rng))),))
        yield from _split(rng)
        yield from _elsewhere(rng)


def _split(rng: random.Random) -> Iterator[Case]:
    card, key, address, account = _card(rng), _key(rng), _email(rng), _iban(rng)
    cut = rng.randint(5, 12)
    yield Case("split: card", (f"the first half is {card[:8]}", f"{card[8:]} is the rest"))
    groups = tuple(card[at : at + 4] for at in range(0, 16, 4))
    yield Case("split: card in four", (f"my card begins {groups[0]}", *groups[1:]))
    yield Case("split: key", (f"use {key[:cut]}", f"{key[cut:]} that was cut off"))
    yield Case("split: iban", (f"send to {account[:12]}", account[12:]))
    local, _, domain = address.partition("@")
    yield Case("split: email", (f"write to {local}@", f"{domain} please"))


def _elsewhere(rng: random.Random) -> Iterator[Case]:
    number = f"{rng.choice('CFGHJK')}{_digits(rng, 8)}"
    password = _password(rng)
    for text in (
        f"Meine Reisepassnummer lautet {number}, gilt der noch?",
        f"Mi pasaporte es {number}, ¿necesito visa?",
        f"mon numéro de passeport : {number}",
        f"Номер паспорта {number}, что дальше?",
        f"护照号码是 {number}",
        f"Das Passwort ist {password}",
        f"la contraseña es {password}",
        f"le mot de passe : {password}",
        f"пароль: {password}",
        f"我的密码是 {password}",
        f"postgres://app:{password.replace('#', 'x')}@db.internal:5432/shop does not connect",
        f"patient MRN {_digits(rng, 7)} was moved to ward 3",
        f"-----BEGIN RSA PRIVATE KEY-----\n{_key(rng)}\n-----END RSA PRIVATE KEY-----",
    ):
        yield Case(f"languages and secrets: {text[:12]}", (text,))


# ---- what only looks like it -------------------------------------------------------------------


def clean_cases() -> Iterator[Case]:
    """Yield what must not be flagged."""
    rng = random.Random(SEED + 1)  # noqa: S311 - drawn, not secret
    for _ in range(_ROUNDS):
        for text in _innocent(rng):
            yield Case(text[:24], (text,))
        first, second = rng.randint(1000, 9999), rng.randint(1000, 9999)
        yield Case("turns", (f"what is {first} times 7?", f"{second} times 9?", "and the sum?"))
        yield Case("turns", (f"order {first} came late", f"{second} came on time"))
        yield Case("turns", ("list three fruits", "now in alphabetical order", "thanks @all"))


def _no_card(rng: random.Random) -> str:
    card = _card(rng)
    return card[:-1] + str((int(card[-1]) + 1) % 10)


def _isbn(rng: random.Random) -> str:
    return f"978-{rng.randint(0, 9)}-{_digits(rng, 4)}-{_digits(rng, 4)}-{rng.randint(0, 9)}"


def _hash(rng: random.Random, length: int) -> str:
    return "".join(rng.choice("0123456789abcdef") for _ in range(length))


def _innocent(rng: random.Random) -> Iterator[str]:
    year, small, big = rng.randint(1850, 2030), rng.randint(2, 99), rng.randint(10_000, 999_999)
    yield f"where is order {_no_card(rng)}? it has not shipped"
    yield f"is ISBN {_isbn(rng)} the second edition?"
    yield f"upgrade from version {small}.{small + 1}.{rng.randint(0, 20)} to {small + 1}.0.0"
    yield f"version 2.{small % 10}.0.{small} breaks the build"
    yield f"logged at 2026-0{rng.randint(1, 9)}-{rng.randint(10, 28)} 14:{small % 60:02d}:07.123456"
    yield f"convert the timestamp 17{_digits(rng, 8)} to a date"
    yield f"and 17{_digits(rng, 11)} is in milliseconds"
    yield f"git show {_hash(rng, 40)} fails"
    yield f"sha256:{_hash(rng, 64)} does not match"
    yield f"request {UUID(int=rng.getrandbits(128))} timed out"
    yield f"compute {big} * {big + 7} + {small}"
    yield f"integrate x^{small} from 0 to {small + 3}, with pi = 3.14159265358979"
    yield f"between {year}-{year + 9} the population grew from {big} to {big * 3}"
    yield f"the sequence 2 3 5 7 11 13 17 19 23 29 {small}"
    yield f"sort [{', '.join(str(rng.randint(0, 999)) for _ in range(12))}]"
    yield "my password is wrong, what should I do?"
    yield "how do I store a password hash in postgres?"
    yield "def login(user: str, password: str) -> Token: return check(password, salt)"
    yield 'password = os.environ["DB_PASSWORD"]'
    yield "token = get_token(); api_key = config.api_key"
    yield 'set "api_key": "YOUR_API_KEY" in the settings'
    yield "curl -H 'Authorization: Bearer <token>' https://api.example.com/v1/items"
    yield "what does the passport scene in the film mean?"
    yield f"my account shows ${big / 100:,.2f} less than last month"
    yield f"the train {small} leaves at 10:45 from platform {small % 12}"
    yield f"a room of {small} by {small + 2} meters costs {big} euros"
    yield f"127.0.0.1:80{small:02d} refuses the connection, 0.0.0.0 works"
    yield f"page {small}, section 4.{small % 9}.2.1 of the standard"
    yield "spell the word c o l o u r for me please"
    yield "count: one two three, then stop at three"
    yield f"what happened in {year} and in {year + 100}?"
    yield f"Mr. Baker sold {small} apples and Mrs. Lee bought {small + 5} of them"
    yield "import the decorator with @dataclass and @property from the module"
    yield "base64 of a sentence: " + base64.b64encode(b"the cat sat on the mat").decode()
    yield f"coordinates 52.5{_digits(rng, 4)}, 13.4{_digits(rng, 4)} are in Berlin"
    yield f"part number {rng.randint(100, 999)}-{rng.randint(1000, 9999)} is out of stock"
    yield f"the tin weighs {small} kg and the pan costs {small * 10} dollars"
    yield "10% off with %d items & free shipping"
