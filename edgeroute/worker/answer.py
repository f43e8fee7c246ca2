"""What the worker keeps of one request from `Generate` to its end: text and times."""

from dataclasses import dataclass

from edgeroute.domain.request import FinishReason, Usage
from edgeroute.wire.frames import Generate
from edgeroute.worker.ports import Token
from edgeroute.worker.text import AnswerText
from edgeroute.worker.tool_calls import Parsed, ToolCallParser


@dataclass(slots=True)
class Answer:
    """An answer in the making.

    Attributes:
        request: With its seed set.
        calls: Finds the calls in its text, where functions were offered.
        cached_tokens: Tokens of the prompt that were in memory; known when it starts.
        started: When it first got a slot; times are `perf_counter` seconds, 0 is not yet.
        first: When its first token was drawn.
    """

    request: Generate
    text: AnswerText
    calls: ToolCallParser | None
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

    def parse(self, text: str, *, over: bool) -> Parsed:
        """Tell text and calls apart; gives back what can be shown now."""
        if self.calls is None:
            return Parsed(text)
        parsed = self.calls.feed(text)
        if not over:
            return parsed
        rest = self.calls.flush()
        return Parsed(parsed.text + rest.text, parsed.calls + rest.calls)

    def finish(self, reason: FinishReason) -> FinishReason:
        """Why it ended, as far as its caller is concerned."""
        return "tool_calls" if reason == "stop" and self.calls and self.calls.calls else reason

    def usage(self, now: float) -> Usage:
        """Count tokens and seconds at the end of the answer."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.drawn,
            prefill_s=self.first - self.started,
            decode_s=now - self.first,
            cached_tokens=self.cached_tokens,
        )
