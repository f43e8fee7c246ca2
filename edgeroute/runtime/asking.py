"""One target, asked once: opened, heard, closed, and what that took.

Owns everything that is counted per target asked. Which one is asked and when, is `execute`'s.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType

from edgeroute.domain.errors import EdgeRouteError, Overloaded, TargetSilent, WorkerDied
from edgeroute.domain.features import Features
from edgeroute.domain.outcome import Attempt, Reason
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, FinishReason, Usage
from edgeroute.domain.units import ModelId
from edgeroute.routing.estimate import expected_output
from edgeroute.runtime.bills import Bill
from edgeroute.runtime.places import Place, Places
from edgeroute.runtime.providers import Opened
from edgeroute.runtime.purse import Charge
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.second_tries import SecondTries


@dataclass(frozen=True, slots=True)
class Means:
    """What all requests share.

    Attributes:
        places: Open the targets.
        roster: Counts what runs on each.
        second_tries: Budgets of repeats and hedges.
        clock: Monotonic seconds.
    """

    places: Places
    roster: LiveRoster
    second_tries: SecondTries
    clock: Callable[[], float]


class Asking:
    """One target asked once.

    Args:
        request: With the label that holds for it.
        features: What is known of it.
        target: Who is asked.
        reason: Why it is.

    Attributes:
        asked_at: When.
        first_at: When its first piece came; `None` before that.
        usage: As it counted, with its last piece.
        finish: How the answer ended, once it has.
        bill: Joules of this machine; `None` for a target elsewhere.
        error: Code of what went wrong, or `None`.
    """

    def __init__(
        self,
        means: Means,
        request: AnyRequest,
        features: Features,
        target: ModelId,
        reason: Reason = "planned",
    ) -> None:
        self.target = target
        self.reason = reason
        self.asked_at = means.clock()
        self.first_at: float | None = None
        self.usage: Usage | None = None
        self.finish: FinishReason | None = None
        self.bill: Bill | None = None
        self.error: str | None = None
        self._means = means
        self._request = request
        self._features = features
        self._waited_s: float | None = None
        self._place: Place | None = None
        self._held = AsyncExitStack()
        # Counted from now on: who is decided upon meanwhile shall not count on the same slot.
        expected = expected_output(features)
        self._held.enter_context(means.roster.in_flight(target, expected))
        self._answer: AsyncGenerator[Chunk, None]
        self._heard: deque[Chunk] = deque()

    async def begin(self, bear_s: float | None, left_s: Callable[[], float | None]) -> None:
        """Ask, and wait for the first piece; what is held then, `end` lets go.

        Args:
            bear_s: Seconds that it may be silent; `None` leaves that to who answers.
            left_s: Tells the seconds until the request's deadline, where it has one.

        Raises:
            EdgeRouteError: It gave none. Nothing is held.
        """
        async with self._held as held:
            with self._noting():
                try:
                    async with asyncio.timeout(bear_s):
                        self._answer = await held.enter_async_context(self._opened(left_s))
                        self._keep(await self._draw())
                except TimeoutError:
                    raise TargetSilent(f"{self.target} said nothing for {bear_s:.3g} s") from None
            self._held = held.pop_all()

    async def hear_out(self) -> None:
        """Take the whole answer before anybody is told of it, and let the target go.

        Raises:
            EdgeRouteError: It broke off.
        """
        async with self._held:
            with self._noting():
                while (chunk := await self._draw()) is not None:
                    self._keep(chunk)

    async def next(self) -> Chunk | None:
        """The next piece, `None` after the last."""
        if self._heard:
            return self._heard.popleft()
        with self._noting():
            return await self._draw()

    async def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the target, telling it what went wrong, if anything did."""
        await self._held.__aexit__(kind, error, trace)

    @property
    def said(self) -> str:
        """What was heard and not passed on."""
        return "".join(chunk.text for chunk in self._heard)

    def attempt(self) -> Attempt:
        """For the record."""
        now = self._means.clock()
        waited_s = now - self.asked_at if self._waited_s is None else self._waited_s
        ttft_s = None if self.first_at is None else self.first_at - self.asked_at
        return Attempt(self.target, self.error, waited_s, self.reason, ttft_s)

    @property
    def charge(self) -> Charge | None:
        """What it costs; `None` for what costs nothing but joules, or was not asked for."""
        return self._place.charge if isinstance(self._place, Opened) else None

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except EdgeRouteError as error:
            self.error = error.code
            raise

    def _keep(self, chunk: Chunk | None) -> None:
        if chunk is not None:
            self._heard.append(chunk)

    async def _draw(self) -> Chunk | None:
        chunk = await anext(self._answer, None)
        if chunk is not None:
            if self.first_at is None:
                self.first_at = self._means.clock()
            if self.bill is not None:
                self.bill.drew(chunk.worked_s, last=chunk.usage is not None)
            if chunk.finish is not None:
                self.finish, self.usage = chunk.finish, chunk.usage or self.usage
        return chunk

    @asynccontextmanager
    async def _opened(
        self, left_s: Callable[[], float | None]
    ) -> AsyncGenerator[AsyncGenerator[Chunk, None]]:
        """Its answer, while it is leased or held otherwise."""
        means = self._means
        try:
            async with means.places.open(self.target, self._request.app) as place:
                self._place = place
                self._waited_s = means.clock() - self.asked_at
                with self._metered(place):
                    async with aclosing(self._ask(place, left_s())) as answer:
                        yield answer
        except EdgeRouteError as failure:
            if isinstance(failure, Overloaded) and failure.retry_after_s is None:
                failure.retry_after_s = means.roster.queue_s(self.target)
            if isinstance(failure, WorkerDied):
                means.places.refuse_if_closing()  # then it was ended for the daemon's sake
            raise

    @contextmanager
    def _metered(self, place: Place) -> Iterator[None]:
        """Meter a model of our own."""
        if isinstance(place, Opened):
            yield
            return
        with self._means.roster.metered(place) as self.bill:
            yield

    def _ask(self, place: Place, left_s: float | None) -> AsyncGenerator[Chunk, None]:
        if isinstance(self._request, EmbeddingRequest):
            return place.embed(self._request, left_s)
        return place.generate(self._request, self._features.output_tokens_p90, left_s)
