"""What was found of answers becomes what is believed of targets.

Owns who may judge what, and once: an answer is judged by the app that asked for it, and its verdict
counts as that app's. Features of recent requests are kept in memory alone, until they are judged.
"""

import asyncio
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.belief import Verdict
from edgeroute.domain.capability import Capability
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.features import Features
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.ports import Journal, Look
from edgeroute.routing.beliefs import Evidence
from edgeroute.routing.candidates import Roster
from edgeroute.routing.corrector import solve
from edgeroute.routing.quality import Quality
from edgeroute.routing.view import Facts, View
from edgeroute.runtime.record import Record

_REMEMBERED = 1024
"""Requests whose features wait for a verdict; 2.6 kB each."""
_AT_ONCE_S = 2.0
"""Seconds from the first token to hanging up that look like dislike."""


class Judging:
    """The beliefs of a running daemon.

    Args:
        machine: Names this machine among origins.
    """

    def __init__(self, quality: Quality, journal: Journal, record: Record, machine: str) -> None:
        self._quality = quality
        self._journal = journal
        self._record = record
        self._machine = machine
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
            self._learn(recalled.view, target, Verdict(score), roster)
            await self._journal.read_verdict(request)
        finally:
            self._judging.discard(request)
        return target

    def _learn(self, of: Facts, target: ModelId, verdict: Verdict, roster: Roster) -> None:
        identity = dict(zip(roster.ids, roster.identities, strict=True)).get(target, target)
        vector = self._vectors.get(of.id)
        changes = self._quality.observe(
            self._origin(of.app), of.features, vector, {identity: verdict.counts}, roster
        )
        for key, counts in changes:
            self._journal.write_belief(key, counts)
        if self._quality.corrector.due and (self._solving is None or self._solving.done()):
            self._solving = asyncio.create_task(self._solve(), name="corrector")

    async def _solve(self) -> None:
        """Solve beside the loop, from a copy: tens of milliseconds nobody shall wait for."""
        corrector = self._quality.corrector
        problem = corrector.problem()
        corrector.adopt(await asyncio.to_thread(solve, problem))

    def _origin(self, app: str) -> str:
        return f"{self._machine}/{app}"


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
