"""Bytes that a server sent as what they should be, or one error that says what they are not."""

from typing import TypeVar

import msgspec

from edgeroute.wire.undecodable import UNDECODABLE

T = TypeVar("T")


class Malformed(Exception):
    """What came is not of this protocol; says what, without quoting it."""


def read(data: str | bytes, decoder: "msgspec.json.Decoder[T]", otherwise: str) -> T:
    """Decode what a server sent.

    Raises:
        Malformed: It is something else, which `otherwise` says.
    """
    try:
        return decoder.decode(data)
    except UNDECODABLE as error:
        raise Malformed(otherwise) from error
