"""Telephone numbers: by their country code, by a word nearby, or by a national number plan."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise

import phonenumbers

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain, fold
from edgeroute.understanding.sensitivity.wording import any_of

_CANDIDATE = re.compile(
    r"(?<![\w.$€£¥#*^%=<>/+-])(?<!\d[,:])(?:\+ ?|\(\+?)?\d{1,15}(?:[ ./()-]{1,3}\d{1,8}){0,6}"
    r"(?:,? ?(?:x|ext\.?|#) ?\d{1,6})?(?!\w|[.,:]\d)"
)
_EXTENSION = re.compile(r",? ?(?:x|ext\.?|#) ?\d+$")
_DIGITS = re.compile(r"\d+")
_FEWEST, _MOST = 7, 15

_STRONG = any_of(
    fold(word)
    for word in (
        "phone", "telephone", "mobile", "cell", "fax", "whatsapp", "hotline", "telefon", "handy",
        "mobilnummer", "teléfono", "telefono", "móvil", "téléphone", "portable", "cellulare",
        "telefone", "celular", "telefoon", "телефон", "тел.", "мобильн", "电话", "手机", "電話",
        "携帯", "전화", "هاتف", "جوال", "फ़ोन", "मोबाइल", "điện thoại", "telepon", "puhelin",
    )
)  # fmt: skip
_WEAK = (
    "call|calling|contact|reach|ring|dial|text|sms|number is|number:|my number|her number"
    "|his number|rufe?n?|anrufen|ruf mich|nummer|llamame|llama|appelez|appelle|chiama|ligue|bel"
    "|позвони|звоните|tel|ph|cel"
)
_STRONG_CUE = re.compile(_STRONG)
_WEAK_CUE = re.compile(rf"(?<!\w)(?:{fold(_WEAK)})(?!\w)|(?<!\w)[tmf][:.]")
_BEFORE, _AFTER = 48, 28

_NO_PHONE = re.compile(
    r"(?:\d{4}([./-])\d{1,2}\1\d{1,2}|\d{1,2}([./-])\d{1,2}\2\d{4})(?: \d{1,2})?"
    r"|(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d|\d{1,3}(?:\.\d{1,3}){3}"
)
"""Dates, spans of years, addresses of hosts."""
_OTHER_NUMBER = re.compile(
    r"(?:isbn|issn|doi|order|invoice|ticket|tracking|version|pages?|pp\.?|rfc|part|sku|model|serial"
    r"|lat|long?|latitude|longitude|build|id|#)[\w:.# -]{0,12}$"
)
_AMERICAN = re.compile(
    r"(?:\+?1[-. ]|001[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}"
)
_REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "SE", "PL", "IN", "AU", "BR", "DK", "NO", "FI",
    "AT", "BE", "PT", "CZ", "HU", "ZA", "NZ", "IE", "MX", "JP", "CN", "RU", "TR",
)  # fmt: skip
_MAX_ASKED = 200
"""Candidates that number plans are asked about, 29 regions each: some 0.4 ms."""
_MIN_PARTS, _MIN_NATIONAL = 3, 8
_MIN_COMPACT, _MIN_OF_TWO_PARTS, _MIN_UNBROKEN = 9, 9, 10


def find_phones(plain: Plain, places: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    """Yield telephone numbers within places where digits stand close together."""
    doubtful = []
    candidates = (_CANDIDATE.finditer(plain.text, start, end) for start, end in places)
    for match in chain.from_iterable(candidates):
        number = _EXTENSION.sub("", match[0])
        parts = _DIGITS.findall(number)
        if not _FEWEST <= sum(map(len, parts)) <= _MOST or _NO_PHONE.fullmatch(number.strip("() ")):
            continue
        if _is_international(number) or _has_cue(plain.lower, match, parts):
            yield _phone(match)
        elif _OTHER_NUMBER.search(plain.lower, max(0, match.start() - 24), match.start()) is None:
            if _AMERICAN.fullmatch(number):
                yield _phone(match)
            elif _is_grouped(number, parts):
                doubtful.append((match, number))
    for match, number in islice(doubtful, _MAX_ASKED):
        if _is_in_a_plan(number):
            yield _phone(match)


def _phone(match: re.Match[str]) -> Finding:
    return Finding("PHONE_NUMBER", match.start(), match.end(), Strength.HARD)


def _is_international(number: str) -> bool:
    bare = number.removeprefix("(")
    if not bare.startswith("+"):
        return False
    try:
        phonenumbers.parse(bare)
    except phonenumbers.NumberParseException:  # no such country
        return False
    return True


def _has_cue(lower: str, match: re.Match[str], parts: list[str]) -> bool:
    before = lower[max(0, match.start() - _BEFORE) : match.start()]
    after = lower[match.end() : match.end() + _AFTER]
    if _STRONG_CUE.search(before) or _STRONG_CUE.search(after):
        return True
    whole = len(parts) == 1 and len(parts[0]) < _MIN_COMPACT
    return not whole and _WEAK_CUE.search(before) is not None


def _is_grouped(number: str, parts: list[str]) -> bool:
    """Whether digits are grouped as numbers are dialled, not as a list of numbers is written."""
    if any(len(part) == 1 for part in parts[1:]):
        return False
    if len(parts) > _MIN_PARTS:
        return any(int(first) >= int(second) for first, second in pairwise(parts))
    if len(parts) == _MIN_PARTS:
        return True
    least = _MIN_OF_TWO_PARTS if len(parts) > 1 else _MIN_UNBROKEN
    return number[0] in "0(" and sum(map(len, parts)) >= least


def _is_in_a_plan(number: str) -> bool:
    if sum(char.isdigit() for char in number) < _MIN_NATIONAL:
        return False
    return any(_is_valid(number, region) for region in _REGIONS)


def _is_valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
