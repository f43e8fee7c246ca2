"""The native protocol of `rpc.sock`: what apps and the daemon say to each other in frames.

A call names a method and carries the JSON body that the same question has over HTTP, so both doors
take the same questions with the same limits. What comes back is typed: one `started`, pieces as
they are made, one `ended`; or one `result`; or one `failed`. Calls of one connection run side by
side and are told apart by their id, which the app chooses and never uses twice at the same time.
"""

from typing import Literal

import msgspec

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import Chunk
from edgeroute.wire.framing import Inbox, Part

CONNECTION = -1
"""The id of a `failed` that is about the connection, which then ends."""

Method = Literal[
    "chat", "completion", "embedding", "route", "explain", "feedback", "status", "models"
]

# ---- app to daemon ------------------------------------------------------------------------------


class Call(msgspec.Struct, frozen=True, tag="call"):
    """A question.

    Attributes:
        id: 0 or more.
        body: JSON, as `POST` has it; `explain` takes `{"id": ...}`, `status` and `models` none.
            What it says of how an answer is to be written (`stream`, `encoding_format`) is HTTP's.
    """

    id: int
    method: Method
    body: bytes = b"{}"


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """The answer is not wanted any more. Answered by nothing; unknown ids are harmless."""

    id: int


class Identify(msgspec.Struct, frozen=True, tag="identify"):
    """Calls on this connection are an app's from now on; without it they are `default`'s.

    Answered by nothing; with a token that is not known every call fails.
    """

    token: str


ToDaemon = Call | Cancel | Identify

# ---- daemon to app ------------------------------------------------------------------------------


class Started(msgspec.Struct, frozen=True, tag="started", omit_defaults=True):
    """The first token is there.

    Attributes:
        request: Names the answer from now on, for `explain`.
        target: Who answers.
        ignored: Names of fields that were not understood.
    """

    id: int
    request: str
    target: str
    zone: str
    task: str
    reason: str
    ignored: tuple[str, ...] = ()


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """A piece of what was asked for; the last one carries the usage."""

    id: int
    chunk: Chunk


class Ended(msgspec.Struct, frozen=True, tag="ended", omit_defaults=True):
    """Everything is there.

    Attributes:
        account: JSON of the decision, where `edgeroute.explain` asked for it.
    """

    id: int
    account: bytes = b""


class Result(msgspec.Struct, frozen=True, tag="result"):
    """The answer of a method that does not stream, as JSON."""

    id: int
    body: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed", omit_defaults=True):
    """There will be no more of this call; what came before stays true.

    Attributes:
        code: An `EdgeRouteError.code`.
        http_status: What the same failure has over HTTP.
        hint: What would have to change.
        retry_after_s: Seconds after which a retry is worth it.
    """

    id: int
    code: str
    message: str
    http_status: int
    hint: str | None = None
    retry_after_s: float | None = None

    @classmethod
    def of(cls, call: int, error: EdgeRouteError) -> "Failed":
        """An error as it is told."""
        return cls(
            call, error.code, error.message, error.http_status, error.hint, error.retry_after_s
        )


FromDaemon = Started | Piece | Ended | Result | Failed

# ---- bytes ------------------------------------------------------------------------------------

_to_daemon: msgspec.msgpack.Decoder[ToDaemon | Part] = msgspec.msgpack.Decoder(ToDaemon | Part)
_from_daemon: msgspec.msgpack.Decoder[FromDaemon | Part] = msgspec.msgpack.Decoder(
    FromDaemon | Part
)


def daemon_inbox() -> Inbox[ToDaemon]:
    """The daemon's end: bytes in, messages from an app out."""
    return Inbox[ToDaemon](_to_daemon)


def app_inbox() -> Inbox[FromDaemon]:
    """The app's end: bytes in, messages from the daemon out."""
    return Inbox[FromDaemon](_from_daemon)
