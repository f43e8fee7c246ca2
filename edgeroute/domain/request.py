"""What an app asks for and what streams back.

Owns the request as every interface shares it; how bytes become one is `wire`'s.
"""

from dataclasses import dataclass, field
from typing import Literal

from edgeroute.domain.privacy import Label
from edgeroute.domain.units import Joules, RequestId, Usd

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length"]
Priority = Literal["interactive", "background"]
Overflow = Literal["refuse", "shift"]
"""What happens when an answer outgrows the context: it ends there with `length`, or the oldest
turns are dropped from memory and it goes on."""

AUTO = "auto"
"""The model name that asks for routing; `auto:<profile>` also names the profile."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `None` leaves the choice to the router or the model's default.

    Attributes:
        temperature: 0 is greedy.
        max_tokens: Upper bound on generated tokens; `None` is bounded by the context alone.
        stop: Strings that end the answer and are not part of it.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the caller will not go beyond; every one is a filter, none is traded for score."""

    deadline_s: float | None = None
    max_usd: Usd | None = None
    max_j: Joules | None = None
    on_device: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One question, independent of the protocol it came by.

    Attributes:
        model: `auto`, or a model id that must be used.
        profile: Profile asked for by this request; `None` leaves the daemon's.
        app: Who asks; unknown callers are `default`.
        priority: Somebody waits for the answer, or nobody does.
        ignored: Names of unknown fields; they were dropped and are told to the caller.
    """

    id: RequestId
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)
    label: Label = Label.PRIVATE
    profile: str | None = None
    app: str = "default"
    session: str | None = None
    stream: bool = False
    priority: Priority = "interactive"
    overflow: Overflow = "refuse"
    ignored: tuple[str, ...] = ()

    @property
    def pinned_model(self) -> str | None:
        """The model that was asked for by name, or `None` where the router may choose."""
        return None if self.model == AUTO else self.model


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and seconds counted by the worker, whose count decides.

    Attributes:
        cached_tokens: How many of the prompt's tokens were in memory already.
        prefill_s: From the first prompt token decoded to the first token drawn.
        decode_s: From the first token drawn to the last.
    """

    prompt_tokens: int
    completion_tokens: int
    prefill_s: float = 0.0
    decode_s: float = 0.0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer; the last one carries `finish` and `usage`."""

    text: str
    finish: FinishReason | None = None
    usage: Usage | None = None
