"""Learns how good a model is from short questions whose answers a program can check.

Owns which question a model gets next, and when it may be asked by itself: on mains, once nobody
has asked anything for a while, and never where other models would have to go for it. Every probe
is a request like any other, at background priority; what is found is a belief of an origin of its
own per model. How far a model has come is the number of events of that origin: whatever ends the
daemon in between, it goes on from there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from edgeroute.domain.capability import Capability
from edgeroute.domain.errors import EdgeRouteError, UnknownModel, Unsupported
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import Message, Request, Sampling
from edgeroute.domain.target import Target
from edgeroute.domain.units import RequestId
from edgeroute.evaluation.probe_checks import passes
from edgeroute.evaluation.probes import TaskProbe
from edgeroute.routing.candidates import Roster
from edgeroute.routing.verify import Given
from edgeroute.runtime.dispatch import Dispatcher
from edgeroute.runtime.judging import Judging

_log = logging.getLogger("edgeroute")

APP = "probes"
_QUIET_S = 600.0
_LOOK_S = 60.0


class Probing:
    """The probes of one daemon.

    Args:
        read: Reads the probes, in the order in which they are asked; at their first use, since most
            starts ask none.
        dispatcher: Answers them.
        judging: Learns from the answers.
        roster: Lists the targets.
        may: Whether the machine can spare what a probe takes.
        new_id: A fresh request id.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[TaskProbe]],
        dispatcher: Dispatcher,
        judging: Judging,
        roster: Callable[[], Roster],
        may: Callable[[], bool],
        new_id: Callable[[], RequestId],
    ) -> None:
        self._read = read
        self._dispatcher = dispatcher
        self._judging = judging
        self._roster = roster
        self._may = may
        self._new_id = new_id
        self._one_at_a_time = asyncio.Lock()

    @cached_property
    def _probes(self) -> Sequence[TaskProbe]:
        return self._read()

    async def next(self, model: str) -> Mapping[str, Any]:
        """Ask a model its next probe, if there is one; how far it has come.

        Raises:
            UnknownModel: There is no such model.
            Unsupported: It does not run on this device, or answers nothing.
            EdgeRouteError: It could not answer; the same probe comes next time.
        """
        target = self._target(model)
        async with self._one_at_a_time:
            done = self._judging.probes_of(target.identity)
            if done < len(self._probes):
                await self._ask(target, self._probes[done])
        return self.progress(model)

    def progress(self, model: str) -> Mapping[str, Any]:
        """How far a model has come, and what of it was right, by task.

        Raises:
            UnknownModel: There is no such model.
            Unsupported: It does not run on this device, or answers nothing.
        """
        target = self._target(model)
        tasks = {
            task.value: self._judging.probed_of(target.identity, task.value)
            for task in Task
            if task is not Task.UNKNOWN
        }
        return {
            "model": model,
            "done": min(self._judging.probes_of(target.identity), len(self._probes)),
            "of": len(self._probes),
            "right": round(sum(ok for ok, _ in tasks.values())),
            "tasks": {
                task: {"right": round(ok), "asked": round(ok + bad)}
                for task, (ok, bad) in tasks.items()
            },
        }

    async def run(self) -> None:
        """Ask whatever was not asked yet, while nobody needs the machine, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            async for target in self._unknown():
                try:
                    await self.next(target.id)
                except EdgeRouteError as error:
                    _log.info("probing %s: %s", target.id, error.code)
                    break

    async def _unknown(self) -> AsyncIterator[Target]:
        """The same model until it is known, then the next, as long as they may be asked."""
        while self._may() and self._dispatcher.quiet_s(besides=APP) >= _QUIET_S:
            known = self._judging.probes_of
            waiting = (
                target
                for target in self._roster().targets
                if _can_be_probed(target)
                and target.displaces_s == 0
                and known(target.identity) < len(self._probes)
            )
            target = next(waiting, None)
            if target is None:
                return
            yield target

    async def _ask(self, target: Target, probe: TaskProbe) -> None:
        request = Request(
            self._new_id(),
            target.id,
            (Message("user", probe.probe.prompt),),
            Sampling(
                temperature=0.0,
                max_tokens=probe.probe.max_tokens,
                given=frozenset({"temperature"}),
            ),
            app=APP,
            label=Label.PUBLIC,
            priority="background",
            logprobs=0 if Capability.LOGPROBS in target.capabilities else None,
        )
        async with self._dispatcher.answer(request, judged=True) as answer:
            given = Given.of([chunk async for chunk in answer.chunks])
        right = await asyncio.to_thread(passes, probe.probe, given.text)
        self._judging.probed(answer.view, answer.expected, given, task=probe.task, right=right)

    def _target(self, model: str) -> Target:
        target = next((t for t in self._roster().targets if t.id == model), None)
        if target is None:
            raise UnknownModel(f"no model {model!r}", hint="`edgeroute models` lists all models")
        if not _can_be_probed(target):
            raise Unsupported(f"{model} is no model on this device that answers questions")
        return target


def _can_be_probed(target: Target) -> bool:
    """Models of our own alone: nobody is paid or told, and no tool is taken for a model."""
    ours = target.zone is Zone.DEVICE and not target.tasks and not target.arithmetic_only
    return ours and Capability.CHAT in target.capabilities
