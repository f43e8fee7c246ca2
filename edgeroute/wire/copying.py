"""What two paired machines say to each other when one copies a model from the other.

The one that copies asks for a model and hears what it is; then it asks for its files, each from the
byte where it stopped, and gets exactly the bytes that follow. One question at a time.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgeroute.domain.card import Tuned
from edgeroute.domain.features import Task
from edgeroute.wire.framing import Inbox, Part
from edgeroute.wire.link import Word
from edgeroute.wire.parts import MAX_PARTS
from edgeroute.wire.rpc import Failed

COPYING: Final = b"ERF1"
"""Sent in the clear before TLS begins: a paired machine copies files."""
_MAX_MESSAGE: Final = 1 << 16
_Text = Annotated[str, Meta(max_length=1000)]
_Size = Annotated[int, Meta(ge=1, le=1 << 53)]


class Want(msgspec.Struct, frozen=True, tag="want"):
    """Which model; answered by `Held`, or by a `Failed`."""

    model: Word


class CardFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a card says besides its file (see `domain.card.ModelCard`); empty is unknown."""

    family: _Text = ""
    licence: _Text = ""
    scores: dict[Task, Annotated[float, Meta(ge=0, le=1)]] = {}
    scores_source: _Text = ""
    tuned: Tuned | None = None


class Held(msgspec.Struct, frozen=True, tag="held"):
    """What the model is.

    Attributes:
        sha256: Of all its files, as if they were one.
        sizes: Bytes of each file, the first part first.
    """

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    sizes: Annotated[tuple[_Size, ...], Meta(min_length=1, max_length=MAX_PARTS)]
    card: CardFacts


class Send(msgspec.Struct, frozen=True, tag="send"):
    """A file of the model, from a byte on; answered by these bytes alone."""

    part: Annotated[int, Meta(ge=0, lt=MAX_PARTS)]
    at: Annotated[int, Meta(ge=0, le=1 << 53)]


_asked: msgspec.msgpack.Decoder[Want | Send | Part] = msgspec.msgpack.Decoder(Want | Send | Part)
_told: msgspec.msgpack.Decoder[Held | Failed | Part] = msgspec.msgpack.Decoder(Held | Failed | Part)


def asked_inbox() -> Inbox[Want | Send]:
    """Bytes from the machine that copies in, its questions out."""
    return Inbox[Want | Send](_asked, _MAX_MESSAGE, _MAX_MESSAGE)


def told_inbox() -> Inbox[Held | Failed]:
    """Bytes from the machine that is copied from in, up to the first file; its answers out."""
    return Inbox[Held | Failed](_told, _MAX_MESSAGE, _MAX_MESSAGE)
