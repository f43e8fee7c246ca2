"""`GET /models` of a server: which models it has, and what it says of them."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from edgeroute.wire.upstream.reading import read


class _Meta(Struct):
    n_ctx: int | None = None
    n_params: int | None = None


class _Model(Struct):
    id: str
    max_model_len: int | None = None
    context_length: int | None = None
    max_context_length: int | None = None
    meta: _Meta | None = None


class _Listing(Struct):
    data: list[_Model] | None = None


_listing: msgspec.json.Decoder[_Listing] = msgspec.json.Decoder(_Listing)


class Listed(Struct, frozen=True):
    """One model that a server has.

    Attributes:
        context: Tokens of a conversation: vLLM, SGLang, OpenRouter, LM Studio and llama-server
            say so; `None` elsewhere.
        parameters: Its size, which llama-server tells.
    """

    id: str
    context: int | None = None
    parameters: int | None = None


def read_listing(body: bytes) -> Sequence[Listed]:
    """The models of a listing, in its order.

    Raises:
        Malformed: It is no listing.
    """
    listing = read(body, _listing, "its list of models is none")
    return [_listed(model) for model in listing.data or ()]


def _listed(model: _Model) -> Listed:
    meta = model.meta or _Meta()
    told = (model.max_model_len, model.context_length, model.max_context_length, meta.n_ctx)
    return Listed(model.id, next((size for size in told if size), None), meta.n_params or None)
