"""`/edgeroute`, `/healthz` and `/metrics`: looking at the daemon and asking it what it would do."""

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from edgeroute.api.account import account, recalled_account, refusal_account
from edgeroute.api.house import house_of
from edgeroute.api.metrics import CONTENT_TYPE
from edgeroute.api.reply import JSON, read_body
from edgeroute.domain.decision import Refusal
from edgeroute.domain.units import RequestId
from edgeroute.routing.decide import decide
from edgeroute.wire.openai import decode_chat, encode_json


async def healthz(request: HttpRequest) -> Response:
    """`GET /healthz`: 200 as soon as requests are taken."""
    house_of(request)
    return _json({"status": "ok"})


async def metrics(request: HttpRequest) -> Response:
    """`GET /metrics`."""
    return Response(house_of(request).metrics.scrape(), media_type=CONTENT_TYPE)


async def status(request: HttpRequest) -> Response:
    """`GET /edgeroute/status`."""
    return _json(house_of(request).status())


async def reload(request: HttpRequest) -> Response:
    """`POST /edgeroute/reload`: read the catalog again."""
    return _json(await house_of(request).reload())


async def route(request: HttpRequest) -> Response:
    """`POST /edgeroute/route`: the decision for a chat body, without running or recording it."""
    house = house_of(request)
    call = decode_chat(await read_body(request), house.new_id())
    view = house.dispatcher.view(call.request)
    decision = decide(view)
    if isinstance(decision, Refusal):
        return _json(refusal_account(view, decision), status_code=422)
    return _json(account(view, decision, decision.chosen.target, None))


async def explain(request: HttpRequest) -> Response:
    """`GET /edgeroute/explain/{id}`: a past decision, decided again from what was known."""
    wanted = request.path_params["id"].removeprefix("chatcmpl-")
    return _json(recalled_account(await house_of(request).record.recall(RequestId(wanted))))


def _json(value: object, status_code: int = 200) -> Response:
    return Response(encode_json(value), status_code, media_type=JSON)
