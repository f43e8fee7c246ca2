"""What opens something by its own shape: private keys, tokens with known prefixes, connections.

Every pattern stands behind a literal that must be in the text, and repeats nothing that repeats.
"""

import re
from collections.abc import Iterator

from edgeroute.understanding.sensitivity.credentials import is_placeholder, is_random
from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain


def find_secrets(plain: Plain) -> Iterator[Finding]:
    """Yield what is a secret by its shape."""
    yield from _private_keys(plain.text)
    if plain.digits or "AKIA" in plain.text or "ASIA" in plain.text:
        yield from _shaped(plain.text)
    yield from _connections(plain.text)


def _secret(kind: str, start: int, end: int) -> Finding:
    return Finding(kind, start, end, Strength.SECRET)


_BEGIN, _END = "-----BEGIN ", "-----END "
_KEY_HEADER = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PUTTY = "PuTTY-User-Key-File-"


def _private_keys(text: str) -> Iterator[Finding]:
    if _BEGIN in text:
        end = 0
        for match in _KEY_HEADER.finditer(text):
            if match.start() >= end:  # once per key: each search may read the rest of the text
                end = text.find(_END, match.end())
                end = len(text) if end < 0 else end
                yield _secret("PRIVATE_KEY", match.start(), end)
    if (start := text.find(_PUTTY)) >= 0:
        yield _secret("PRIVATE_KEY", start, len(text))


_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (tuple(literals.split()), re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})"))
    for literals, pattern in (
        ("AKIA ASIA ABIA", r"A(?:KI|SI|BI)A[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{16,255}"),
        ("glpat- glrt- gldt-", r"gl(?:pat|rt|dt)-[\w-]{16,64}"),
        ("sk-", r"sk-[A-Za-z0-9_-]{16,200}"),
        ("sk_ rk_ pk_live", r"(?:[sr]k_(?:live|test)|pk_live)_[A-Za-z0-9]{10,128}"),
        ("xox", r"xox[abeprs]-[A-Za-z0-9-]{10,250}"),
        ("hooks.slack.com/", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}"),
        ("AIza", r"AIza[\w-]{30,40}"),
        ("ya29.", r"ya29\.[\w-]{20,300}"),
        ("eyJ", r"eyJ[\w-]{8,4000}\.[\w-]{8,8000}\.[\w-]{8,2000}"),
        ("npm_ hf_ pypi-", r"(?:npm_|hf_|pypi-)[A-Za-z0-9_-]{24,255}"),
        ("SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
        ("dop_v1_ doo_v1_", r"do[op]_v1_[a-f0-9]{32,64}"),
        ("shpat_ shpss_ shpca_", r"shp(?:at|ss|ca)_[a-fA-F0-9]{24,40}"),
        ("sq0", r"sq0(?:atp|csp|idp)-[\w-]{20,60}"),
        ("hvs. hvb.", r"hv[sb]\.[\w-]{20,200}"),
        ("AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{40,80}"),
        ("lin_api_ dckr_pat_ figd_ sntrys_", r"(?:lin_api|dckr_pat|figd|sntrys)_[\w-]{16,200}"),
        ("key- Key- KEY-", r"key-[a-f0-9]{32}(?![A-Za-z0-9])"),
    )
)


def _shaped(text: str) -> Iterator[Finding]:
    for literals, pattern in _SHAPES:
        for literal in literals:
            if literal in text:
                yield from _with_digits(pattern, text)
                break


def _with_digits(pattern: re.Pattern[str], text: str) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        if any(char.isdigit() for char in match[0]) or match[0][:4] in {"AKIA", "ASIA"}:
            yield _secret("API_KEY", match.start(), match.end())


_CONNECTION = re.compile(r"(?<=://)([^\s/:@\"'<>]{0,128}):([^\s/@\"'<>]{1,256})@[\w.\[-]")
_BEARER = re.compile(r"\b(?:bearer|basic|token) +([A-Za-z0-9+/._~=-]{16,4000})", re.IGNORECASE)


def _connections(text: str) -> Iterator[Finding]:
    if "://" in text and "@" in text:
        for match in _CONNECTION.finditer(text):
            if not is_placeholder(match[2]):
                yield _secret("CONNECTION_STRING", match.start(1), match.end() - 1)
    if "earer " in text or "asic " in text or "uthorization" in text or "BEARER " in text:
        for match in _BEARER.finditer(text):
            if is_random(match[1]):
                yield _secret("API_KEY", match.start(1), match.end(1))
