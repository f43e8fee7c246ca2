"""What a prompt says that its answer has to be, as far as a program can hold the answer to it.

Owns how instructions are read. Precision comes before recall: what is not clearly said is not
expected, since a check that rejects good answers costs a second, bigger one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgeroute.domain.arithmetic import answer as arithmetic
from edgeroute.domain.features import Task
from edgeroute.domain.request import Request
from edgeroute.domain.verification import Expectation
from edgeroute.understanding.words import NOTHING, Said, Wording

_LONGEST = 8000
"""Characters of a prompt; of a longer one nothing but the ending is checked."""

_BARE = Wording(
    r"\b(?:nothing else|no explanations?|(?:only|just|alone)(?! if)|one word|exactly as"
    r"|as (?:it is )?written|yes or no)\b",
    ("nothing", "explanation", "explanations", "only", "just", "alone", "word", "exactly",
     "written", "yes"),
)  # fmt: skip
"""The answer is asked for and no word around it."""
_JSON = Wording(r"\bjson\b", ("json",))
_TEMPLATE = re.compile(r"\{[^{}]*:[^{}]*\}")
_TEMPLATE_KEY = re.compile(r'"([^"]+)"\s*:')
_CHOICE = re.compile(
    r"\b(?:is (?:this|it|that)|classify|label|answer|reply|as|sentiment|intent|urgent)\b"
    r"[^.?!\n]*?(?P<labels>[\w-]+(?:, (?:an? )?[\w-]+)*,? or (?:an? )?[\w-]+)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^an? ", re.IGNORECASE)
_FUNCTION = re.compile(r"\bpython\b[^`]*`(?P<name>[A-Za-z_]\w*)\s*\(", re.IGNORECASE)
_CODE = Wording(r"\bcode\b", ("code",))
_DIGIT = re.compile(r"[0-9]")
_SENTENCE = re.compile(r"(?<=[.?!:])\s+")
_OF_THE_FORM = re.compile(
    r"(?:please )?(?:answer|reply|respond|give|only|just|number only|the (?:number|result)|keep)\b",
    re.IGNORECASE,
)
_AND_REPLY = re.compile(r",? and (?:reply|answer|respond|give|tell)\b.*$", re.IGNORECASE)
_AS_TEXT = Wording(r"\b(?:as (?:it is )?written|copy|exactly)\b", ("written", "copy", "exactly"))
_KINDS: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"e-?mail", re.IGNORECASE),
    "phone": re.compile(r"phone|\btel\b", re.IGNORECASE),
    "date": re.compile(r"\bdate\b|\bdeadline\b|\bdue\b|\bday and month\b", re.IGNORECASE),
    "amount": re.compile(r"\btotal\b|\bamount\b|\bprice\b", re.IGNORECASE),
    "number": re.compile(r"\bnumber\b|\bquantity\b", re.IGNORECASE),
    "name": re.compile(r"\bname\b|\bperson\b|\bsender\b", re.IGNORECASE),
}
"""In the order in which they are looked for: a `phone number` is a phone's."""


def expectation_of(request: Request, task: Task, said: Said = NOTHING) -> Expectation:
    """What an answer to a request has to be. Never raises, whatever the text.

    Args:
        request: Its last message from the user is read.
        task: Its task.
        said: What was read of its instruction already.
    """
    bound = request.sampling.max_tokens
    asked = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
    if not asked or len(asked) > _LONGEST or request.form.kind == "grammar":
        return Expectation(max_tokens=bound)
    instruction, _, given = asked.partition("\n\n")
    said = said.by(instruction)
    bare = _BARE.search(said) is not None
    in_json = request.form.kind in {"json", "schema"} or (bare and _JSON.search(said) is not None)
    value = arithmetic_asked(asked) if not in_json else ""
    keys = _keys(request, instruction) if in_json else ()
    extracts = task is Task.EXTRACT or _AS_TEXT.search(said) is not None
    spans = extracts and (in_json or bare)
    return Expectation(
        json=in_json,
        keys=keys,
        labels=_labels(instruction) if bare and not in_json and not value else (),
        source=(given or asked).lower() if spans else "",
        kinds=tuple(_kinds(keys, instruction)) if spans else (),
        function=_function(instruction) if _CODE.search(said) else "",
        value=value,
        max_tokens=bound,
    )


def arithmetic_asked(text: str) -> str:
    """The value of the one sum that a text asks for; empty where it asks for more, or none.

    Besides what `domain/arithmetic` claims it may say how the answer is to look.
    """
    if _DIGIT.search(text) is None:
        return ""
    sentences = _SENTENCE.split(text.strip())
    sums = [s for s in sentences if not _OF_THE_FORM.match(s)]
    if len(sums) != 1:
        return ""
    return arithmetic(_AND_REPLY.sub("", sums[0])) or ""


def _keys(request: Request, instruction: str) -> tuple[str, ...]:
    if request.form.source:
        return _required(request.form.source)
    template = _TEMPLATE.search(instruction)
    return tuple(_TEMPLATE_KEY.findall(template[0])) if template else ()


def _required(schema: str) -> tuple[str, ...]:
    try:
        told: Any = json.loads(schema)
    except (ValueError, RecursionError):
        return ()
    required = told.get("required") if isinstance(told, dict) else None
    if not isinstance(required, list):
        return ()
    return tuple(key for key in required if isinstance(key, str))


def _labels(instruction: str) -> tuple[str, ...]:
    found = _CHOICE.search(instruction)
    if found is None:
        return ()
    words = re.split(r", or |, | or ", found["labels"])
    return tuple(_ARTICLE.sub("", word).lower() for word in words)


def _kinds(keys: tuple[str, ...], instruction: str) -> Iterator[tuple[str, str]]:
    for key in keys or ("",):
        kind = _kind(key or instruction)
        if kind:
            yield key, kind


def _kind(words: str) -> str:
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(words)), "")


def _function(instruction: str) -> str:
    named = _FUNCTION.search(instruction)
    return named["name"] if named else ""
