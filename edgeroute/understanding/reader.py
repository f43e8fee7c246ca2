"""Request to `Features`: the last that sees the text.

Owns which part of a conversation is read for what, and nothing of how: the encoder reads what is
asked, the scanner what is delicate, `lengths` counts.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from edgeroute.domain.features import Features, Task
from edgeroute.domain.privacy import Sensitivity
from edgeroute.domain.request import AnyRequest, EmbeddingRequest, Request
from edgeroute.domain.verification import Expectation
from edgeroute.ports import Look
from edgeroute.understanding.calculation import is_arithmetic
from edgeroute.understanding.encoder import Encoder
from edgeroute.understanding.expecting import expectation_of
from edgeroute.understanding.lengths import (
    Length,
    answer_length,
    count_tokens,
    instructed,
    prompt_tokens,
)
from edgeroute.understanding.sensitivity import scan, scan_request
from edgeroute.understanding.words import Said

_PHONE = "note 099 123 45 671"
"""Has number plans loaded, which takes some 50 ms the first time."""
_DIGITS = 4
"""Probabilities are rounded: what is journalled shall be short."""


class Reader:
    """Implements `ports.Understanding`.

    Args:
        encoder: Reads a message.
        scan: Looks for identifiers and secrets in all of a request; never raises.
    """

    def __init__(self, encoder: Encoder, scan: Callable[[AnyRequest], Sensitivity]) -> None:
        self._encoder = encoder
        self._scan = scan

    @property
    def width(self) -> int:
        """Length of `Look.vector`."""
        return self._encoder.width

    @classmethod
    def load(cls, folder: Path) -> "Reader":
        """A reader with the model of `folder`, warmed up.

        Raises:
            InvalidModelFile: See `Encoder.load`.
        """
        encoder = Encoder.load(folder)
        scan(_PHONE)
        return cls(encoder, scan_request)

    def features(self, request: AnyRequest) -> Features:
        """Describe a request. Never raises, whatever the text."""
        return self.look(request).features

    def look(self, request: AnyRequest) -> Look:
        """Describe a request, and keep what else its text is like. Never raises."""
        if isinstance(request, EmbeddingRequest):
            return Look(self._of_texts(request), None)
        asked, context = _last_two(request)
        reading = self._encoder.read(asked, context)
        learned = Length(reading.output_tokens, reading.output_tokens_p90)
        said = Said.of(instructed(asked))
        length = answer_length(asked, reading.task, learned, said)
        found = self._scan(request)
        # No streamed answer is held to what it has to be before it is told. A probe is, though it
        # asks for logprobs and so is never drafted.
        expected = Expectation() if request.stream else expectation_of(request, reading.task, said)
        features = Features(
            task=reading.task,
            task_probability=round(reading.task_probability, _DIGITS),
            prompt_tokens=prompt_tokens(request),
            output_tokens=length.usual,
            max_tokens=request.sampling.max_tokens,
            output_tokens_p90=length.most,
            subject=reading.subject,
            subject_probability=round(reading.subject_probability, _DIGITS),
            needs_tools=round(reading.needs_tools, _DIGITS),
            needs_fresh=round(reading.needs_fresh, _DIGITS),
            difficulty=round(reading.difficulty, _DIGITS),
            topics=reading.topics,
            findings=found.types,
            label=found.label,
            needs=request.needs,
            arithmetic=is_arithmetic(request),
            checkable=None if request.stream or not request.is_one_text else expected.checkable,
        )
        return Look(features, reading.vector, expected)

    def expected(self, request: Request, task: Task) -> Expectation:
        """What an answer has to be; milliseconds for a long prompt. Never raises."""
        return expectation_of(request, task)

    def _of_texts(self, request: EmbeddingRequest) -> Features:
        """Nothing is answered, so nothing but length and delicacy matters."""
        counts = [count_tokens(text) for text in request.inputs]
        found = self._scan(request)
        return Features(
            task=Task.UNKNOWN,
            task_probability=1.0,
            prompt_tokens=sum(counts),
            output_tokens=0,
            max_tokens=0,
            output_tokens_p90=0,
            findings=found.types,
            label=found.label,
            needs=request.needs,
            longest_tokens=max(counts, default=0),
        )


def _last_two(request: Request) -> tuple[str, str]:
    """What the user asks, and before it: the user's last message, or else the system's."""
    asked, before = islice(_chain(request), 2)
    return asked, before


def _chain(request: Request) -> Iterator[str]:
    messages = request.messages
    if request.prompt is not None:
        yield request.prompt
    yield from (m.content for m in reversed(messages) if m.role == "user")
    yield from (m.content for m in messages if m.role in {"system", "developer"})
    yield from ("", "")
