"""What paired machines tell each other of the answers that they judged: counts, and nothing else.

Owns the form of these messages and its bounds. No machine is named: who speaks is known by its
certificate, so nobody can speak for another, nor give back what it heard. No time is told either.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgeroute.domain.belief import EVENTS_PER_BUCKET, PARTS

MOST_TOLD: Final = 1024
"""Buckets of one message."""
_MOST_PARTS = EVENTS_PER_BUCKET * PARTS
_Number = Annotated[int, Meta(ge=0, le=1 << 53)]
_Index = Annotated[int, Meta(ge=0, le=MOST_TOLD)]
_Parts = Annotated[int, Meta(ge=0, le=_MOST_PARTS)]


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """How far the sender has heard what the receiver found, and that it wants to hear the rest.

    Attributes:
        run: The `Findings.run` that it heard; what it heard of another one is worth nothing.
        number: The last change that it heard.
    """

    run: _Number = 0
    number: _Number = 0


class Column(msgspec.Struct, frozen=True, array_like=True):
    """What counts are of.

    Attributes:
        app: Who judged on the sender's machine, by a name that tells nothing of it; for probes,
            `probes/` and which.
        cell: See `domain.belief.BucketKey`.
    """

    app: Annotated[str, Meta(pattern=r"\A(probes/)?[0-9a-f]{16}\Z")]
    cell: Annotated[str, Meta(min_length=1, max_length=64)]


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """What one bucket holds now.

    Attributes:
        column: Index into `Findings.columns`.
        model: Index into `Findings.models`, from 1; 0 counts the events themselves.
        number: See `domain.belief.BucketKey.bucket`.
    """

    column: _Index
    model: _Index
    number: Annotated[int, Meta(ge=0, le=1 << 32)]
    ok: _Parts
    bad: _Parts


class Findings(msgspec.Struct, frozen=True, tag="findings"):
    """What the sender's own apps found of models, as far as the receiver has not heard it.

    Attributes:
        run: Random, of the sender's present run: its changes are numbered anew in each.
        number: The last change that this holds.
        edition: Random, of the sender's memory: where it was lost, what it told before is void.
        models: SHA-256 of their files, by which they are the same everywhere.
    """

    run: _Number
    number: _Number
    edition: Annotated[bytes, Meta(min_length=16, max_length=16)]
    models: Annotated[
        tuple[Annotated[bytes, Meta(min_length=32, max_length=32)], ...],
        Meta(max_length=MOST_TOLD),
    ]
    columns: Annotated[tuple[Column, ...], Meta(max_length=MOST_TOLD)]
    buckets: Annotated[tuple[Bucket, ...], Meta(max_length=MOST_TOLD)]
