"""Targets that need no lease: whether they are there, and how they are asked.

Owns what is known of every provider between two probes: what it offers, that it cannot be reached,
that a target of it rests. Nothing here waits for a provider but its own probe and its own answers.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from edgeroute.domain.errors import (
    DestinationFailed,
    DestinationRefused,
    DestinationUnreachable,
    EdgeRouteError,
    Overloaded,
    Resting,
    TargetSilent,
    UnknownModel,
)
from edgeroute.domain.privacy import Zone
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, Request
from edgeroute.domain.target import Target
from edgeroute.domain.units import ModelId
from edgeroute.ports import Provider
from edgeroute.runtime.breakers import Breakers
from edgeroute.runtime.egress import Composed, Egress
from edgeroute.runtime.purse import Charge, Purse

_log = logging.getLogger(__name__)

_PROBE_EVERY_S = 300.0
"""What is there is asked for its list again; that it has gone, the next request tells."""
_RETRY_S = (1.0, 2.0, 4.0, 5.0)
"""After a failed probe; back within five seconds of a link's return, one small request each."""
_LATE_S = 0.2
"""Between two looks for the sake of late answers: one in twenty is late."""
_REFUSED_S = 60.0
"""A key or an account does not come right by itself."""
_BOUND_BYTES = 40
"""Of a bound on the answer's length, which is added where money bounds it."""
_SOON_S = 0.5
"""Told as the wait for a probe that is due or running."""


@dataclass(slots=True)
class _State:
    """One provider.

    Attributes:
        error: Why nothing of it may be used, `None` where it is there.
        retry_at: When it is probed again, on the daemon's clock.
        probed_at: When it was last.
        failures: Probes in a row that failed.
        resting: Targets that asked to be left alone, and until when.
        wake: Set where the time of the next probe has changed.
        watching: The task that probes it.
    """

    provider: Provider
    error: EdgeRouteError | None = field(
        default_factory=lambda: DestinationUnreachable("it has not been probed yet")
    )
    retry_at: float = 0.0
    probed_at: float = -math.inf
    failures: int = 0
    resting: dict[ModelId, float] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    watching: asyncio.Task[None] | None = None


class Providers:
    """Every provider of this daemon.

    Args:
        providers: Names are unique.
        gate: Approves what each is told.
        breakers: Of their targets.
        purse: Pays them.
        clock: Monotonic seconds.

    Attributes:
        version: Grows whenever the targets have changed.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        gate: Egress,
        breakers: Breakers,
        purse: Purse,
        clock: Callable[[], float],
    ) -> None:
        self.version = 0
        self._states = {provider.name: _State(provider) for provider in providers}
        self._gate = gate
        self._breakers = breakers
        self._purse = purse
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None

    def add(self, provider: Provider) -> None:
        """One more may be asked from now on; its name is nobody else's."""
        state = self._states[provider.name] = _State(provider)
        if self._group is not None:
            state.watching = self._group.create_task(self._watch(state))
        self.version += 1

    def remove(self, name: str) -> None:
        """One is asked no more; answers that have begun are its own to end."""
        state = self._states.pop(name, None)
        if state is not None and state.watching is not None:
            state.watching.cancel()
        self.version += 1

    def look_again(self, name: str) -> None:
        """What one offers, or whether it is there, has changed."""
        state = self._states.get(name)
        if state is not None:
            self._look(state, self._clock())

    def _look(self, state: _State, at: float) -> None:
        state.retry_at = min(state.retry_at, at)
        state.wake.set()

    @property
    def names(self) -> frozenset[str]:
        """Whose names are taken: each one's own, and `tool`, which stands before tools' names."""
        return frozenset(name.partition("/")[0] for name in self._states)

    def targets(self) -> Iterator[Target]:
        """Every target, with the seconds until it may be tried where it may not now, and why."""
        for state in self._states.values():
            yield from self._targets(state)

    def __contains__(self, target: ModelId) -> bool:
        """Whether a target is a provider's; its name says whose."""
        return target in self._states or target.partition("/")[0] in self._states

    @asynccontextmanager
    async def open(self, target: ModelId) -> AsyncGenerator["Opened", None]:
        """Hold a target for one request; what goes wrong meanwhile is noted and goes on.

        Raises:
            UnknownModel: It is no longer offered.
            Resting: Its time is not over, as was learnt since it was chosen.
        """
        state = self._state(target)
        found = next((t for t in state.provider.targets() if t.id == target), None)
        if found is None:
            raise UnknownModel(f"{target} is no longer there")
        wait_s, trouble = self._standing(state, target)
        if wait_s > 0:
            raise Resting(f"{target}: {trouble}", retry_after_s=wait_s)
        try:
            with self._breakers.asking(target, self._moved):
                yield Opened(state.provider, found, self._gate, self._purse)
        except EdgeRouteError as error:
            self._note(state, target, error)
            raise

    def doubt(self, target: ModelId) -> None:
        """A target is late: look whether its provider is there at all."""
        if target in self:
            self._doubt(self._state(target), _LATE_S)

    def is_there(self, target: ModelId) -> bool:
        """Whether a target's provider could be reached when that was looked at last."""
        return target in self and self._state(target).error is None

    async def run(self) -> None:
        """Probe every provider until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for state in self._states.values():
                state.watching = group.create_task(self._watch(state))

    async def follow(self, changes: AsyncIterator[None]) -> None:
        """Look again for whoever is not on this device, whenever the network has changed."""
        async for _ in changes:
            for state in self._states.values():
                if all(target.zone is not Zone.DEVICE for target in state.provider.targets()):
                    # What was just looked at may have been seen as it was before the change.
                    self._look(state, max(self._clock(), state.probed_at + _RETRY_S[0]))

    async def close(self) -> None:
        """Let go of all connections and processes."""
        for state in self._states.values():
            await state.provider.close()

    def status(self) -> list[dict[str, Any]]:
        """How every provider stands, as plain data."""
        return [
            {
                "name": name,
                "reachable": state.error is None,
                "reason": None if state.error is None else state.error.message,
                "hint": None if state.error is None else state.error.hint,
                "targets": [
                    {
                        "id": target.id,
                        "zone": target.zone.word,
                        "max_label": target.max_label.word,
                        "context": target.context,
                        "retry_in_s": target.retry_in_s,
                        "trouble": target.trouble,
                    }
                    for target in self._targets(state)
                ],
            }
            for name, state in self._states.items()
        ]

    def _state(self, target: ModelId) -> _State:
        return self._states.get(target) or self._states[target.partition("/")[0]]

    async def _watch(self, state: _State) -> None:
        while True:
            await self._probe(state)
            while (wait := state.retry_at - self._clock()) > 0:
                state.wake.clear()
                try:
                    async with asyncio.timeout(wait):
                        await state.wake.wait()
                except TimeoutError:
                    break

    async def _probe(self, state: _State) -> None:
        was_there = state.error is None
        state.probed_at = self._clock()
        try:
            await state.provider.probe()
        except EdgeRouteError as error:
            self._set_down(state, error)
        else:
            state.error, state.failures = None, 0
            state.retry_at = self._clock() + _PROBE_EVERY_S
            if not was_there:
                _log.info("%s: is there", state.provider.name)
        self.version += 1

    def _set_down(self, state: _State, error: EdgeRouteError) -> None:
        if state.error is None or not state.failures:
            _log.warning("%s: %s", state.provider.name, error.code)  # its words may quote a prompt
        now = self._clock()
        if isinstance(error, DestinationRefused):
            state.retry_at = now + _REFUSED_S
        else:  # counted from when it was last asked, which may have taken as long
            wait_s = _RETRY_S[min(state.failures, len(_RETRY_S) - 1)]
            state.retry_at = max(state.probed_at + wait_s, now + _RETRY_S[0])
        state.error = error
        state.failures += 1
        self.version += 1

    def _targets(self, state: _State) -> Iterator[Target]:
        for target in state.provider.targets():
            wait_s, trouble = self._standing(state, target.id)
            yield replace(target, retry_in_s=wait_s, trouble=trouble)

    def _standing(self, state: _State, target: ModelId) -> tuple[float, str]:
        """Seconds until a target may be tried, and why not now."""
        now = self._clock()
        if state.error is not None:
            words = f"{state.provider.name} is not there ({state.error.code})"
            return max(state.retry_at - now, _SOON_S), words
        rest_s = state.resting.get(target, now) - now
        wait_s = self._breakers.wait_s(target)
        if rest_s > wait_s:
            return rest_s, "it asked to be left alone"
        return wait_s, self._breakers.why(target) if wait_s > 0 else ""

    def _note(self, state: _State, target: ModelId, error: EdgeRouteError) -> None:
        """A request failed: what that says of the next one."""
        if isinstance(error, DestinationUnreachable | DestinationRefused):
            if state.error is None:
                self._set_down(state, error)
                state.wake.set()
            return
        if isinstance(error, DestinationFailed | TargetSilent):
            self._doubt(state)
        rest_s = _PROBE_EVERY_S if isinstance(error, UnknownModel) else None
        if isinstance(
            error, Overloaded | DestinationFailed
        ):  # what else says when, is not its word
            rest_s = error.retry_after_s
        if rest_s:
            state.resting[target] = self._clock() + rest_s
            self.version += 1
            asyncio.get_running_loop().call_later(rest_s, self._end_rest, state, target)

    def _doubt(self, state: _State, unless_within_s: float = _RETRY_S[0]) -> None:
        """Look now whether it is there at all, unless that has just been done."""
        if self._clock() - state.probed_at >= unless_within_s and state.error is None:
            self._look(state, self._clock())

    def _moved(self, wait_s: float) -> None:
        """A breaker opened, closed or tries: what routing sees is to be told, now and then."""
        self._end_wait()
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._end_wait)

    def _end_wait(self) -> None:
        self.version += 1

    def _end_rest(self, state: _State, target: ModelId) -> None:
        if state.resting.get(target, 0.0) <= self._clock():
            state.resting.pop(target, None)
        self.version += 1


class Opened:
    """A target of a provider, asked through the gate and paid from the purse.

    Attributes:
        charge: What the answer costs; `None` before it is asked for.
    """

    def __init__(self, provider: Provider, target: Target, gate: Egress, purse: Purse) -> None:
        self.charge: Charge | None = None
        self._provider = provider
        self._target = target
        self._gate = gate
        self._purse = purse

    def generate(
        self, request: Request, expected_tokens: int, _left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """See `Runner.generate`; what runs elsewhere plans by itself, and deadlines end here."""
        return self._ask(request, expected_tokens)

    def embed(
        self, request: EmbeddingRequest, _left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """See `Runner.embed`."""
        return self._ask(request, 0)

    async def _ask(self, request: AnyRequest, expected_tokens: int) -> AsyncGenerator[Chunk, None]:
        target, provider = self._target, self._provider
        payload = Composed.of(provider.compose(target.id, request))
        length = len(payload.body) + _BOUND_BYTES
        quote = self._purse.quote(target, request, length, expected_tokens)
        if quote.request is not request:  # bounded to what may be spent
            payload = Composed.of(provider.compose(target.id, quote.request))
        async with self._purse.paying(target, request.app, quote) as self.charge:
            approved = await self._gate.approve(target, quote.request, payload)
            async with aclosing(provider.answer(approved)) as chunks:
                async for chunk in chunks:
                    self.charge.heard(chunk)
                    yield chunk
