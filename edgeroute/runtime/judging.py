"""What was found of answers becomes what is believed of targets.

Owns who may judge what, and once: an answer is judged by the app that asked for it, and its verdict
counts as that app's. Features of recent requests are kept in memory alone, until they are judged.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.belief import ANY_CELL, HERE, Verdict, origin_of, probing_of
from edgeroute.domain.capability import Capability
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.features import Features, Task
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.domain.verification import Checkable, Draft, Expectation, Grade
from edgeroute.ports import Journal, Look
from edgeroute.routing.beliefs import Evidence
from edgeroute.routing.buckets import Change
from edgeroute.routing.candidates import Roster
from edgeroute.routing.corrector import solve
from edgeroute.routing.quality import Quality
from edgeroute.routing.verify import Given, verify
from edgeroute.routing.view import Facts, View
from edgeroute.runtime.record import Record

_REMEMBERED = 1024
"""Requests whose features wait for a verdict; 2.6 kB each."""
_AT_ONCE_S = 2.0
"""Seconds from the first token to hanging up that look like dislike."""


class Judging:
    """The beliefs of a running daemon.

    Args:
        keep: Keeps buckets that changed, for the next start and for whoever is told of them.
    """

    def __init__(
        self,
        quality: Quality,
        journal: Journal,
        record: Record,
        keep: Callable[[Sequence[Change]], None],
    ) -> None:
        self._quality = quality
        self._journal = journal
        self._record = record
        self._keep = keep
        self._vectors: OrderedDict[RequestId, NDArray[np.float64]] = OrderedDict()
        self._judging: set[RequestId] = set()
        self._solving: asyncio.Task[None] | None = None

    def evidence(self, app: str, look: Look, roster: Roster) -> Evidence:
        """What is believed of every candidate's answer to a request of an app."""
        return self._quality.evidence(look.features, look.vector, roster, self._origin(app))

    def began(self, request: RequestId, look: Look) -> None:
        """Keep what is needed to learn from a verdict on this request."""
        if look.vector is not None:
            self._vectors[request] = look.vector
            if len(self._vectors) > _REMEMBERED:
                self._vectors.popitem(last=False)

    def ended(self, view: View, outcome: Outcome) -> None:
        """Learn from what an answer's end says of it, if anything."""
        verdict = implied(view.features, outcome)
        if verdict is not None and outcome.target is not None:
            self._learn(view, outcome.target, verdict, view.roster)
        reader = self._origin(view.app)
        for draft in outcome.drafts:
            worth = self._quality.grading.likelihoods(draft.checkable, view.roster, reader)
            found = verified(view, draft, worth)
            if found is not None:
                self._learn(view, draft.target, found, view.roster)

    async def judge(self, request: RequestId, score: float, roster: Roster) -> ModelId:
        """Take an explicit verdict, 0 useless .. 1 fully acceptable, on a past answer.

        Returns:
            The target that is now believed more or less.

        Raises:
            NotFound: The journal holds no decision of that id.
            InvalidRequest: The score is out of range, nobody answered, or it was judged before.
        """
        if not 0 <= score <= 1:
            raise InvalidRequest(f"a score is within 0..1, not {score}")
        recalled = await self._record.recall(request)
        target = None if recalled.outcome is None else recalled.outcome.target
        if target is None:
            raise InvalidRequest(f"nobody answered {request}, so there is nothing to judge")
        if request in self._judging or await self._journal.read_verdict(request) is not None:
            raise InvalidRequest(f"{request} was judged before", hint="judge another answer")
        self._judging.add(request)  # until the journal has it: two may ask at the same time
        try:
            self._journal.write_verdict(request, score)
            verdict = Verdict(score)
            self._learn(recalled.view, target, verdict, roster)
            self._learn_grade(recalled.view, recalled.outcome, verdict, roster)
            await self._journal.read_verdict(request)
        finally:
            self._judging.discard(request)
        return target

    def probed(
        self, view: View, expected: Expectation, given: Given, *, task: Task, right: bool
    ) -> None:
        """Learn from an answer to a probe: how good its model is, and what its grades are worth.

        Every model is an origin of its own: what was found of one fades by its own events alone.
        """
        target = view.pinned_model
        assert target is not None  # noqa: S101 - probes name their model
        identity = _identity(target, view.roster)
        found, origin = verify(expected, given), self._probing(identity)
        counts = Verdict(float(right), "probe").counts
        features = replace(view.features, task=task, task_probability=1.0)
        verdicts = {identity: counts}
        self._keep(self._quality.observe(origin, features, None, verdicts, view.roster))
        graded = (found.checkable, found.grade)
        self._keep(self._quality.grading.observe(origin, identity, *graded, counts))

    def probes_of(self, identity: str) -> int:
        """How many probes a model has answered."""
        return self._quality.beliefs.buckets.events(ANY_CELL, self._probing(identity))

    def probed_of(self, identity: str, cell: str) -> tuple[float, float]:
        """Probes of a cell that a model got right, and wrong."""
        origin = self._probing(identity)
        return self._quality.beliefs.buckets.counted(cell, identity, origin)

    def _learn(self, of: Facts, target: ModelId, verdict: Verdict, roster: Roster) -> None:
        verdicts = {_identity(target, roster): verdict.counts}
        vector = self._vectors.get(of.id)
        origin = self._origin(of.app)
        self._keep(self._quality.observe(origin, of.features, vector, verdicts, roster))
        if self._quality.corrector.due and (self._solving is None or self._solving.done()):
            self._solving = asyncio.create_task(self._solve(), name="corrector")

    def _learn_grade(
        self, of: Facts, outcome: Outcome | None, verdict: Verdict, roster: Roster
    ) -> None:
        """What is now known of an answer that was checked says what its grade is worth."""
        drafts = () if outcome is None else outcome.drafts
        for draft in (each for each in drafts if each.accepted and each.told_sureness):
            graded = (draft.checkable, draft.grade)
            identity = _identity(draft.target, roster)
            grading = self._quality.grading
            self._keep(grading.observe(self._origin(of.app), identity, *graded, verdict.counts))

    async def _solve(self) -> None:
        """Solve beside the loop, from a copy: tens of milliseconds nobody shall wait for."""
        corrector = self._quality.corrector
        problem = corrector.problem()
        corrector.adopt(await asyncio.to_thread(solve, problem))

    def _probing(self, identity: str) -> str:
        return probing_of(HERE, identity)

    def _origin(self, app: str) -> str:
        return origin_of(HERE, app)


def _identity(target: ModelId, roster: Roster) -> str:
    return dict(zip(roster.ids, roster.identities, strict=True)).get(target, target)


def verified(view: View, draft: Draft, worth: NDArray[np.float64]) -> Verdict | None:
    """What the checks of a draft say of who wrote it; `None` where nothing was believed of it.

    The expectation of a verdict, given what was believed before: as long as grades are worth what
    is believed of them, drafts move no belief on the average.

    Args:
        view: The request.
        draft: An answer to it.
        worth: P(grade | right) and P(grade | wrong), shape (2, targets, grades).
    """
    evidence, ids = view.evidence, view.roster.ids
    if evidence is None or draft.target not in ids:
        return None
    at = ids.index(draft.target)
    grades = worth[:, at]
    if draft.told_sureness or draft.grade is Grade.FAILED:
        right, wrong = grades[:, draft.grade].tolist()
    else:
        right, wrong = (1.0 - grades[:, Grade.FAILED]).tolist()
    before = float(evidence.p_ok[at])
    score = before * right / (before * right + (1 - before) * wrong)
    exactly = draft.checkable is Checkable.EXACTLY
    return Verdict(score, "recomputed" if exactly else "verified")


def implied(features: Features, outcome: Outcome) -> Verdict | None:
    """What the end of an answer says of it: most say nothing.

    An answer in a form that outgrew the context is no JSON; that the caller's own bound cut it is
    not the model's fault. Whoever hangs up at once may dislike what it read.
    """
    in_form = features.needs & {Capability.JSON_SCHEMA, Capability.GRAMMAR}
    if in_form and outcome.ending == "length" and features.max_tokens is None:
        return Verdict(0.0, "schema")
    if outcome.ending == "cancelled" and outcome.ttft_s is not None:
        read_s = outcome.total_s - outcome.ttft_s
        return Verdict(0.0, "cancelled") if read_s < _AT_ONCE_S else None
    return None
