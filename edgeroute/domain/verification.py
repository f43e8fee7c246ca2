"""What can be checked of an answer without another model, and what was found.

Owns the nouns. An `Expectation` holds text of the prompt: it stays in memory. What was found holds
none and may be journalled.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from edgeroute.domain.units import ModelId


class Check(StrEnum):
    """One thing that a program can tell of an answer."""

    ENDING = "ending"
    """It is there, came to an end, turns in no circle and does not refuse."""
    FORM = "form"
    """It parses as the JSON that was asked for, with the keys that were named."""
    SPAN = "span"
    """What was to be extracted stands in the text that it was to be extracted from."""
    SHAPE = "shape"
    """What was extracted looks like what it was called: an e-mail address has an `@`."""
    LABEL = "label"
    """It is one of the labels that were offered."""
    CODE = "code"
    """It parses as Python and defines what was named."""
    VALUE = "value"
    """It is what a calculator says."""
    SUMS = "sums"
    """Every equation that it writes down holds."""
    SURENESS = "sureness"
    """How probable its own tokens were to the model."""


class Checkable(StrEnum):
    """How far an answer can be checked, as its prompt shows."""

    EXACTLY = "exactly"
    """It is known what it must be."""
    FORMALLY = "formally"
    """Its form or its source are known."""
    HARDLY = "hardly"
    """Only what any answer shows: how it ends, and how sure the model was."""


class Grade(IntEnum):
    """What the checks of an answer come to, worst first."""

    FAILED = 0
    """A check says that it is wrong."""
    DOUBTFUL = 1
    """Nothing says so, and the model was not sure of it."""
    FAIR = 2
    """Nothing says so, and the model was fairly sure."""
    SOUND = 3
    """It is what it must be, or nothing speaks against it and the model was sure."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an answer has to be, as far as its prompt says so.

    Attributes:
        json: It is to be JSON and nothing else.
        keys: That its object has.
        labels: It is to be one of these, in lower case.
        source: What it says is to stand in this text, in lower case.
        kinds: By key, or by the empty string for an answer that is no object, what is asked for.
        function: Python that defines it is asked for.
        value: Exact, as text.
        max_tokens: The caller's bound.
    """

    json: bool = False
    keys: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    source: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    function: str = ""
    value: str = ""
    max_tokens: int | None = None

    @property
    def checkable(self) -> Checkable:
        """How far the answer can be checked."""
        if self.value:
            return Checkable.EXACTLY
        formal = self.json or self.labels or self.source or self.function
        return Checkable.FORMALLY if formal else Checkable.HARDLY


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one answer.

    Attributes:
        holds: The answer passes.
        confidence: P(the verdict is right), as measured on answers of real models.
        reason: In words, without any of the answer's.
    """

    check: Check
    holds: bool
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What all checks say of one answer.

    Attributes:
        checkable: How far it could be checked.
        sureness: Mean log-probability of its tokens; `None` where nobody told.
    """

    checkable: Checkable
    grade: Grade
    findings: tuple[Finding, ...]
    sureness: float | None = None

    @property
    def reason(self) -> str:
        """What speaks against the answer most, or for it where nothing does."""
        against = [finding for finding in self.findings if not finding.holds]
        told = max(against or self.findings, key=lambda finding: finding.confidence)
        return f"{told.check.value}: {told.reason}"


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer that was checked, and whether it was good enough.

    Attributes:
        target: Who gave it.
        grade: What the checks came to.
        reason: What speaks against it, or for it.
        accepted: It was given to the caller.
        total_s: Seconds that it took.
        completion_tokens: That it took.
        told_sureness: The model told how sure it was; else `FAIR` stands for every grade but the
            worst.
    """

    target: ModelId
    grade: Grade
    checkable: Checkable
    reason: str
    accepted: bool
    total_s: float = 0.0
    completion_tokens: int = 0
    told_sureness: bool = True
