"""Paired machines as guests: what this one would do for them, and doing it.

Owns the rules of the house. A guest names a model of this machine's own, so its question never goes
on to another machine or a cloud. It pushes no model of the owner's out of memory, runs behind
everything that the owner waits for, and gets nothing from a machine on battery. Of its question
nothing is kept: no features, no decision, no outcome.
"""

import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from msgspec import structs

from edgeroute.domain.errors import NoTarget, Overloaded, UnknownModel
from edgeroute.domain.outcome import Attempt, Outcome
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, Limits, Usage
from edgeroute.domain.target import Target, Warmth
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.ports import Runner
from edgeroute.routing.lending import lend
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.telemetry import TelemetryFeed
from edgeroute.wire.link import MAX_OFFERED, Method, Offer, OfferedModel
from edgeroute.wire.openai import decode_chat, decode_completion, decode_embeddings

MOST_AT_ONCE: Final = 40
"""Questions of one guest that run or wait here: a third of a burst of 96, and more."""
MOST_OF_ALL: Final = 48
"""Of all guests: the rest of a model's queue (`residency.settings`) is its owner's."""
_ASKING_S: Final = 10.0
"""After its last question a guest is expected to ask the next one before the others do."""
_USUAL_TOKENS: Final = 256
"""Length of an answer whose bound nobody gave."""
_FREE_STEP: Final = 256 << 20
_DIGITS: Final = 2
"""Of figures in an offer: what changes less is not worth telling everybody."""


class Guests:
    """What guests get.

    Args:
        pool: Leases the models.
        roster: Knows how fast and how busy they are.
        telemetry: Knows whether the machine is on battery.
        new_id: A fresh request id.
        clock: Monotonic seconds.
        share: Whether anything is offered at all.
    """

    def __init__(
        self,
        pool: Pool,
        roster: LiveRoster,
        telemetry: TelemetryFeed,
        new_id: Callable[[], RequestId],
        clock: Callable[[], float],
        *,
        share: bool,
    ) -> None:
        self._pool = pool
        self._roster = roster
        self._telemetry = telemetry
        self._new_id = new_id
        self._clock = clock
        self._share = share
        self._running: Counter[str] = Counter()
        self._asked_at: dict[str, float] = {}

    def offers(self, guests: Collection[str]) -> Mapping[str, Offer]:
        """What would be done for each guest now; no free slot is lent to two."""
        offer, now = self._offer(), self._clock()
        asking = [g for g in guests if now - self._asked_at.get(g, -math.inf) < _ASKING_S]
        lent = {
            model.id: lend(self._roster.free_slots(ModelId(model.id)), guests, asking)
            for model in offer.models
        }
        return {
            guest: structs.replace(
                offer,
                models=tuple(
                    structs.replace(model, lent=lent[model.id][guest]) for model in offer.models
                ),
            )
            for guest in guests
        }

    def _offer(self) -> Offer:
        power, withheld = self._telemetry.now.power, self._withheld()
        percent = None if power.percent is None else float(round(power.percent))
        booked = sum(status.booked.ram for status in self._pool.snapshot())
        free = max(self._pool.budget.ram - booked, 0)
        return Offer(
            models=() if withheld else self._models(),
            withheld=withheld,
            on_battery=power.on_battery,
            battery_percent=percent,
            free_bytes=free // _FREE_STEP * _FREE_STEP,
        )

    async def answer(self, guest: str, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        """Answer a guest's question; closing the generator ends it.

        Args:
            guest: Names the machine among those who ask here.
            method: What the body is of.
            body: JSON, as the same question has over HTTP.

        Raises:
            NoTarget: Nothing is offered now, or the model would push out others.
            Overloaded: The guest has too many questions here.
            EdgeRouteError: As for anybody else's question.
        """
        app = f"peer:{guest}"
        self._asked_at[guest] = self._clock()
        request = _as_guest(self._decoded(method, body), app)
        target = self._admitted(request)
        self._refuse_crowd(app, target)
        self._running[app] += 1
        try:
            async with aclosing(self._run(target, request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._running[app] -= 1
            self._asked_at[guest] = self._clock()

    def _refuse_crowd(self, app: str, target: ModelId) -> None:
        if self._running[app] >= MOST_AT_ONCE:
            words = f"{MOST_AT_ONCE} of your questions are here"
        elif self._running.total() >= MOST_OF_ALL:
            words = f"{MOST_OF_ALL} questions of guests are here"
        else:
            return
        raise Overloaded(words, retry_after_s=self._roster.queue_s(target))

    async def _run(self, target: ModelId, request: AnyRequest) -> AsyncGenerator[Chunk, None]:
        usage, began = None, self._clock()
        expected = _expected(request)
        with self._roster.in_flight(target, expected):
            async with self._pool.lease(target, request.app) as runner:
                with self._roster.metered(runner) as bill:
                    async with aclosing(_ask(runner, request, expected)) as chunks:
                        async for chunk in chunks:
                            bill.drew(chunk.worked_s, last=chunk.usage is not None)
                            usage = chunk.usage or usage
                            yield chunk
        if usage is not None:
            self._roster.learn(_speed(target, usage, self._clock() - began))

    def _decoded(self, method: Method, body: bytes) -> AnyRequest:
        name = self._new_id()
        match method:
            case "chat":
                return decode_chat(body, name).request
            case "completion":
                return decode_completion(body, name).request
            case "embedding":
                return decode_embeddings(body, name).request

    def _withheld(self) -> str:
        if not self._share:
            return "its owner does not share its models"
        if self._telemetry.now.power.on_battery:
            return "it is on battery"
        return ""

    def _admitted(self, request: AnyRequest) -> ModelId:
        """The model of this machine's own that a guest asks for and may use now."""
        withheld = self._withheld()
        if withheld:
            raise NoTarget(withheld)
        target = next((t for t in self._roster.own() if t.id == request.model), None)
        if target is None:
            raise UnknownModel(f"there is no model {request.model!r} here")
        if target.warmth is not Warmth.WARM and target.displaces_s > 0:
            raise NoTarget(f"{target.id} would push out what its owner uses")
        return target.id

    def _models(self) -> tuple[OfferedModel, ...]:
        own = [
            target
            for target in self._roster.own()
            if target.retry_in_s == 0 and (target.warmth is Warmth.WARM or not target.displaces_s)
        ]
        own.sort(key=lambda target: (target.warmth is not Warmth.WARM, target.id))
        left = self._pool.progress
        return tuple(_offered(target, left.get(target.id)) for target in own[:MAX_OFFERED])


def _offered(target: Target, loaded: float | None) -> OfferedModel:
    """As it is told; `loaded` is the share of it that is in memory while it loads."""
    rates, energy = target.rates, target.energy
    return OfferedModel(
        id=target.id,
        sha256=target.identity,
        context=target.context,
        parameters=max(target.parameters, 1),
        prefill_tok_s=_rounded(rates.prefill_tok_s),
        decode_tok_s=_rounded(rates.decode_tok_s),
        warm=target.warmth is Warmth.WARM,
        measured=rates.measured,
        load_s=_rounded(rates.load_s * (1.0 - (loaded or 0.0))),
        loading=target.warmth is Warmth.LOADING,
        slots=target.slots,
        queued_tokens=target.queued_tokens,
        family=target.family[:64],
        capabilities=target.capabilities,
        scores=dict(target.scores),
        query_j=0.0 if energy is None else _rounded(energy.base_j),
        output_j=0.0 if energy is None else _rounded(energy.output_j),
    )


def _speed(target: ModelId, usage: Usage, total_s: float) -> Outcome:
    """What a guest's answer tells of a model: how fast it is, and nothing else."""
    return Outcome(
        ending="stop",
        target=target,
        attempts=(Attempt(target, None, 0.0),),
        total_s=total_s,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        prefill_tok_s=usage.prefill_tok_s,
        decode_tok_s=usage.decode_tok_s,
        cached_tokens=usage.cached_tokens,
    )


def _rounded(value: float) -> float:
    """To two significant digits."""
    if value <= 0:
        return 0.0
    return round(value, _DIGITS - 1 - math.floor(math.log10(value)))


def _as_guest(request: AnyRequest, app: str) -> AnyRequest:
    """A guest's question as it is treated here: nobody of this house waits for it.

    What a paired machine was allowed to see of `secret` is nothing, so nothing here is.
    """
    label = min(request.held_as, Label.PRIVATE)
    return replace(request, app=app, priority="background", label=label, limits=Limits())


def _expected(request: AnyRequest) -> int:
    if isinstance(request, EmbeddingRequest):
        return 1
    return min(request.sampling.max_tokens or _USUAL_TOKENS, _USUAL_TOKENS)


def _ask(runner: Runner, request: AnyRequest, expected: int) -> AsyncGenerator[Chunk, None]:
    if isinstance(request, EmbeddingRequest):
        return runner.embed(request)
    return runner.generate(request, expected)
