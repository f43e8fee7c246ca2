"""The life of one query; the only file that knows the order.

understand -> settle -> view -> decide -> execute -> learn. Reads of the world are in `view`, once.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from edgeroute.domain.decision import Decision, Refusal, RejectionCode
from edgeroute.domain.errors import (
    EdgeRouteError,
    NoTarget,
    SpendLimit,
    UnknownModel,
    Unsupported,
)
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import AnyRequest, Chunk, Priority, Request
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.domain.verification import Expectation
from edgeroute.ports import Look, Reading
from edgeroute.routing.affinity import PrefixAffinity
from edgeroute.routing.cascade import may_hold
from edgeroute.routing.decide import decide
from edgeroute.routing.policy import applying
from edgeroute.routing.view import View
from edgeroute.runtime.asking import Means
from edgeroute.runtime.checking import Checking
from edgeroute.runtime.drafting import Drafting
from edgeroute.runtime.execute import Execution
from edgeroute.runtime.judging import Judging
from edgeroute.runtime.labelling import Labelled, Labelling
from edgeroute.runtime.learn import Learner
from edgeroute.runtime.meanwhile import Meanwhile
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.profiles import InForce, Profiles
from edgeroute.runtime.purse import Purse
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.settling import Seen, Settling
from edgeroute.runtime.telemetry import TelemetryFeed

_NOTED_S = 0.02
"""After so long a decision is written down: a model that answers sooner is not kept waiting."""


@dataclass(frozen=True, slots=True)
class World:
    """Where a view's facts come from."""

    understanding: Reading
    labelling: Labelling
    affinity: PrefixAffinity
    settling: Settling
    judging: Judging
    profiles: Profiles
    roster: LiveRoster
    pool: Pool
    means: Means
    purse: Purse
    telemetry: TelemetryFeed
    clock: Callable[[], float]
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Answer:
    """A request that is being answered.

    Attributes:
        expected: What the answer has to be, as its prompt says.
        chunks: The answer; it is consumed once.
    """

    view: View
    decision: Decision
    expected: Expectation
    execution: Execution | Drafting
    chunks: AsyncGenerator[Chunk, None]

    @property
    def target(self) -> ModelId:
        """Who is answering; settled once the first chunk is there."""
        return self.execution.target

    def outcome(self) -> Outcome:
        """How it went so far."""
        return self.execution.outcome()


class Dispatcher:
    """Takes requests through their life."""

    def __init__(self, world: World, learner: Learner) -> None:
        self._world = world
        self._learner = learner
        self._asked_at = {"": world.clock()}
        self._noting: dict[RequestId, Meanwhile] = {}

    def view(self, request: AnyRequest) -> View:
        """All that is known at this moment about a request; no text.

        Raises:
            InvalidRequest: The profile does not exist.
            UnknownModel: The model does not exist.
        """
        force = self._world.profiles.of(request)
        seen = self._seen(request, force.profile)
        return self._view(request, seen, self._labelled(request, seen), force)

    def _seen(self, request: AnyRequest, profile: Profile) -> Seen:
        """Read a request; what a streamed answer has to be only where it may be held back."""
        world = self._world
        seen = world.settling.look(request, world.understanding)
        asked, features = seen.request, seen.look.features
        if not isinstance(asked, Request) or not asked.stream or not asked.is_one_text:
            return seen
        if request.pinned_model or not may_hold(profile, features, world.roster.current()):
            return seen
        expected = world.understanding.expected(asked, features.task)
        features = replace(features, checkable=expected.checkable)
        return replace(seen, look=replace(seen.look, features=features, expected=expected))

    def _labelled(self, request: AnyRequest, seen: Seen) -> Labelled:
        return self._world.labelling.label(request, seen.look.features)

    def _view(self, request: AnyRequest, seen: Seen, labelled: Labelled, force: InForce) -> View:
        world, look = self._world, seen.look
        roster = world.roster.current()
        wanted = request.pinned_model
        if wanted is not None and wanted not in roster.ids:
            raise UnknownModel(
                f"there is no model {wanted!r} on this machine",
                hint=f"use 'auto' or one of: {', '.join(roster.ids)}",
            )
        features = look.features
        rules = world.labelling.policy.rules
        return View(
            id=request.id,
            app=request.app,
            features=features,
            limits=request.limits,
            label=labelled.label,
            pinned_model=None if wanted is None else ModelId(wanted),
            profile=force.profile,
            profile_reason=force.reason,
            power=world.telemetry.now.power,
            roster=roster,
            evidence=world.judging.evidence(request.app, look, roster),
            budget_bytes=world.pool.budget.ram,
            now=world.clock(),
            draw=world.draw(),
            streamed=isinstance(request, Request) and request.stream,
            label_reasons=labelled.reasons,
            rules=applying(rules, request.app, features.task),
            settled=seen.settled,
            spending=world.purse.standing(request.app),
            held=world.affinity.held(labelled.label, labelled.begun, features.prompt_tokens),
        )

    def quiet_s(self, besides: str) -> float:
        """Seconds since anybody but one app asked for anything, or since the start."""
        asked = max(at for app, at in self._asked_at.items() if app != besides)
        return self._world.clock() - asked

    async def judge(self, request: RequestId, score: float) -> ModelId:
        """Take a verdict on a past answer (see `Judging.judge`)."""
        return await self._world.judging.judge(request, score, self._world.roster.current())

    def _decide(
        self, request: AnyRequest, seen: Seen, force: InForce
    ) -> tuple[View, Decision, Labelled]:
        """Decide, and remember what is refused; raises what `answer` does."""
        labelled = self._labelled(request, seen)
        view = self._view(request, seen, labelled, force)
        self._world.judging.began(request.id, seen.look)
        self._world.labelling.remember(request, labelled)
        decision = decide(view)
        if isinstance(decision, Refusal):
            self._learner.decided(view, decision)
            raise _refused(view, decision)
        return view, decision, labelled

    def noted(self, request: RequestId) -> None:
        """Have the journal hold a decision now that is being carried out; else it soon does."""
        if request in self._noting:
            self._noting[request].finish()

    def _note(self, view: View, decision: Decision, priority: Priority) -> None:
        self._learner.decided(view, decision)
        self._world.profiles.decided(decision, priority)

    def _checking(self, request: AnyRequest, look: Look) -> Checking | None:
        """What looks at an answer that nobody drafts; a form that it is held to says nothing."""
        if not isinstance(request, Request) or not request.is_one_text:
            return None
        if request.form.kind != "text":
            return None
        if not request.stream or look.features.checkable is not None:  # then it is known before
            return Checking(lambda: look.expected)
        return Checking(partial(self._world.understanding.expected, request, look.features.task))

    @asynccontextmanager
    async def answer(
        self, request: AnyRequest, *, judged: bool = False
    ) -> AsyncGenerator[Answer, None]:
        """Answer a request; leaving the context early cancels it, and either way it is learnt.

        Args:
            request: What is asked.
            judged: Whoever asks will judge the answer, so that checks shall not count it too.

        Raises:
            NoTarget: Every candidate was filtered out; says what would have to change.
            Unsupported: The model that was asked for by name cannot do what is needed.
            InvalidRequest, UnknownModel: See `view`.
        """
        world = self._world
        self._asked_at[request.app] = world.clock()
        force = world.profiles.of(request)
        seen = self._seen(request, force.profile)
        view, decision, known = self._decide(request, seen, force)
        noting = Meanwhile(_NOTED_S, partial(self._note, view, decision, request.priority))
        self._noting[request.id] = noting
        labelled = replace(seen.request, label=view.label)
        expected = seen.look.expected
        execution: Execution | Drafting
        checking: Checking | None = None
        if decision.cascade is None or not isinstance(labelled, Request):
            execution = Execution(labelled, view, decision, world.means)
            checking = None if judged else self._checking(request, seen.look)
        else:
            execution = Drafting(labelled, view, decision, expected, world.means)
        told = execution.chunks() if checking is None else checking.passing(execution.chunks())
        try:
            async with aclosing(told) as chunks:
                yield Answer(view, decision, expected, execution, chunks)
        finally:
            noting.finish()
            del self._noting[request.id]
            self._asked_at[request.app] = world.clock()
            outcome = execution.outcome()
            if checking is not None:
                outcome = replace(outcome, drafts=checking.found(outcome))
            if outcome.spent is not None:
                world.profiles.spent(outcome.spent.device.joules)
            parts = execution.parts if isinstance(execution, Drafting) else (outcome,)
            world.affinity.learn(known.label, known.begun, parts)
            self._learner.ended(view, outcome, parts)


def _refused(view: View, refusal: Refusal) -> EdgeRouteError:
    """The refusal as an error; one that passes by itself says when."""
    of_named = [r for r in refusal.rejections if r.target == view.pinned_model]
    if any(rejection.code is RejectionCode.CAPABILITY for rejection in of_named):
        return Unsupported(refusal.reason, hint=refusal.change)
    codes = {rejection.code for rejection in refusal.rejections}
    if RejectionCode.HEALTH in codes:
        resting = {r.target for r in refusal.rejections if r.code is RejectionCode.HEALTH}
        error = NoTarget(refusal.reason, hint=refusal.change)
        error.http_status = 503
        error.retry_after_s = min(t.retry_in_s for t in view.roster.targets if t.id in resting)
        return error
    if view.spending is not None and RejectionCode.SPENDING in codes:
        ends_in_s = view.spending.ends_in_s
        return SpendLimit(refusal.reason, hint=refusal.change, retry_after_s=ends_in_s)
    return NoTarget(refusal.reason, hint=refusal.change)
