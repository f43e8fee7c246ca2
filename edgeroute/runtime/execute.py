"""Runs a decision: the first target of its plan, then the others while nothing has been shown.

Owns fail-over, repeats, hedges and the request's deadline. After the first token that the caller
sees, a failure is the caller's to see: an answer is never continued by another model. An answer
that is not streamed is shown in the end, so until then another may still take over.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import AsyncExitStack
from typing import TypeVar

from edgeroute.domain.decision import Decision
from edgeroute.domain.energy import NOTHING, Spent
from edgeroute.domain.errors import DeadlineExceeded, EdgeRouteError, Resting
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.request import AnyRequest, Chunk, Request, Usage
from edgeroute.domain.units import ModelId, Usd
from edgeroute.routing.patience import bear_s
from edgeroute.routing.view import View
from edgeroute.runtime.asking import Asking, Means
from edgeroute.runtime.course import Course, Step
from edgeroute.runtime.racing import first_to_speak

T = TypeVar("T")


class Execution:
    """One request on its way through its plan.

    Args:
        request: With the label that holds for it.
        view: What was known at the decision.
        decision: Its plan.
        means: What it shares with others.
    """

    def __init__(self, request: AnyRequest, view: View, decision: Decision, means: Means) -> None:
        self._request = request
        self._view = view
        self._decision = decision
        self._means = means
        self._began = means.clock()
        self._askings: list[Asking] = []
        self._answering: Asking | None = None
        self._error: EdgeRouteError | None = None

    @property
    def target(self) -> ModelId:
        """Who is answering, or was last asked."""
        return self._decision.chosen.target if self._last is None else self._last.target

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Stream the answer; close it to cancel.

        Raises:
            EdgeRouteError: The last target's error before anything was shown, or whatever happened
                after that.
        """
        try:
            async with AsyncExitStack() as held:
                asking = await self._in_time(self._first(held))
                while (chunk := await self._in_time(asking.next())) is not None:
                    yield chunk
        except EdgeRouteError as error:
            self._error = error
            error.partial = self._partial()
            raise

    def outcome(self) -> Outcome:
        """What happened, once the chunks have ended or were closed."""
        last = self._last
        heard = last if last is not None and last.first_at is not None else None
        usage = (heard and heard.usage) or Usage(0, 0)
        charges = [asking.charge for asking in self._askings if asking.charge is not None]
        first_at = None if heard is None else heard.first_at
        return Outcome(
            ending="error" if self._error else (heard and heard.finish) or "cancelled",
            target=None if heard is None else heard.target,
            attempts=tuple(asking.attempt() for asking in self._askings),
            total_s=self._means.clock() - self._began,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            ttft_s=None if first_at is None else first_at - self._began,
            prefill_tok_s=usage.prefill_tok_s,
            decode_tok_s=usage.decode_tok_s,
            error=self._error.code if self._error else None,
            cached_tokens=usage.cached_tokens,
            spent=self._spent(usage, heard),
            usd=None if heard is None else Usd(sum(charge.usd for charge in charges)),
            estimated=any(charge.estimated for charge in charges),
        )

    def _partial(self) -> str | None:
        """What was said of an answer that broke off, as far as it was not shown."""
        if self._answering is not None and self._streams:
            return ""
        return max((asking.said for asking in self._askings), key=len, default="") or None

    @property
    def _last(self) -> Asking | None:
        """Who answers, or who was asked last."""
        if self._answering is not None:
            return self._answering
        return self._askings[-1] if self._askings else None

    def _spent(self, usage: Usage, heard: Asking | None) -> Spent | None:
        """Joules of all askings, and of whoever else answered; `None` where nobody tried."""
        bills = [asking.bill for asking in self._askings if asking.bill is not None]
        remote = None if heard is None else self._means.roster.remote_energy(heard.target)
        if not bills and remote is None:
            return None
        device = sum((bill.energy for bill in bills), NOTHING)
        elsewhere = NOTHING if remote is None else remote.energy(usage.completion_tokens)
        prefill_j = sum(bill.prefill_j for bill in bills)
        return Spent(device, device + elsewhere, prefill_j, device.joules - prefill_j)

    @property
    def _left_s(self) -> float | None:
        deadline_s = self._request.limits.deadline_s
        return None if deadline_s is None else self._began + deadline_s - self._means.clock()

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

    async def _first(self, held: AsyncExitStack) -> Asking:
        """Ask until somebody has something to show; `held` then holds the rest of it."""
        course = Course(self._decision.plan, self._means, lambda: self._left_s)
        failure: EdgeRouteError | None = None
        while (step := course.next()) is not None:
            try:
                asking = await self._begun(step, course)
                if not self._streams:
                    await asking.hear_out()
            except EdgeRouteError as error:
                if failure is None or not isinstance(error, Resting):
                    failure = error
                course.failed(step, error)
            else:
                held.push_async_exit(asking.end)
                self._answering = asking
                return asking
        assert failure is not None  # noqa: S101 - a plan is never empty
        raise failure

    async def _begun(self, step: Step, course: Course) -> Asking:
        """Ask a target, and where it is late and that is allowed, a second one besides."""
        wait_s = step.at - self._means.clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        left_s = self._left_s
        bear = bear_s(left_s, step.ranked.estimate.ttft_s) if left_s and course.goes_on else None

        async def begin(asking: Asking) -> None:
            await asking.begin(bear, lambda: self._left_s)

        def seconds() -> Iterator[Asking | None]:
            self._means.places.doubt(step.target)
            for other in course.hedges(step):
                yield None if other is None else self._asking(other)

        first = self._asking(step)
        late_s = self._late_s(step.target)
        asking = first
        if late_s is None:
            await begin(first)
        else:
            asking = await first_to_speak(first, late_s, seconds(), begin)
        if first.first_at is not None:  # who was outrun says nothing of when one is late
            self._means.second_tries.heard(first.target, first.first_at - first.asked_at)
        return asking

    def _asking(self, step: Step) -> Asking:
        asking = Asking(self._means, self._request, self._view.features, step.target, step.reason)
        self._askings.append(asking)
        return asking

    def _late_s(self, target: ModelId) -> float | None:
        """Seconds after which its first token is late; `None` where nobody else would be asked."""
        patient = self._request.priority == "background" or self._view.power.on_battery
        if patient or not self._means.places.elsewhere(target):
            return None
        return self._means.second_tries.late_s(target)

    @property
    def _streams(self) -> bool:
        """Whether the caller sees pieces as they come."""
        return isinstance(self._request, Request) and self._request.stream
