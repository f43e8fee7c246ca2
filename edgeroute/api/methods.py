"""Questions that are answered at once and whole, whichever door they come by."""

from collections.abc import Mapping

import msgspec

from edgeroute.api.account import account, recalled_account, refusal_account
from edgeroute.api.house import House
from edgeroute.domain.decision import Refusal
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import AUTO
from edgeroute.domain.units import RequestId
from edgeroute.routing.decide import decide
from edgeroute.wire.openai import decode_chat, models_list


class _Wanted(msgspec.Struct):
    id: str


_wanted: msgspec.json.Decoder[_Wanted] = msgspec.json.Decoder(_Wanted)


async def models(house: House, _body: bytes) -> Mapping[str, object]:
    """`auto`, then every model by name."""
    return models_list([AUTO, *house.models()], int(house.wall_clock()))


async def status(house: House, _body: bytes) -> Mapping[str, object]:
    """How everything stands."""
    return house.status()


async def route(house: House, body: bytes) -> Mapping[str, object]:
    """The decision for a chat body, without running or recording it; a refusal has no target."""
    view = house.dispatcher.view(decode_chat(body, house.new_id()).request)
    decision = decide(view)
    if isinstance(decision, Refusal):
        return refusal_account(view, decision)
    return account(view, decision, decision.chosen.target, None)


async def explain(house: House, body: bytes) -> Mapping[str, object]:
    """A past decision, decided again from what was known then."""
    try:
        wanted = _wanted.decode(body).id
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body names no decision: {error}") from error
    return await explanation(house, wanted)


async def explanation(house: House, wanted: str) -> Mapping[str, object]:
    """The same, by its id as answers have it."""
    plain = wanted.removeprefix("chatcmpl-").removeprefix("cmpl-")
    return recalled_account(await house.record.recall(RequestId(plain)))
