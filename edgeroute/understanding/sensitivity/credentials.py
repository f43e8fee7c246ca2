"""Passwords, keys and tokens by the words around them: in code, in configuration, in prose.

A value is told from code and prose by where it stands and what it is made of. A password of small
letters alone is found only where it is assigned or quoted: in prose it is a word like any other.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain, fold
from edgeroute.understanding.sensitivity.wording import any_of

_PASSWORDS = tuple(
    fold(words)
    for words in (
        "password", "passwd", "pass:", "pass=", "passwort", "passcode", "passphrase",
        "pass phrase", "pwd", "pswd", "kennwort", "contraseña", "contrasenya", "palabra clave",
        "mot de passe", "senha",
        "wachtwoord", "hasło", "heslo", "lösenord", "adgangskode", "salasana", "şifre", "parola",
        "парол", "passord", "jelszó", "密码", "密碼", "口令", "パスワード", "비밀번호", "पासवर्ड",
        "كلمة المرور", "mật khẩu", "kata sandi",
    )
)  # fmt: skip
_KEYS = tuple(
    joint.join(words.split())
    for joint in (" ", "_", "-", "")
    for words in (
        "api key", "access key", "secret key", "private key", "auth key", "account key",
        "signing key", "encryption key", "master key", "license key", "client secret",
        "app secret", "shared secret", "secret", "token", "credential", "access code",
        "security code", "recovery code", "cvv", "cvc",
    )
)  # fmt: skip
_LOGINS = ("login", "logged in", "log in", "log into", "sign in", "signed in")


class Cue(Enum):
    """What a word announces."""

    PASSWORD = auto()
    KEY = auto()
    LOGIN = auto()


_CUES = {
    **dict.fromkeys(_PASSWORDS, Cue.PASSWORD),
    **dict.fromkeys(_KEYS, Cue.KEY),
    **dict.fromkeys(_LOGINS, Cue.LOGIN),
}
_CUE = re.compile(any_of(_CUES))


def _roots(shortest: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Strings of which every cue has one, and by each the shortest cues that have it."""
    roots: dict[str, tuple[str, ...]] = {}
    for cue in sorted({*_CUES, "pass", "key"}, key=len):
        root = next((root for root in (*shortest, *roots) if root in cue), cue)
        cues = roots.get(root, ())
        if not any(shorter in cue for shorter in cues):
            roots[root] = (*cues, cue)
    return roots


_ROOTS = _roots(("pass", "key", "code", "cv", "log", "sign", "contrase"))
_ASCII_ROOTS = {root: cues for root, cues in _ROOTS.items() if root.isascii()}


def _may_have_cues(lower: str) -> bool:
    """Whether a search is worth it: strings are found far faster than a choice of them."""
    roots = _ASCII_ROOTS if lower.isascii() else _ROOTS
    for root in roots:  # noqa: SIM110 - a generator costs more than the search
        if root in lower and any(cue in lower for cue in roots[root]):
            return True
    return False


def find_credentials(plain: Plain) -> Iterator[Finding]:
    """Yield what words say is a password, a key, a PIN or a seed phrase."""
    if _may_have_cues(plain.lower):
        yield from _announced(plain)
    if plain.digits >= _SHORTEST_PIN:
        yield from _pins(plain.lower)
    if " phrase" in plain.lower or " word" in plain.lower:
        yield from _seed_phrases(plain.lower)


def _announced(plain: Plain) -> Iterator[Finding]:
    past = 0
    for word in _CUE.finditer(plain.lower):
        if word.start() < past:
            continue
        cue, at = _CUES[word[0]], word.end()
        found = _assigned(plain.text, at, cue) or _told(plain.text, at, cue)
        if found is not None:
            past = found.end
            yield found


def _found(cue: Cue, start: int, value: str) -> Finding:
    kind = "API_KEY" if cue is Cue.KEY else "PASSWORD"
    return Finding(kind, start, start + len(value), Strength.SECRET)


# ---- what a value looks like -------------------------------------------------------------------

_SIGNS = frozenset("!@#$%^&*+=?~")
_NO_VALUES = {
    "none", "null", "nil", "undefined", "true", "false", "str", "string", "text", "int",
    "integer", "bool", "boolean", "bytes", "any", "optional", "required", "password", "passwd",
    "passwort", "pass", "token", "secret", "key", "input", "hash", "hashed", "value", "field",
    "char", "varchar", "type", "changeme", "redacted", "hidden", "example", "placeholder", "test",
}  # fmt: skip
_PLACEHOLDER = re.compile(r"your|my[_-]|[<\[{(]|\$\{|\$\(|(.)\1\1|example|\w{0,12}_here")


def is_placeholder(value: str) -> bool:
    """Whether a value stands for another: `xxxx`, `<token>`, `${TOKEN}`, `your-key`, `string`."""
    lower = value.lower()
    return lower in _NO_VALUES or _PLACEHOLDER.match(lower) is not None


_FEW = 2


def is_random(value: str) -> bool:
    """Whether a token has both letters and digits, two at least."""
    digits = sum(char.isdigit() for char in value)
    letters = sum(char.isalpha() for char in value)
    return digits >= _FEW and letters >= _FEW


def _is_mixed(value: str) -> bool:
    """Whether a token has letters, with a digit, a sign, or a capital inside."""
    letters = any(char.isalpha() for char in value)
    others = any(char.isdigit() or char in _SIGNS for char in value)
    return letters and (others or not (value[1:].islower() or value.isupper()))


def _is_strong(value: str) -> bool:
    """Whether no word or name looks so: small, capital, digit and sign; three of them."""
    kinds = (
        any(char.islower() for char in value),
        any(char.isupper() for char in value),
        any(char.isdigit() for char in value),
        any(char in _SIGNS for char in value[:-1]),
    )
    return sum(kinds) > _FEW and any(char.isalpha() for char in value)


# ---- `password = "..."`, `token: ...` ----------------------------------------------------------

_EQUALS = re.compile(
    r"[\w.\]-]{0,24}[\"']?[ \t]{0,3}(?::=|=>|[:=>]|,(?= ?[\"']))[ \t]{0,4}"
    r"(?:[\"'`]{1,3}([^\"'`\n]{3,256})[\"'`]|([^\s\"'`]{3,256})(\s{0,2}$|[ \t]{0,8}\n)?)"
)
_CODE = re.compile(r"[(){}\[\]<>]|^[A-Za-z_]\w{0,40}\.[a-z_]")
_MIN_KEY, _MIN_PASSWORD = 8, 4


def _assigned(text: str, at: int, cue: Cue) -> Finding | None:
    match = _EQUALS.match(text, at)
    if match is None or cue is Cue.LOGIN:
        return None
    if quoted := match[1]:
        return _found(cue, match.start(1), quoted) if _is_quoted_value(quoted, cue) else None
    value = _trimmed(match[2])
    if is_placeholder(value) or _CODE.search(value):
        return None
    if cue is Cue.KEY:
        good = len(value) >= _MIN_KEY and is_random(value)
    else:
        good = len(value) >= _MIN_PASSWORD and (_is_mixed(value) or match[3] is not None)
    return _found(cue, match.start(2), value) if good else None


def _is_quoted_value(value: str, cue: Cue) -> bool:
    if " " in value or is_placeholder(value):
        return False
    if cue is Cue.KEY:
        return len(value) >= _MIN_KEY and is_random(value)
    return cue is Cue.PASSWORD and len(value) >= _MIN_PASSWORD


def _trimmed(token: str) -> str:
    return token.rstrip(".,;:)]}>\"'`?").lstrip("\"'`([{<")


# ---- `my password is ...`, `logged in with ... / ...` ------------------------------------------

_NEAR = 96
"""Characters after a cue in which its value is looked for."""
_WORDS_BETWEEN = 9
_TOKEN = re.compile(r"\S+")
_SAID = {
    "is", "was", "are", "ist", "war", "lautet", "est", "es", "e", "jest", "ar", "on", "to",
    "code", "value", "set", "changed", "reset", "used", "new", "this", "=", ":", "-", "->", "--",
    "是", "は",
}  # fmt: skip
"""Words between a cue and its value."""
_KNOWN = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}|\w{2,8}://.*|www\..*|[$#]?[\d.,:/x-]+\w{0,3}"
    r"|[@/\\~].*|.*[()<>{}\[\];|].*|[\w/-]+\.[a-z]{2,5}|\w{1,12}[=:].*|[A-Za-z]+[/-][A-Za-z/-]+"
)
"""What a token with digits and signs is when it is no password: an address, a path, code."""
_SHORTEST, _SHORTEST_TOLD, _LONGEST, _SHORTEST_KEY = 7, 5, 128, 16


def _told(text: str, at: int, cue: Cue) -> Finding | None:
    """The first token of the sentence after a cue that looks like a value."""
    near = text[at : at + _NEAR]
    adjacent = True
    for index, word in enumerate(_TOKEN.finditer(near)):
        if index > _WORDS_BETWEEN:
            break
        value = _trimmed(word[0])
        if _is_told(value, cue, adjacent=adjacent, quoted=word[0][0] in "\"'`"):
            return _found(cue, at + word.start() + word[0].index(value), value)
        adjacent = adjacent and word[0].lower() in _SAID
        if word[0][-1] in ".?!;" and value.islower():
            break
    return None


def _is_told(value: str, cue: Cue, *, adjacent: bool, quoted: bool) -> bool:
    if not value.isascii() or len(value) > _LONGEST or _KNOWN.fullmatch(value):
        return False
    if cue is Cue.KEY:
        return len(value) >= _SHORTEST_KEY and is_random(value)
    if cue is Cue.PASSWORD and adjacent and len(value) >= _SHORTEST_TOLD:
        return quoted or (_is_mixed(value) and not value.isalpha())
    return len(value) >= _SHORTEST and _is_strong(value)


# ---- PINs, seed phrases ------------------------------------------------------------------------

_SHORTEST_PIN = 3
_PIN_WORDS = ("pin", "otp", "one-time", "geheimzahl", "cvv", "cvc", "security code")
_PIN = re.compile(
    r"\b(?:pin|otp|one-time (?:code|password)|geheimzahl|cvv2?|cvc|security code)"
    r"(?: (?:code|number|nummer))?(?: (?:is|was|ist|est|es)|:| =|=)? {0,2}#?(\d{3,8})(?![\w.,]\d)\b"
)
_SEED = re.compile(r"(?:seed|recovery|mnemonic|backup) (?:phrase|words?)")
_SEED_WORDS = re.compile(
    r"[^a-z\n]{0,6}(?:(?:is|are|my|the|wallet|for)[ :]{1,3}){0,4}((?:[a-z]{3,8}[ ,]{1,2}){11,23}"
    r"[a-z]{3,8})"
)


def _pins(lower: str) -> Iterator[Finding]:
    if not any(word in lower for word in _PIN_WORDS):
        return
    for match in _PIN.finditer(lower):
        yield Finding("PASSWORD", match.start(1), match.end(1), Strength.SECRET)


def _seed_phrases(lower: str) -> Iterator[Finding]:
    for cue in _SEED.finditer(lower):
        if match := _SEED_WORDS.match(lower, cue.end()):
            yield Finding("SEED_PHRASE", match.start(1), match.end(1), Strength.SECRET)
