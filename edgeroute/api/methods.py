"""Questions that are answered at once and whole, whichever door they come by."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from edgeroute.api.account import account, recalled_account, refusal_account
from edgeroute.api.house import House
from edgeroute.api.reply import decoded
from edgeroute.domain.app import Caller
from edgeroute.domain.decision import Refusal
from edgeroute.domain.errors import NotFound
from edgeroute.domain.request import AUTO
from edgeroute.routing.decide import decide
from edgeroute.runtime.record import Recalled
from edgeroute.wire.openai import ModelsBody, decode_chat, models_list, request_id_of


class _Wanted(msgspec.Struct):
    id: str


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """A verdict; a score says more than good (1) or bad (0)."""

    id: str
    verdict: Literal["good", "bad"]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class ProbeBody(msgspec.Struct, forbid_unknown_fields=True):
    """The model that is to be asked."""

    model: str


class FeedbackAnswer(msgspec.Struct):
    """Whose verdict it was, and what it counts."""

    id: str
    target: str
    score: float


_probe: msgspec.json.Decoder[ProbeBody] = msgspec.json.Decoder(ProbeBody)
_feedback: msgspec.json.Decoder[FeedbackBody] = msgspec.json.Decoder(FeedbackBody)
_wanted: msgspec.json.Decoder[_Wanted] = msgspec.json.Decoder(_Wanted)


async def models(house: House, _body: bytes, _caller: Caller) -> ModelsBody:
    """`auto`, then every model by name."""
    return models_list([AUTO, *house.models()], int(house.wall_clock()))


async def status(house: House, _body: bytes, _caller: Caller) -> Mapping[str, object]:
    """How everything stands."""
    return house.status()


async def route(house: House, body: bytes, caller: Caller) -> Mapping[str, object]:
    """The decision for a chat body, without running or recording it; a refusal has no target."""
    view = house.dispatcher.view(decode_chat(body, house.new_id(), caller).request)
    decision = decide(view)
    if isinstance(decision, Refusal):
        return refusal_account(view, decision)
    return account(view, decision, decision.chosen.target, None)


async def feedback(house: House, body: bytes, caller: Caller) -> FeedbackAnswer:
    """A verdict on a past answer, which its target is believed by from now on."""
    hint = 'send {"id": ..., "verdict": "good" or "bad"}'
    given = decoded(_feedback, body, "is no verdict", hint)
    score = float(given.verdict == "good") if given.score is None else given.score
    if caller.confined:  # `judge` recalls it again, for whoever may know of every decision
        await _recall(house, given.id, caller)
    target = await house.dispatcher.judge(request_id_of(given.id), score)
    return FeedbackAnswer(given.id, target, score)


async def probe(house: House, body: bytes) -> Mapping[str, object]:
    """One probe more for a model, if there is one, and how far it has come."""
    return await house.probe(decoded(_probe, body, "names no model").model)


async def explain(house: House, body: bytes, caller: Caller) -> Mapping[str, object]:
    """A past decision, decided again from what was known then."""
    return await explanation(house, decoded(_wanted, body, "names no decision").id, caller)


async def explanation(house: House, wanted: str, caller: Caller) -> Mapping[str, object]:
    """The same, by its id as answers have it."""
    return recalled_account(await _recall(house, wanted, caller))


async def _recall(house: House, wanted: str, caller: Caller) -> Recalled:
    """A decision that this caller may know of; another app's is as if it were not there."""
    request = request_id_of(wanted)
    house.dispatcher.noted(request)
    recalled = await house.record.recall(request)
    if caller.confined and recalled.view.app != caller.app.name:
        raise NotFound(f"no decision {request!r} of {caller.app.name}")
    return recalled
