"""What the worker keeps of one request from `Generate` to its end: text and times."""

from dataclasses import dataclass

from edgeroute.domain.request import Usage
from edgeroute.wire.frames import Generate
from edgeroute.worker.ports import Token
from edgeroute.worker.text import AnswerText


@dataclass(slots=True)
class Answer:
    """An answer in the making.

    Attributes:
        request: With its seed set.
        cached_tokens: Tokens of the prompt that were in memory; known when it starts.
        started: When it first got a slot; times are `perf_counter` seconds, 0 is not yet.
        first: When its first token was drawn.
    """

    request: Generate
    text: AnswerText
    prompt_tokens: int
    cached_tokens: int = 0
    drawn: int = 0
    started: float = 0.0
    first: float = 0.0

    def start(self, now: float, cached_tokens: int) -> None:
        """Note that it has a slot; only the first time counts."""
        if not self.started:
            self.started, self.cached_tokens = now, cached_tokens

    def feed(self, token: Token, now: float) -> str:
        """Take in a drawn token; gives back the text that can be shown now."""
        self.first = self.first or now
        self.drawn += 1
        return self.text.feed(token.piece)

    def usage(self, now: float) -> Usage:
        """Count tokens and seconds at the end of the answer."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.drawn,
            prefill_s=self.first - self.started,
            decode_s=now - self.first,
            cached_tokens=self.cached_tokens,
        )
