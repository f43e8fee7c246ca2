"""What an answer itself shows of whether it is right: checks that need no other model.

Owns the checks and what they come to. Each says its verdict, how often that is right, and why. The
confidences are measured on answers of three small models to questions with a programmatic check
(`bench/results/2026-11-23-cascade.md`); what a grade means for one target is learnt
(`routing/grading`).
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from edgeroute.domain.answer_text import json_in, last_number, without_fence
from edgeroute.domain.arithmetic import answer as arithmetic
from edgeroute.domain.request import Chunk, FinishReason
from edgeroute.domain.verification import (
    Check,
    Checkable,
    Expectation,
    Finding,
    Grade,
    Verification,
)

SURE, FAIRLY_SURE = -0.06, -0.25
"""Mean log-probabilities per token at which answers count as sure, and as fairly sure."""
_RIGHT_AGAINST = {
    Check.ENDING: 0.86, Check.FORM: 0.9, Check.SPAN: 0.93, Check.SHAPE: 0.8, Check.LABEL: 0.88,
    Check.CODE: 0.8, Check.VALUE: 0.97, Check.SUMS: 0.9, Check.SURENESS: 0.56,
}  # fmt: skip
"""P(the answer is wrong) where a check says so, drawn to .5 where it seldom did."""
_RIGHT_FOR = {
    Check.ENDING: 0.63, Check.FORM: 0.75, Check.SPAN: 0.79, Check.SHAPE: 0.64, Check.LABEL: 0.91,
    Check.CODE: 0.85, Check.VALUE: 0.97, Check.SUMS: 0.5, Check.SURENESS: 0.74,
}  # fmt: skip
"""P(the answer is right) where a check says nothing against it."""

LOOKED_AT = 20_000
"""Characters of an answer."""
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|can not)\b"
    r"|as an ai\b|i do(?:n't| not) have (?:access|enough|the ability))",
    re.IGNORECASE,
)
_LOOP = re.compile(r"(?P<again>\S.{3,80}?)(?:\s*(?P=again)){3,}", re.DOTALL)
_RIGHT_SIDE = re.compile(r"=\s{0,3}(?P<value>-?\d[\d,]{0,20}(?:\.\d{1,20})?)")
_LEFT_SIDE = re.compile(
    r"(?:^|[^\w.,])(?P<sum>[-(]?\d[\d,.]*(?:\s*[-+*/x\xd7\xf7]\s*\(?\d[\d,.]*\)?)+)\s*$"
)
_LEFT_LENGTH = 60
_EQUATIONS = 32
"""That are read of an answer."""
_CENT = 0.0051
"""Values are told to two places or more."""
_SHAPES: dict[str, re.Pattern[str]] = {
    "email": re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+"),
    "phone": re.compile(r"[+(]?\d[\d\s()./-]{4,}"),
    "date": re.compile(r"(?=.*\d)[\w\s.,/:-]{3,40}"),
    "amount": re.compile(r"(?=.*\d)[^@]{1,40}"),
    "number": re.compile(r"[^\s@]*\d[^\s@]*"),
    "name": re.compile(r"[^\d@{}]{2,60}"),
}
_SHAPE_WORDS = {"email": "an e-mail address", "amount": "an amount"}


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it came.

    Attributes:
        finish: How it ended.
        logprobs: Of its tokens, where the model told them.
    """

    text: str
    finish: FinishReason
    logprobs: Sequence[float] = ()

    @classmethod
    def of(cls, chunks: Sequence[Chunk]) -> "Given":
        """The answer that came in these pieces."""
        finishes = [chunk.finish for chunk in chunks if chunk.finish is not None]
        logprobs = [token.logprob for chunk in chunks for token in chunk.logprobs]
        text = "".join(chunk.text for chunk in chunks)
        return cls(text, finishes[-1] if finishes else "stop", logprobs)


def verify(expected: Expectation, given: Given) -> Verification:
    """Check an answer: every check that applies, and what they come to. Never raises."""
    text = given.text[:LOOKED_AT]
    findings = [check(expected, given, text) for check in _CHECKS]
    told = tuple(finding for finding in findings if finding is not None)
    sureness = sum(given.logprobs) / len(given.logprobs) if given.logprobs else None
    return Verification(expected.checkable, _grade(expected, told, sureness), told, sureness)


def verify_beginning(expected: Expectation, given: Given) -> Verification:
    """Check an answer that goes on, by what can no longer come right. Never raises.

    Its sureness so far stands for that of all of it.
    """
    text = given.text[:LOOKED_AT]
    findings = (_beginning(text), _label_begun(expected, text), _sureness(expected, given, text))
    told = tuple(finding for finding in findings if finding is not None)
    sureness = sum(given.logprobs) / len(given.logprobs) if given.logprobs else None
    return Verification(expected.checkable, _grade(expected, told, sureness), told, sureness)


def _grade(expected: Expectation, findings: Sequence[Finding], sureness: float | None) -> Grade:
    if any(not finding.holds and finding.check is not Check.SURENESS for finding in findings):
        return Grade.FAILED
    if expected.checkable is Checkable.EXACTLY:
        return Grade.SOUND
    if sureness is None:
        return Grade.FAIR
    if sureness >= SURE:
        return Grade.SOUND
    return Grade.FAIR if sureness >= FAIRLY_SURE else Grade.DOUBTFUL


def _found(check: Check, against: str, otherwise: str) -> Finding:
    """A finding: what speaks against an answer, if anything does, else what was looked at."""
    confidence = (_RIGHT_AGAINST if against else _RIGHT_FOR)[check]
    return Finding(check, not against, confidence, against or otherwise)


# ---- one function per check: `None` where it does not apply ------------------------------------


def _ending(_expected: Expectation, given: Given, text: str) -> Finding:
    against = ""
    if not text.strip():
        against = "it is empty"
    elif given.finish == "length":
        against = "it was cut off"
    else:
        against = _circling_or_refusing(text)
    return _found(Check.ENDING, against, "it comes to an end")


def _beginning(text: str) -> Finding:
    return _found(Check.ENDING, _circling_or_refusing(text), "it neither refuses nor goes round")


def _circling_or_refusing(text: str) -> str:
    if _LOOP.search(text[-2000:]):
        return "it goes round in a circle"
    return "it refuses" if _REFUSAL.search(text[:200]) else ""


def _form(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.json:
        return None
    value = json_in(text)
    against = ""
    if value is None:
        against = "it is no JSON"
    elif expected.keys and not isinstance(value, dict):
        against = "it is no JSON object"
    elif isinstance(value, dict) and expected.keys and set(value) != set(expected.keys):
        against = "its keys are others than those asked for"
    return _found(Check.FORM, against, "it parses and has the keys asked for")


def _span(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.source:
        return None
    source = _squeezed(expected.source)
    said = list(_values(expected, text))
    missing = sum(_squeezed(value) not in source for value in said)
    against = f"{missing} of {len(said)} values are not in the text" if missing else ""
    return _found(Check.SPAN, against, "all that it extracts is in the text")


def _shape(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.kinds:
        return None
    value = json_in(text) if expected.json else None
    for key, kind in expected.kinds:
        told = value.get(key) if isinstance(value, dict) else None if expected.json else _bare(text)
        if told is not None and not _SHAPES[kind].fullmatch(str(told).strip()):
            words = _SHAPE_WORDS.get(kind, f"a {kind}")
            return _found(Check.SHAPE, f"what should be {words} does not look like one", "")
    return _found(Check.SHAPE, "", "everything looks like what it was called")


def _label(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.labels:
        return None
    is_one = _bare(text).lower() in expected.labels
    return _found(
        Check.LABEL, "" if is_one else "it is none of the labels offered", "it is a label offered"
    )


def _label_begun(expected: Expectation, text: str) -> Finding | None:
    if not expected.labels:
        return None
    said = _bare(text).lower()
    may_be = any(label.startswith(said) or said.startswith(label) for label in expected.labels)
    return _found(
        Check.LABEL, "" if may_be else "it is none of the labels offered", "it begins as a label"
    )


def _code(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.function:
        return None
    try:
        tree = ast.parse(without_fence(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _found(Check.CODE, "it does not parse as Python", "")
    named = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    against = "" if expected.function in named else "it does not define what was asked for"
    return _found(Check.CODE, against, "it parses and defines what was asked for")


def _value(expected: Expectation, _given: Given, text: str) -> Finding | None:
    if not expected.value:
        return None
    same = _same(_calculated(expected.value), last_number(text))
    return _found(Check.VALUE, "" if same else "a calculator says otherwise", "it is recomputed")


def _sums(_expected: Expectation, _given: Given, text: str) -> Finding | None:
    read = (_equation_holds(text, at) for at in islice(_RIGHT_SIDE.finditer(text), _EQUATIONS))
    told = [holds for holds in read if holds is not None]
    if not told:
        return None
    wrong = told.count(False)
    against = f"{wrong} of its {len(told)} equations are wrong" if wrong else ""
    return _found(Check.SUMS, against, "its equations hold")


def _sureness(_expected: Expectation, given: Given, _text: str) -> Finding | None:
    if not given.logprobs:
        return None
    mean = sum(given.logprobs) / len(given.logprobs)
    against = f"the model was unsure ({mean:.2f} per token)" if mean < FAIRLY_SURE else ""
    return _found(Check.SURENESS, against, f"the model was sure ({mean:.2f} per token)")


_CHECKS: tuple[Callable[[Expectation, Given, str], Finding | None], ...] = (
    *(_ending, _form, _span, _shape, _label, _code, _value, _sums, _sureness),
)


# ---- reading answers ---------------------------------------------------------------------------


def _equation_holds(text: str, right: re.Match[str]) -> bool | None:
    """Whether an equation that an answer states is right; `None` where it cannot be read."""
    left = _LEFT_SIDE.search(text[max(0, right.start() - _LEFT_LENGTH) : right.start()])
    worked_out = arithmetic(f"{left['sum']} =") if left else None
    if worked_out is None:
        return None
    return _same(_calculated(worked_out), last_number(right["value"]))


def _calculated(value: str) -> float | None:
    """A value as `domain/arithmetic` tells it, as a number."""
    return last_number(value.partition(" (")[0])


def _same(wanted: float | None, said: float | None) -> bool:
    return wanted is not None and said is not None and abs(wanted - said) < _CENT


def _values(expected: Expectation, text: str) -> Iterator[str]:
    """The texts and numbers that an answer extracts."""
    value = json_in(text) if expected.json else None
    if value is None:
        yield _bare(text)
        return
    waiting: list[object] = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            waiting.extend(inner)
        elif inner is not None and not isinstance(inner, bool):
            yield _number(inner) if isinstance(inner, float) else str(inner)


def _number(value: float) -> str:
    with suppress(OverflowError, ValueError):
        if value == int(value):
            return str(int(value))
    return str(value)


def _squeezed(text: str) -> str:
    """Lower case, without white space: models copy line breaks as blanks."""
    return "".join(text.lower().split())


def _bare(text: str) -> str:
    return text.strip().strip("\"'`*").rstrip(".").strip("\"'`*").strip()
