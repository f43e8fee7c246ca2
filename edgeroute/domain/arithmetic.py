"""Pure arithmetic as people write it, and its exact value.

Owns what counts as pure arithmetic: a question that a calculator answers and nothing else could
answer better. Precision comes before recall. `9/11`, `24/7`, `2024-11-23` and `555-1234` may be
anything but sums; `-2^2`, `2^3^2`, `9/19 ÷ 7/10`, `100 + 10%` and `6/2(1+2)` are read in two ways;
none of these is claimed, nor is whatever asks for words, units or a certain form of the answer.

    question   = [asking] (share | sum) ["=" | "equals"] ["?"]
    share      = number "% of" atom
    sum        = product {("+" | "-") product}
    product    = power {("*" | "/") power}
    power      = atom ["^" ["-"] digits]
    atom       = ["-"] (number | "(" sum ")")
"""

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

_LONGEST = 200
"""Characters of a question."""
_DEEPEST = 16
"""Parentheses within parentheses."""
_MOST_BITS = 660
"""Of any numerator or denominator, some 200 digits, so that no exponent takes long."""
_MOST_PLACES = 12
"""Digits after the point of a value that is told whole; any other is told to as many digits."""

_OPENING = re.compile(
    r"\s*(?:(?:hi|hello|hey|ok|okay|so|and|please)[,!.]?\s+)*"
    r"(?:(?:can|could|would) you\s+)?(?:please\s+)?(?:tell me\s+)?"
    r"(?:(?P<work>calculate|compute|evaluate|work out|solve|how much (?:is|are))"
    r"|(?P<what>what(?:[\u2019']?s| is| does| are)|the (?:result|value) of))?"
    r":?\s*(?:the (?:result|value) of\s+)?(?=[-\u2212(.\d])",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\s*(?P<equals>=|\bequals?(?: to)?\b|\bmakes?\b)?[\s?.!]*(?:,?\s*please)?[\s?.!]*\Z",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?P<before>\s*)(?:(?P<number>[0-9]+(?:,[0-9]+)*(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<share>(?:%|\s?percent)\s+of\b)"
    r"|(?P<operator>\*\*|[-+*/^()\u2212\xd7\xb7\xf7x]"
    r"|(?:plus|minus|times|multiplied by|divided by|to the power of)\b))",
    re.IGNORECASE,
)
_PLAIN_NUMBER = re.compile(
    r"(?:0|[1-9][0-9]{0,59}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,19})?(?:\.[0-9]{1,60})?"
)
_SHORT_GROUP = re.compile(r"[0-9]{1,3}[.,][0-9]{3}")
_DATE = re.compile(r"[0-9]{1,4}([-/])[0-9]{1,2}\1[0-9]{1,4}")
_SIGNS = {
    "\u2212": "-", "\xd7": "*", "\xb7": "*", "x": "*", "\xf7": "/", "**": "^",
    "plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/",
    "to the power of": "^",
}  # fmt: skip


def answer(text: str) -> str | None:
    """The exact value of pure arithmetic as text; `None` for anything else.

    A value that no decimal of 12 places holds is told as `≈ 14.2857142857 (100/7)`. Takes well
    under 5 us for a text that is none.
    """
    opening = _OPENING.match(text) if len(text) <= _LONGEST else None
    if opening is None:
        return None
    tokens, end = _tokens(text, opening.end())
    closing = _CLOSING.match(text, end)
    if closing is None or _DATE.search(text, opening.end(), end):
        return None
    to_work_out = opening["work"] is not None or closing["equals"] is not None
    if not to_work_out and not _is_a_sum(tokens, asked=opening["what"] is not None):
        return None
    try:
        return _told(_Reader(tokens).question())
    except _NotClaimed:
        return None


class _NotClaimed(Exception):
    """It is not arithmetic, not surely so, or its value has too many digits."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A number, `% of`, or a sign.

    Attributes:
        clear: The sign is of arithmetic and of nothing else; `-` and `/` also stand in dates,
            ratios and scores, `x` in sizes.
        spaced: There is space before it.
        grouped: A number like `1.500` and `1,500`, read in two ways depending on where one lives.
    """

    sign: str
    number: Fraction | None = None
    clear: bool = False
    spaced: bool = False
    grouped: bool = False


def _tokens(text: str, at: int) -> tuple[list[_Token], int]:
    """Every token from `at` on, and where they end."""
    tokens: list[_Token] = []
    while match := _TOKEN.match(text, at):
        at = match.end()
        spaced = bool(match["before"])
        if match["number"] is not None:
            tokens.append(_number(match["number"]))
        elif match["share"] is not None:
            tokens.append(_Token("%", clear=True))
        else:
            written = match["operator"].lower()
            clear = written not in "-\u2212/x()"
            tokens.append(_Token(_SIGNS.get(written, written), clear=clear, spaced=spaced))
    return tokens, at


def _number(written: str) -> _Token:
    if not _PLAIN_NUMBER.fullmatch(written):
        return _Token("?")  # `007` is a name, `1,5` is a list or a fraction
    grouped = _SHORT_GROUP.fullmatch(written) is not None
    return _Token("number", Fraction(written.replace(",", "")), grouped=grouped)


def _is_a_sum(tokens: list[_Token], *, asked: bool) -> bool:
    """Whether it can be nothing but a sum, though nobody said that it is to be worked out."""
    if not asked:
        return any(t.clear for t in tokens) and not any(t.grouped for t in tokens)
    return any(t.clear or (t.spaced and t.sign in "-*/") for t in tokens)


class _Reader:
    """Reads the grammar above, one function per line of it; raises `_NotClaimed`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._operations = 0

    def question(self) -> Fraction:
        if len(self._tokens) > 1 and self._tokens[1].sign == "%":
            share = self._number()
            self._at += 1
            value = _bounded(share / 100 * self._atom())
            self._operations += 1
        else:
            value = self._sum()
        if self._at < len(self._tokens) or not self._operations:
            raise _NotClaimed
        return value

    def _sum(self) -> Fraction:
        value = self._product()
        while sign := self._take("+-"):
            other = self._product()
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> Fraction:
        value = self._power()
        while sign := self._take("*/"):
            other = self._power()
            if sign == "/" and (not other or self._sign_here() == "/"):
                raise _NotClaimed
            value = _bounded(value * other if sign == "*" else value / other)
        return value

    def _power(self) -> Fraction:
        negative = self._sign_here() == "-"
        base = self._atom()
        if not self._take("^"):
            return base
        sign = -1 if self._take("-") else 1
        exponent = self._number()
        ambiguous = negative or self._sign_here() == "^" or (not base and exponent <= 0)
        if ambiguous or exponent.denominator != 1 or (not base and sign < 0):
            raise _NotClaimed
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent * bits > _MOST_BITS:
            raise _NotClaimed
        return Fraction(base ** (sign * int(exponent)))

    def _atom(self) -> Fraction:
        if self._negates():
            return -self._atom_without_sign()
        return self._atom_without_sign()

    def _atom_without_sign(self) -> Fraction:
        if self._sign_here() != "(":
            return self._number()
        self._at += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NotClaimed
        value = self._sum()
        if self._sign_here() != ")":
            raise _NotClaimed
        self._at += 1
        self._depth -= 1
        return value

    def _number(self) -> Fraction:
        number = self._tokens[self._at].number if self._at < len(self._tokens) else None
        if number is None:
            raise _NotClaimed
        self._at += 1
        return number

    def _negates(self) -> bool:
        if self._sign_here() != "-":
            return False
        self._at += 1
        return True

    def _take(self, signs: str) -> str:
        """The sign here, if it is one of these; an operation that is counted."""
        sign = self._sign_here()
        if not sign or sign not in signs:
            return ""
        self._at += 1
        self._operations += 1
        return sign

    def _sign_here(self) -> str:
        return self._tokens[self._at].sign if self._at < len(self._tokens) else ""


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise _NotClaimed
    return value


def _told(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10**_MOST_PLACES
    if scaled.denominator == 1:
        exact = Decimal(scaled.numerator).scaleb(-_MOST_PLACES, _ROOMY)
        return f"{exact:f}".rstrip("0")
    near = _ROUNDING.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"≈ {near.normalize(_ROUNDING)} ({value.numerator}/{value.denominator})"


_ROOMY = Context(prec=400)
_ROUNDING = Context(prec=_MOST_PLACES)
