"""Identifiers that are known by themselves: a checksum, or a shape of their own.

Patterns are tried where digits stand close together. Checksums are those of python-stdnum, number
plans those of phonenumbers; both are asked about candidates only.
"""

import re
from collections.abc import Callable, Iterator

from stdnum import bitcoin, luhn
from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.iso7064 import mod_97_10
from stdnum.it import codicefiscale
from stdnum.mx import curp

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.phones import find_phones
from edgeroute.understanding.sensitivity.plain import Plain

_DENSE = re.compile(r"\d(?:[ ./()_-]{0,3}[A-Za-z]{0,6}\d){5,}")
_FEWEST_DIGITS = 6
_MARGIN = 36
"""Characters around six close digits that may belong to the same identifier."""


def find_identifiers(plain: Plain) -> Iterator[Finding]:
    """Yield what identifies by its shape or checksum."""
    if plain.digits < _FEWEST_DIGITS:
        return
    places = list(_dense_places(plain.text))
    for start, end in places:
        for detector in (_cards, _social_security, _ibans, _national):
            yield from detector(plain.text, start, end)
    yield from find_phones(plain, places)


def _dense_places(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans where digits stand close together, none overlapping another."""
    start, end = 0, -1
    for match in _DENSE.finditer(text):
        if match.start() - _MARGIN > end:
            if end >= 0:
                yield start, end
            start = max(0, match.start() - _MARGIN)
        end = match.end() + _MARGIN
    if end >= 0:
        yield start, end


def _hard(kind: str, match: re.Match[str]) -> Finding:
    return Finding(kind, match.start(), match.end(), Strength.HARD)


# ---- money -------------------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![\w.,-])(?:\d{12,19}"
    r"|\d{4}([ ._/-]{1,2})\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"
    r"|3\d{3}([ ._-]{1,2})\d{6}\2\d{4,5}"
    r"|\d(?:[ ._-]{1,2}\d){12,18})(?!\w|[.,]\d|[ -]\d)"
)
_BRANDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}|6\d{15,18}|6\d{12,13}|(?:2131|1800)\d{11}"
    r"|(?:5018|5020|5038|5[678]\d\d|6304|67\d\d)\d{8,15}|81\d{14,17}"
)
"""Leading digits and lengths that issuers use."""
_NO_DIGITS = re.compile(r"\D")


def _cards(text: str, at: int, to: int) -> Iterator[Finding]:
    for match in _CARD.finditer(text, at, to):
        digits = _NO_DIGITS.sub("", match[0])
        if _BRANDS.fullmatch(digits) and luhn.is_valid(digits) and len(set(digits)) > 1:
            yield _hard("CREDIT_CARD", match)


_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[A-Za-z0-9]{11,30}(?![A-Za-z0-9])"
    r"|(?:[ .-][A-Za-z0-9]{4}){2,7}(?:[ .-][A-Za-z0-9]{1,3})?(?![A-Za-z0-9]))"
)
_GROUPS = re.compile(r"[ .-]")
_LAST_GROUP = re.compile(r"[ .-][A-Za-z0-9]{1,4}$")
_SHORTEST_IBAN = 15


def _ibans(text: str, at: int, to: int) -> Iterator[Finding]:
    for match in _IBAN.finditer(text, at, to):
        written = match[0]
        while len(_GROUPS.sub("", written)) >= _SHORTEST_IBAN:
            if _has_iban_digits(_GROUPS.sub("", written).upper()):
                start = match.start()
                yield Finding("IBAN_CODE", start, start + len(written), Strength.HARD)
                break
            shorter = _LAST_GROUP.sub("", written)  # a word after it can look like its last group
            if shorter == written:
                break
            written = shorter


def _has_iban_digits(account: str) -> bool:
    """Whether the check digits are right (ISO 7064 MOD 97-10); lengths differ by country."""
    return bool(mod_97_10.is_valid(account[4:] + account[:4]))


# ---- persons -----------------------------------------------------------------------------------

_SSN = re.compile(
    r"(?<![\w.-])(?!000|666)([0-9])\d{2}([- ])(?!00)\d{2}\2(?!0000)\d{4}(?!\w|[.-]\d| \d)"
)


def _social_security(text: str, at: int, to: int) -> Iterator[Finding]:
    for match in _SSN.finditer(text, at, to):
        yield _hard("TAX_ID" if match[1] == "9" else "US_SSN", match)


def _always(_: str) -> bool:
    return True


_NATIONAL: tuple[tuple[re.Pattern[str], Callable[[str], bool], str], ...] = tuple(
    (re.compile(rf"(?<![A-Za-z0-9.-])(?:{pattern})(?![A-Za-z0-9]|[.-]\d)"), valid, kind)
    for pattern, valid, kind in (
        (r"[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]", codicefiscale.is_valid, "TAX_ID"),
        (r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", curp.is_valid, "NATIONAL_ID"),
        (
            r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
            _always,
            "NATIONAL_ID",
        ),
        (r"\d{8}-?[A-HJ-NP-TV-Z]", dni.is_valid, "NATIONAL_ID"),
        (r"[XYZ]-?\d{7}-?[A-Z]", nie.is_valid, "NATIONAL_ID"),
        (r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", _always, "TAX_ID"),
        (r"\d{3}\.\d{3}\.\d{3}-\d{2}", cpf.is_valid, "TAX_ID"),
        (r"\d{4} \d{4} \d{4}(?! ?\d)", aadhaar.is_valid, "NATIONAL_ID"),
        (
            r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}",
            nir.is_valid,
            "NATIONAL_ID",
        ),
        (r"[1-9]\d{5}(?:19|20)\d{9}[\dX]", ric.is_valid, "NATIONAL_ID"),
        (r"[13][A-HJ-NP-Za-km-z1-9]{25,34}|bc1[a-z0-9]{11,71}", bitcoin.is_valid, "CRYPTO"),
    )
)


def _national(text: str, at: int, to: int) -> Iterator[Finding]:
    for pattern, valid, kind in _NATIONAL:
        for match in pattern.finditer(text, at, to):
            if valid(match[0]):
                yield _hard(kind, match)
