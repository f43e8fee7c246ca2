"""Runs a chain: a smaller model drafts, the draft is checked, a bigger one answers where it fails.

Owns what is between two steps: what is asked of a draft, whether it is given, and what all of it
took together. Each step is an `Execution` of its own, with fail-over within the step's plan alone.
Nothing is shown before it is settled who answers. Of a streamed answer drafts are therefore held
back, all of them together for no longer than the profile says: then the one that is being told is
shown, unless what was heard of it speaks against it, and there is no second answer.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from edgeroute.domain.capability import Capability
from edgeroute.domain.decision import Cascade, CascadeStep, Decision
from edgeroute.domain.energy import Spent
from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.privacy import Zone
from edgeroute.domain.request import Chunk, Request
from edgeroute.domain.units import ModelId, Usd
from edgeroute.domain.verification import Check, Draft, Expectation, Finding, Grade, Verification
from edgeroute.routing.verify import LOOKED_AT, Given, verify, verify_beginning
from edgeroute.routing.view import View
from edgeroute.runtime.asking import Means
from edgeroute.runtime.execute import Execution
from edgeroute.runtime.holding import Ahead


class _Heard:
    """An answer as far as it was heard.

    Attributes:
        chunks: What came of it; of one that is being shown no more than is looked at.
        ended: It is whole.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.stream = Ahead(execution.chunks())
        self.chunks: list[Chunk] = []
        self.ended = False

    async def next(self) -> Chunk | None:
        """Hear the next piece, `None` after the last."""
        chunk = await self.stream.next()
        if chunk is None:
            self.ended = True
        else:
            self.chunks.append(chunk)
        return chunk

    async def pass_on(self) -> AsyncGenerator[Chunk, None]:
        """All of it: what was held, then what comes as it comes."""
        length = 0
        for chunk in self.chunks:
            length += len(chunk.text)
            yield chunk
        while not self.ended and (new := await self.next()) is not None:
            length += len(new.text)
            if length > LOOKED_AT:
                self.chunks.pop()
            yield new


class Drafting:
    """One request on its way through its chain (see `Execution` for what is told of it).

    Args:
        request: With the label that holds for it.
        view: What was known at the decision.
        decision: With a chain.
        expected: What the answer has to be.
        means: What it shares with others.
    """

    def __init__(
        self, request: Request, view: View, decision: Decision, expected: Expectation, means: Means
    ) -> None:
        assert decision.cascade is not None  # noqa: S101 - else an `Execution` is enough
        self._request = request
        self._view = view
        self._decision = decision
        self._cascade: Cascade = decision.cascade
        self._expected = expected
        self._means = means
        self._began = means.clock()
        self._shown_at: float | None = None
        self._executions: list[Execution] = []
        self._given: Execution | None = None
        self._drafts: list[Draft] = []
        self._hold_s = view.hold_s

    @property
    def target(self) -> ModelId:
        """Who answers, or was last asked."""
        if self._given is not None:
            return self._given.target
        return self._executions[-1].target if self._executions else self._cascade.steps[0].target

    @property
    def parts(self) -> Sequence[Outcome]:
        """What happened at each step by itself: what its model is known by."""
        return [execution.outcome() for execution in self._executions]

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The answer that was settled on; close it to cancel.

        Raises:
            EdgeRouteError: Nobody answered, the last step's error; or what happened to an answer
                after its beginning was shown.
        """
        async with AsyncExitStack() as held:
            settled = await self._settled(held)
            self._given, self._shown_at = settled.execution, self._means.clock()
            was_checked = settled.ended
            async for chunk in await held.enter_async_context(aclosing(settled.pass_on())):
                yield replace(chunk, logprobs=())
            if not was_checked:
                self._note(settled, self._checked(settled), accepted=True)

    def outcome(self) -> Outcome:
        """What happened in all, once the chunks have ended or were closed."""
        parts = self.parts
        if not parts:  # closed before anybody was asked
            return Outcome("cancelled", None, (), self._means.clock() - self._began)
        given = (self._given or self._executions[-1]).outcome()
        spent = [part.spent for part in parts if part.spent is not None]
        paid = [part.usd for part in parts if part.usd is not None]
        return replace(
            given,
            attempts=tuple(attempt for part in parts for attempt in part.attempts),
            total_s=self._means.clock() - self._began,
            ttft_s=None if self._shown_at is None else self._shown_at - self._began,
            spent=_sum(spent) if spent else None,
            usd=Usd(sum(paid)) if paid else None,
            estimated=any(part.estimated for part in parts),
            drafts=tuple(self._drafts),
        )

    async def _settled(self, held: AsyncExitStack) -> _Heard:
        """Go through the chain until an answer is good enough, or nobody is left.

        Args:
            held: Then closes the answer that was settled on.
        """
        best: tuple[Grade, _Heard] | None = None
        failure: EdgeRouteError | None = None
        *_, last = self._cascade.steps
        for step in self._cascade.steps:
            if self._hold_s <= 0 and step is not last:
                continue
            heard = _Heard(self._execution(step))
            self._executions.append(heard.execution)
            async with AsyncExitStack() as opened:
                await opened.enter_async_context(aclosing(heard.stream))
                try:
                    found = await self._hear(heard, step)
                except EdgeRouteError as error:
                    failure = error
                    continue
                if found is None or (heard.ended and found.grade in step.accepts):
                    held.push_async_callback(opened.pop_all().aclose)
                    if found is not None:
                        self._note(heard, found, accepted=True)
                    return heard
            self._note(heard, found, accepted=False)
            if heard.ended and (best is None or found.grade >= best[0]):
                best = found.grade, heard
        if best is not None:  # the bigger model failed: what the smaller one said is still there
            return best[1]
        assert failure is not None  # noqa: S101 - a chain is never empty
        raise failure

    async def _hear(self, heard: _Heard, step: CascadeStep) -> Verification | None:
        """Hear an answer as far as it is not shown yet.

        Returns:
            What the checks say; `None` where it is to be shown before they can.
        """
        if self._request.stream and step is self._cascade.steps[-1]:
            await heard.next()
            return None
        if self._request.stream:
            return await self._hold_back(heard, step)
        while await heard.next() is not None:
            pass
        return self._checked(heard)

    async def _hold_back(self, heard: _Heard, step: CascadeStep) -> Verification | None:
        """Hear a draft of a streamed answer until its end, or until it was held back for too long.

        What was proved of a model's drafts was proved of whole ones, so where a proof is asked for
        no other is shown.
        """
        chunk = await heard.next()
        until = self._means.clock() + self._hold_s
        while chunk is not None:
            found = verify_beginning(self._expected, Given.of(heard.chunks))
            if found.grade is Grade.FAILED and Grade.FAILED not in step.accepts:
                return found
            if not await heard.stream.comes(until - self._means.clock()):
                self._hold_s = 0.0
                return self._so_far(found, step)
            chunk = await heard.next()
            self._hold_s = until - self._means.clock()
        return self._checked(heard)

    def _so_far(self, found: Verification, step: CascadeStep) -> Verification | None:
        """What speaks against showing a draft that is not whole; `None` where nothing does."""
        if self._view.profile.wrong_at_most is not None:
            unproved = Finding(Check.ENDING, False, 1.0, "not whole in time, so it is not proved")  # noqa: FBT003
            return replace(found, findings=(*found.findings, unproved))
        return None if found.grade in step.accepts else found

    def _checked(self, heard: _Heard) -> Verification:
        return verify(self._expected, Given.of(heard.chunks))

    def _note(self, heard: _Heard, found: Verification, *, accepted: bool) -> None:
        outcome = heard.execution.outcome()
        tokens = outcome.completion_tokens or len(heard.chunks)  # nobody counts what is cut off
        graded = found.grade, found.checkable, found.reason
        target = heard.execution.target
        self._drafts.append(Draft(target, *graded, accepted, outcome.total_s, tokens))

    def _execution(self, step: CascadeStep) -> Execution:
        asked = self._asked_of(step.target)
        return Execution(asked, self._view, self._plan_of(step), self._means)

    def _plan_of(self, step: CascadeStep) -> Decision:
        """A draft's plan is its target alone; the last step's goes on with the rest of the plan."""
        first = [ranked for ranked in self._decision.plan if ranked.target == step.target]
        drafting = {other.target for other in self._cascade.steps}
        last = step is self._cascade.steps[-1]
        rest = [ranked for ranked in self._decision.plan if ranked.target not in drafting]
        return replace(self._decision, plan=(*first, *(rest if last else ())), cascade=None)

    def _asked_of(self, target: ModelId) -> Request:
        """What a step is asked: within the time that is left, and how sure it is, where it tells.

        A draft is greedy where the caller leaves that open: the likeliest answer is what its
        sureness speaks of.
        """
        request, limits = self._request, self._request.limits
        if limits.deadline_s is not None:
            left_s = self._began + limits.deadline_s - self._means.clock()
            limits = replace(limits, deadline_s=left_s)
        sampling = request.sampling
        if "temperature" not in sampling.given:
            sampling = replace(sampling, temperature=0.0)
        row = self._view.roster.targets[self._view.roster.ids.index(target)]
        tells = row.zone is Zone.DEVICE and Capability.LOGPROBS in row.capabilities
        return replace(request, limits=limits, sampling=sampling, logprobs=0 if tells else None)


def _sum(spent: Sequence[Spent]) -> Spent:
    first, *others = spent
    for other in others:
        first = Spent(
            first.device + other.device,
            first.system + other.system,
            first.prefill_j + other.prefill_j,
            first.decode_j + other.decode_j,
        )
    return first
