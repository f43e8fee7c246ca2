"""Runs a decision: the first target of its plan, then the others while no token is out.

Owns fail-over and the request's deadline. After the first token a failure is the caller's to see:
an answer is never continued by another model.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from typing import TypeVar

from edgeroute.domain.decision import Decision
from edgeroute.domain.energy import NOTHING, Spent
from edgeroute.domain.errors import DeadlineExceeded, EdgeRouteError, Overloaded, WorkerDied
from edgeroute.domain.features import Features
from edgeroute.domain.outcome import Attempt, Outcome
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, FinishReason, Usage
from edgeroute.domain.units import ModelId
from edgeroute.routing.estimate import expected_output
from edgeroute.runtime.metering import Bill
from edgeroute.runtime.places import Place, Places
from edgeroute.runtime.providers import Opened
from edgeroute.runtime.roster import LiveRoster

_ATTEMPTS = 3
"""Tries for one request. A target whose worker died is tried again after the others, since it is
back within its back-off."""
_TELLING_PREFILL = 32
"""Tokens; a shorter prefill, as of a conversation that was in memory but for its last turn, tells
what a step takes and not how fast prompts are read."""

T = TypeVar("T")
_Answer = AsyncGenerator[Chunk, None]


class Execution:
    """One request on its way through its plan.

    Args:
        request: With the label that holds for it.
        features: What is known of it.
        decision: Its plan.
        places: Open the targets.
        roster: Counts what runs on each.
        clock: Monotonic seconds.

    Attributes:
        target: Who is answering, or was last asked.
    """

    def __init__(
        self,
        request: AnyRequest,
        features: Features,
        decision: Decision,
        places: Places,
        roster: LiveRoster,
        clock: Callable[[], float],
    ) -> None:
        self.target: ModelId = decision.chosen.target
        self._request = request
        self._features = features
        self._decision = decision
        self._places = places
        self._roster = roster
        self._clock = clock
        self._began = clock()
        self._attempts: list[Attempt] = []
        self._first_at: float | None = None
        self._usage: Usage | None = None
        self._bills: list[Bill] = []
        self._bill: Bill | None = None
        self._pieces = 0
        self._finish: FinishReason | None = None
        self._error: EdgeRouteError | None = None

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Stream the answer; close it to cancel.

        Raises:
            EdgeRouteError: The last target's error before the first token, or whatever happened
                after it.
        """
        try:
            async with AsyncExitStack() as held:
                answer, chunk = await self._in_time(self._first(held))
                self._first_at = self._clock()
                while chunk is not None:
                    self._note_piece()
                    if chunk.finish is not None:
                        self._finish, self._usage = chunk.finish, chunk.usage or self._usage
                    yield chunk
                    chunk = await self._in_time(anext(answer, None))
        except EdgeRouteError as error:
            self._error = error
            raise

    def outcome(self) -> Outcome:
        """What happened, once the chunks have ended or were closed."""
        usage, paid = self._usage or Usage(0, 0), self._paid()
        return Outcome(
            ending="error" if self._error else self._finish or "cancelled",
            target=self.target if self._first_at is not None else None,
            attempts=tuple(self._attempts),
            total_s=self._clock() - self._began,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            ttft_s=None if self._first_at is None else self._first_at - self._began,
            prefill_tok_s=_prefill_tok_s(usage),
            decode_tok_s=_rate(usage.completion_tokens - 1, usage.decode_s),
            error=self._error.code if self._error else None,
            cached_tokens=usage.cached_tokens,
            spent=self._spent(usage),
            usd=None if paid is None else self._roster.usd(self.target, paid),
            estimated=paid is not None and paid.estimated,
        )

    def _note_piece(self) -> None:
        self._pieces += 1
        if self._bill is not None:
            self._bill.drew()

    def _paid(self) -> Usage | None:
        """What is to be paid for: what was counted, or for an answer that broke off an estimate."""
        if self._first_at is None:
            return None
        broken_off = Usage(self._features.prompt_tokens, self._pieces, estimated=True)
        return self._usage or broken_off

    def _spent(self, usage: Usage) -> Spent | None:
        """Joules of all attempts, and of whoever else answered; `None` where nobody tried."""
        remote = None if self._first_at is None else self._roster.remote_energy(self.target)
        if not self._bills and remote is None:
            return None
        device = sum((bill.energy for bill in self._bills), NOTHING)
        elsewhere = NOTHING if remote is None else remote.energy(usage.completion_tokens)
        prefill_j = sum(bill.prefill_j for bill in self._bills)
        return Spent(device, device + elsewhere, prefill_j, device.joules - prefill_j)

    @property
    def _left_s(self) -> float | None:
        deadline_s = self._request.limits.deadline_s
        return None if deadline_s is None else self._began + deadline_s - self._clock()

    async def _in_time(self, work: Awaitable[T]) -> T:
        left_s = self._left_s
        if left_s is None:  # a timeout per token is worth a tenth of all that a token costs here
            return await work
        try:
            async with asyncio.timeout(left_s):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(
                f"the deadline of {self._request.limits.deadline_s:g} s passed",
                hint="allow more seconds, or ask for fewer tokens",
            ) from None

    async def _first(self, held: AsyncExitStack) -> tuple[_Answer, Chunk | None]:
        """Try the plan until somebody says something; `held` then holds the rest of the answer."""
        waiting = deque(ranked.target for ranked in self._decision.plan)
        failure: EdgeRouteError | None = None
        while waiting and len(self._attempts) < _ATTEMPTS:
            self.target = waiting.popleft()
            try:
                async with AsyncExitStack() as attempt:
                    answer = await attempt.enter_async_context(self._on(self.target))
                    chunk = await anext(answer)
                    await held.enter_async_context(attempt.pop_all())
                    return answer, chunk
            except EdgeRouteError as error:
                failure = error
                if isinstance(error, WorkerDied) and self.target not in waiting:
                    waiting.append(self.target)
        assert failure is not None  # noqa: S101 - a plan is never empty
        raise failure

    @contextmanager
    def _metered(self, target: ModelId, place: Place) -> Iterator[None]:
        """Meter an attempt on a model of our own."""
        if isinstance(place, Opened):
            self._bill = None
            yield
            return
        with self._roster.metered(target, place) as self._bill:
            self._bills.append(self._bill)
            yield

    def _ask(self, place: Place) -> _Answer:
        if isinstance(self._request, EmbeddingRequest):
            return place.embed(self._request, self._left_s)
        return place.generate(self._request, self._features.output_tokens_p90, self._left_s)

    @asynccontextmanager
    async def _on(self, target: ModelId) -> AsyncGenerator[_Answer, None]:
        """A target's answer, and in the end the attempt's record."""
        asked = self._clock()
        waited_s: float | None = None
        error: str | None = None
        try:
            with self._roster.in_flight(target, expected_output(self._features)):
                async with self._places.open(target, self._request.app) as place:
                    waited_s = self._clock() - asked
                    with self._metered(target, place):
                        async with aclosing(self._ask(place)) as answer:
                            yield answer
        except EdgeRouteError as failure:
            error = failure.code
            if isinstance(failure, Overloaded) and failure.retry_after_s is None:
                failure.retry_after_s = self._roster.queue_s(target)
            if isinstance(failure, WorkerDied):
                self._places.refuse_if_closing()  # then it was ended for the daemon's sake
            raise
        finally:
            waited_s = self._clock() - asked if waited_s is None else waited_s
            self._attempts.append(Attempt(target, error, waited_s))


def _prefill_tok_s(usage: Usage) -> float | None:
    """Of the tokens that were not in memory already."""
    read = usage.prompt_tokens - usage.cached_tokens
    return _rate(read, usage.prefill_s) if read >= _TELLING_PREFILL else None


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > 0 else None
