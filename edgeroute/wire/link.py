"""What two paired machines say to each other over their link, and strangers while they pair.

A link is symmetric: either side asks, and answers what the other asks. An id is the asker's, so a
`Piece` always belongs to a call of whoever receives it and a `Cancel` to one of whoever sends it.
Numbers have ranges: what a peer says of itself goes into decisions here.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgeroute.domain.capability import Capability
from edgeroute.domain.features import Task
from edgeroute.wire.findings import Findings, Heard
from edgeroute.wire.framing import Inbox, Part
from edgeroute.wire.rpc import Cancel, Ended, Failed, Piece

VERSION: Final = 1
PREFACE_LENGTH: Final = 4
LINK: Final = b"ERL1"
"""Sent in the clear before TLS begins: a link between paired machines, each with a certificate."""
PAIRING: Final = b"ERP1"
"""Likewise: a stranger who has a code to type."""
MAX_OFFERED: Final = 64
MAX_PAIRING_FRAME: Final = 4096
"""Bytes; who sends them is nobody yet."""

Method = Literal["chat", "completion", "embedding"]
"""What a peer may ask for: answers, and nothing of the house."""
Word = Annotated[str, Meta(min_length=1, max_length=200)]
_Name = Annotated[str, Meta(max_length=64)]
_Positive = Annotated[float, Meta(gt=0, le=1e9)]
_Amount = Annotated[float, Meta(ge=0, le=1e9)]
_Count = Annotated[int, Meta(ge=0, le=1 << 53)]
_Id = Annotated[int, Meta(ge=0, le=1 << 53)]

# ---- a link -----------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message of either side; before it nothing else is heard."""

    version: int
    release: _Name


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Answered by a `Pong` with the same number."""

    number: _Id


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The answer to a `Ping`."""

    number: _Id


class OfferedModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model that the sender would run for the receiver.

    Attributes:
        id: What the sender calls it.
        sha256: Of its file; the same everywhere.
        context: Tokens of one conversation.
        warm: It is in memory.
        load_s: Seconds until it would be.
        queued_tokens: Tokens before a new request begins.
        loading: It is on its way into memory; `load_s` is what is left of it.
        slots: Requests that are worked on at once.
        lent: Slots that nobody uses and the receiver alone may count on, until it is told otherwise
            or hears nothing for three seconds.
        query_j: Joules of the sender that a query takes, whatever its lengths; 0 where it has not
            been metered.
        output_j: Likewise, per generated token.
    """

    id: Word
    sha256: Annotated[str, Meta(max_length=64)]
    context: Annotated[int, Meta(ge=1, le=1 << 31)]
    parameters: Annotated[int, Meta(ge=1, le=1 << 53)]
    prefill_tok_s: _Positive
    decode_tok_s: _Positive
    warm: bool = False
    measured: bool = False
    load_s: _Amount = 0.0
    queued_tokens: _Count = 0
    family: _Name = ""
    capabilities: frozenset[Capability] = frozenset()
    scores: dict[Task, Annotated[float, Meta(ge=0, le=1)]] = {}
    query_j: _Amount = 0.0
    output_j: _Amount = 0.0
    loading: bool = False
    slots: Annotated[int, Meta(ge=0, le=4096)] = 0
    lent: Annotated[int, Meta(ge=0, le=4096)] = 0


class Offer(msgspec.Struct, frozen=True, tag="offer", omit_defaults=True):
    """All that the sender would do for the receiver now; it replaces what was offered before.

    Attributes:
        withheld: Why nothing is offered, in words; empty where something is.
        battery_percent: `None` where there is no battery.
        free_bytes: Memory for models that none holds.
    """

    models: Annotated[tuple[OfferedModel, ...], Meta(max_length=MAX_OFFERED)] = ()
    withheld: Annotated[str, Meta(max_length=200)] = ""
    on_battery: bool = False
    battery_percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    free_bytes: _Count = 0


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question, as an app would ask it over HTTP.

    Answered by `Piece`s and an `Ended`, or by a `Failed`.

    Attributes:
        id: Never used twice on one link.
        body: JSON.
    """

    id: _Id
    method: Method
    body: bytes


class Credit(msgspec.Struct, frozen=True, tag="credit"):
    """So many more bytes of an answer may be sent (see `weight`)."""

    id: _Id
    more: Annotated[int, Meta(ge=1, le=1 << 31)]


LinkMessage = (
    Hello | Ping | Pong | Offer | Ask | Cancel | Credit | Piece | Ended | Failed | Heard | Findings
)

# ---- pairing ----------------------------------------------------------------------------------

_Share = Annotated[bytes, Meta(max_length=64)]
_Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Introduction(msgspec.Struct, frozen=True, tag="introduction"):
    """What either side says first: who it is, and its share of the key exchange.

    Attributes:
        certificate: DER.
        nonce: Random, for this exchange alone.
        share: Of SPAKE2.
    """

    version: int
    name: _Name
    certificate: Annotated[bytes, Meta(max_length=1024)]
    nonce: _Digest
    share: _Share


class Confirmation(msgspec.Struct, frozen=True, tag="confirmation"):
    """Proof that the sender knows the code and saw the same introductions."""

    proof: _Digest


PairingMessage = Introduction | Confirmation | Failed

# ---- bytes ------------------------------------------------------------------------------------

_link: msgspec.msgpack.Decoder[LinkMessage | Part] = msgspec.msgpack.Decoder(LinkMessage | Part)
_pairing: msgspec.msgpack.Decoder[PairingMessage | Part] = msgspec.msgpack.Decoder(
    PairingMessage | Part
)


def link_inbox() -> Inbox[LinkMessage]:
    """Bytes from a paired machine in, its messages out."""
    return Inbox[LinkMessage](_link)


def pairing_inbox() -> Inbox[PairingMessage]:
    """Bytes from a stranger in, messages out; bounded to what pairing needs."""
    return Inbox[PairingMessage](_pairing, MAX_PAIRING_FRAME, MAX_PAIRING_FRAME)
