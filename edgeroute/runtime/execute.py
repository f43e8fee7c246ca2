"""Runs a decision: the first target of its plan, then the others while no token is out.

Owns fail-over and the request's deadline. After the first token a failure is the caller's to see:
an answer is never continued by another model.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from edgeroute.domain.decision import Decision
from edgeroute.domain.errors import DeadlineExceeded, EdgeRouteError, Overloaded, WorkerDied
from edgeroute.domain.outcome import Attempt, Outcome
from edgeroute.domain.request import Chunk, Request, Usage
from edgeroute.domain.units import ModelId
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.roster import LiveRoster

_ATTEMPTS = 3
"""Tries for one request. A target whose worker died is tried again after the others, since it is
back within its back-off."""


class Execution:
    """One request on its way through its plan.

    Attributes:
        target: Who is answering, or was last asked.
    """

    def __init__(
        self,
        request: Request,
        decision: Decision,
        expected_tokens: int,
        pool: Pool,
        roster: LiveRoster,
        clock: Callable[[], float],
    ) -> None:
        self.target: ModelId = decision.chosen.target
        self._request = request
        self._decision = decision
        self._pool = pool
        self._expected_tokens = expected_tokens
        self._roster = roster
        self._clock = clock
        self._began = clock()
        self._attempts: list[Attempt] = []
        self._first_at: float | None = None
        self._usage: Usage | None = None
        self._ending: Chunk | None = None
        self._error: EdgeRouteError | None = None

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Stream the answer; close it to cancel.

        Raises:
            EdgeRouteError: The last target's error before the first token, or whatever happened
                after it.
        """
        try:
            async with aclosing(self._by_plan()) as answer:
                while True:
                    chunk = await self._within_deadline(answer)
                    if chunk is None:
                        return
                    self._note(chunk)
                    yield chunk
        except EdgeRouteError as error:
            self._error = error
            raise

    def outcome(self) -> Outcome:
        """What happened, once the chunks have ended or were closed."""
        usage = self._usage or Usage(0, 0)
        ending = "cancelled" if self._ending is None else self._ending.finish
        decoded = usage.completion_tokens - 1
        return Outcome(
            ending="error" if self._error else ending or "stop",
            target=self.target if self._first_at is not None else None,
            attempts=tuple(self._attempts),
            total_s=self._clock() - self._began,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            ttft_s=None if self._first_at is None else self._first_at - self._began,
            prefill_tok_s=usage.prompt_tokens / usage.prefill_s if usage.prefill_s > 0 else None,
            decode_tok_s=decoded / usage.decode_s if decoded > 0 and usage.decode_s > 0 else None,
            error=self._error.code if self._error else None,
        )

    async def _within_deadline(self, answer: AsyncGenerator[Chunk, None]) -> Chunk | None:
        deadline_s = self._request.limits.deadline_s
        left_s = None if deadline_s is None else self._began + deadline_s - self._clock()
        try:
            async with asyncio.timeout(left_s):
                return await anext(answer, None)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the deadline of {deadline_s:g} s passed",
                hint="allow more seconds, or ask for fewer tokens",
            ) from None

    def _note(self, chunk: Chunk) -> None:
        if self._first_at is None:
            self._first_at = self._clock()
        if chunk.finish is not None:
            self._ending, self._usage = chunk, chunk.usage

    async def _by_plan(self) -> AsyncGenerator[Chunk, None]:
        waiting = deque(ranked.target for ranked in self._decision.plan)
        failure: EdgeRouteError | None = None
        while waiting and len(self._attempts) < _ATTEMPTS:
            self.target = waiting.popleft()
            try:
                async with aclosing(self._on(self.target)) as answer:
                    async for chunk in answer:
                        yield chunk
            except EdgeRouteError as error:
                if self._first_at is not None:
                    raise
                failure = error
                if isinstance(error, WorkerDied) and self.target not in waiting:
                    waiting.append(self.target)
            else:
                return
        assert failure is not None  # noqa: S101 - a plan is never empty
        raise failure

    async def _on(self, target: ModelId) -> AsyncGenerator[Chunk, None]:
        asked = self._clock()
        waited_s: float | None = None
        error: str | None = None
        try:
            with self._roster.in_flight(target, self._expected_tokens):
                async with self._pool.lease(target) as runner:
                    waited_s = self._clock() - asked
                    async with aclosing(runner.generate(self._request)) as answer:
                        async for chunk in answer:
                            yield chunk
        except EdgeRouteError as failure:
            error = failure.code
            if isinstance(failure, Overloaded) and failure.retry_after_s is None:
                failure.retry_after_s = self._roster.queue_s(target)
            if isinstance(failure, WorkerDied):
                self._pool.refuse_if_closing()  # then it was ended for the daemon's sake
            raise
        finally:
            waited_s = self._clock() - asked if waited_s is None else waited_s
            self._attempts.append(Attempt(target, error, waited_s))
