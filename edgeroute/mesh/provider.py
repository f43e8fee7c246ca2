"""A paired machine as a provider of targets: its models are candidates like any other.

Owns what its offer means here: zone `peer`, the ceiling that was set when it was paired, the
seconds and joules of the way there. It gets nothing but approved payloads.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec.structs import replace

from edgeroute.domain.energy import RemoteEnergy
from edgeroute.domain.errors import DestinationUnreachable, UnknownModel
from edgeroute.domain.peer import Peer
from edgeroute.domain.privacy import Zone
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, Request
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.mesh.link import Link
from edgeroute.ports import ApprovedPayload
from edgeroute.wire.link import Method, Offer, OfferedModel
from edgeroute.wire.upstream import compose, compose_embedding

_WAY_J: Final = (0.01, 0.1, 1.0)
"""Joules of both radios or cables for a question and its answer, ten kilobytes: from 10 nJ a bit,
a busy Wi-Fi's, to a radio that is woken for it."""
_UNKNOWN_J: Final = (0.1, 1.0, 5.0)
"""Per generated token of a machine that has metered nothing: from a small model on a Jetson to a
large one on a desktop's GPU."""
_USUAL_RTT_S: Final = 0.005


class _Errand(msgspec.Struct):
    """A question as it travels: the body that the same question has over HTTP."""

    method: Method
    body: msgspec.Raw


_errand: msgspec.json.Decoder[_Errand] = msgspec.json.Decoder(_Errand)


class PeerProvider:
    """One paired machine (see `ports.Provider`).

    Args:
        peer: As paired.
        link: The link with it, `None` while there is none.
        away: Why there is none, in words.
    """

    def __init__(
        self, peer: Peer, link: Callable[[], Link | None], away: Callable[[], str]
    ) -> None:
        self.name = peer.name
        self._peer = peer
        self._link = link
        self._away = away
        self._offer = Offer()
        self._targets: Sequence[Target] = ()
        self._models: dict[ModelId, str] = {}
        self._asking: Counter[ModelId] = Counter()

    @property
    def offer(self) -> Offer:
        """What it said last."""
        return self._offer

    def take(self, offer: Offer) -> None:
        """It offers this from now on."""
        self._offer = offer
        named = {ModelId(f"{self.name}/{model.id}"): model for model in offer.models}
        self._models = {target: model.id for target, model in named.items()}
        self._targets = tuple(self._target(target, model) for target, model in named.items())

    def doubt(self) -> bool:
        """Nothing is heard of it: what it lent is counted on no more. Whether it had lent any."""
        models = tuple(replace(model, lent=0) for model in self._offer.models)
        if models == self._offer.models:
            return False
        self.take(replace(self._offer, models=models))
        return True

    def targets(self) -> Sequence[Target]:
        """See `ports.Provider`."""
        return self._targets

    async def probe(self) -> None:
        """See `ports.Provider`; the link knows, unless something waits to be answered."""
        link = self._link()
        if link is None:
            raise DestinationUnreachable(f"{self.name} cannot be reached: {self._away()}")
        if not await link.answers():
            raise DestinationUnreachable(f"{self.name} says nothing just now")
        if not self._targets:
            raise DestinationUnreachable(
                f"{self.name} offers nothing: {self._offer.withheld or 'it has no model to offer'}"
            )

    def compose(self, target: ModelId, request: AnyRequest) -> Mapping[str, object]:
        """See `ports.Provider`."""
        model = self._models.get(target)
        if model is None:
            raise UnknownModel(f"{self.name} no longer offers {target}")
        method, body = _body(request, model)
        return {"method": method, "body": body}

    async def answer(self, payload: ApprovedPayload) -> AsyncGenerator[Chunk, None]:
        """See `ports.Provider`."""
        link = self._link()
        if link is None:
            raise DestinationUnreachable(f"{self.name} cannot be reached: {self._away()}")
        errand = _errand.decode(payload.body)  # our own words, to the byte
        self._asking[payload.target] += 1
        try:
            async with aclosing(link.ask(errand.method, bytes(errand.body))) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._asking[payload.target] -= 1

    async def close(self) -> None:
        """See `ports.Provider`; the link is the mesh's."""

    def _target(self, target: ModelId, model: OfferedModel) -> Target:
        link = self._link()
        rtt_s = None if link is None else link.rtt_s
        drawn = (0.5 * model.output_j, model.output_j, 2 * model.output_j)
        low, likely, high = _WAY_J
        return Target(
            id=target,
            zone=Zone.PEER,
            context=model.context,
            parameters=model.parameters,
            rates=Rates(
                load_s=model.load_s,
                prefill_tok_s=model.prefill_tok_s,
                decode_tok_s=model.decode_tok_s,
                watts=0.0,
                measured=model.measured,
                latency_s=_USUAL_RTT_S if rtt_s is None else rtt_s,
            ),
            warmth=_warmth(model),
            max_label=self._peer.max_label,
            queued_tokens=model.queued_tokens,
            scores=model.scores,
            capabilities=model.capabilities,
            remote=RemoteEnergy(
                query_j=(
                    low + 0.5 * model.query_j,
                    likely + model.query_j,
                    high + 2 * model.query_j,
                ),
                output_j=drawn if model.output_j else _UNKNOWN_J,
                source=f"{self.name}'s own meters" if model.output_j else "not metered there",
            ),
            identity=model.sha256,
            family=model.family,
            slots=model.slots,
            lent=self._asking[target] + model.lent,
        )


def _warmth(model: OfferedModel) -> Warmth:
    if model.warm:
        return Warmth.WARM
    return Warmth.LOADING if model.loading else Warmth.COLD


def _body(request: AnyRequest, model: str) -> tuple[Method, dict[str, object]]:
    """The body that the question has over HTTP, with what only EdgeRoute knows besides."""
    label = request.held_as.word
    if isinstance(request, EmbeddingRequest):
        return "embedding", {**compose_embedding(request, model), "edgeroute": {"label": label}}
    options: dict[str, object] = {"label": label, "overflow": request.overflow}
    if request.form.kind == "grammar":
        options["grammar"] = request.form.source
    body = {**compose(request, model, "openai"), "edgeroute": options}
    if request.prompt is None:
        return "chat", body
    return "completion", _continued(request, body)


def _continued(request: Request, body: dict[str, object]) -> dict[str, object]:
    """A text to go on with, in place of a conversation."""
    left_out = {"messages", "logprobs", "top_logprobs", "max_completion_tokens"}
    told = {key: value for key, value in body.items() if key not in left_out}
    told["prompt"] = request.prompt
    if request.sampling.max_tokens is not None:
        told["max_tokens"] = request.sampling.max_tokens
    if request.logprobs is not None:
        told["logprobs"] = request.logprobs
    return told
