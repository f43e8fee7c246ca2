"""An answer is looked at while its caller sees it, and checked once it is told.

What is found comes too late for a second answer, and in time for what is believed of who gave it.
Owns what is kept of such an answer meanwhile: no more than is looked at, and in memory alone.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from edgeroute.domain.outcome import Outcome
from edgeroute.domain.request import Chunk, FinishReason
from edgeroute.domain.verification import Checkable, Draft, Expectation
from edgeroute.routing.verify import LOOKED_AT, Given, verify


class Checking:
    """One answer that passes.

    Args:
        expect: Says what it has to be; asked once it is told, since that takes its time.
    """

    def __init__(self, expect: Callable[[], Expectation]) -> None:
        self._expect = expect
        self._texts: list[str] = []
        self._length = 0
        self._finish: FinishReason | None = None

    async def passing(self, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        """The answer, piece by piece, as it comes."""
        async with aclosing(chunks):
            async for chunk in chunks:
                self._finish = chunk.finish or self._finish
                if chunk.text and self._length < LOOKED_AT:
                    self._length += len(chunk.text)
                    self._texts.append(chunk.text)
                yield chunk

    def found(self, outcome: Outcome) -> tuple[Draft, ...]:
        """What the checks say of it, where they say anything.

        What any answer shows, that it ends and does not refuse, is no evidence without the model's
        own sureness: fluent nonsense would be believed more with every answer. One that was cut off
        was so by its caller or by the context.
        """
        if self._finish != "stop" or outcome.target is None:
            return ()
        given = verify(self._expect(), Given("".join(self._texts), self._finish))
        if given.checkable is Checkable.HARDLY:
            return ()
        took = outcome.total_s, outcome.completion_tokens
        graded = given.grade, given.checkable, given.reason
        return (Draft(outcome.target, *graded, True, *took, told_sureness=False),)  # noqa: FBT003
