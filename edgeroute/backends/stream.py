"""What a worker has said of one request and nobody has taken yet.

Owns the meeting of one writer, which never waits, and one reader. Pieces that arrived together
are taken together: a reader that is slower than the worker pays once for many tokens.
"""

import asyncio
from dataclasses import dataclass, field, replace

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import Chunk, FinishReason, TokenLogprob, ToolCallPiece, Usage


@dataclass(slots=True)
class _Untaken:
    """Of one answer."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[ToolCallPiece] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)
    finish: FinishReason | None = None


class Stream:
    """The answers to one request on their way.

    Args:
        choices: How many answers there will be.

    Attributes:
        begun: Whether anything has come.
        running: Numbers of the answers that have not ended.
        failure: How it failed; `None` while it has not.
    """

    def __init__(self, choices: int = 1) -> None:
        self.begun = False
        self.failure: EdgeRouteError | None = None
        self.running = set(range(choices))
        self._untaken: dict[int, _Untaken] = {}
        self._usage: Usage | None = None
        self._worked_s = 0.0
        self._reader: asyncio.Future[None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes, and all that came was taken."""
        return self._ended and not self._untaken

    @property
    def _ended(self) -> bool:
        return not self.running or self.failure is not None

    def put(self, text: str, choice: int = 0) -> None:
        """Add a piece of an answer."""
        self._of(choice).texts.append(text)

    def put_logprob(self, logprob: TokenLogprob, choice: int = 0) -> None:
        """Add what is known of a token."""
        self._of(choice).logprobs.append(logprob)

    def put_call(self, piece: ToolCallPiece, choice: int = 0) -> None:
        """Add a piece of a call."""
        self._of(choice).calls.append(piece)

    def put_vectors(self, vectors: tuple[bytes, ...]) -> None:
        """Add vectors."""
        self._of(0).vectors += vectors

    def work(self, seconds: float) -> None:
        """Add what was computed for it, which wakes nobody."""
        self._worked_s += seconds

    def end(self, finish: FinishReason, usage: Usage, choice: int = 0) -> None:
        """Say how one answer ended; once."""
        self._of(choice).finish = finish
        self.running.remove(choice)
        self._usage = usage if self._usage is None else _together(self._usage, usage)

    def fail(self, error: EdgeRouteError) -> None:
        """Say that nothing more comes, and why; the first word counts."""
        if not self._ended:
            self.failure = error
            self._wake()

    async def take(self) -> list[Chunk]:
        """All that is there; waits for something, or for the end."""
        if not self._untaken and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        chunks = [
            Chunk(
                "".join(untaken.texts),
                untaken.finish,
                None,
                choice,
                tuple(untaken.calls),
                tuple(untaken.logprobs),
                tuple(untaken.vectors),
            )
            for choice, untaken in self._untaken.items()
        ]
        self._untaken.clear()
        if chunks:
            usage = None if self.running else self._usage  # all of them end with what is here
            chunks[-1] = replace(chunks[-1], usage=usage, worked_s=self._worked_s)
            self._worked_s = 0.0
        return chunks

    def _of(self, choice: int) -> _Untaken:
        self.begun = True
        self._wake()
        untaken = self._untaken.get(choice)
        if untaken is None:
            untaken = self._untaken[choice] = _Untaken()
        return untaken

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _together(one: Usage, other: Usage) -> Usage:
    """Answers to one prompt; seconds of decoding add up, as if each had been drawn alone."""
    return replace(
        one,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        prefill_s=max(one.prefill_s, other.prefill_s),
        decode_s=one.decode_s + other.decode_s,
    )
