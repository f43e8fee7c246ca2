"""What daemon and worker say to each other over their socketpair, as frames of `framing`."""

import msgspec

from edgeroute.domain.load import LoadPlan
from edgeroute.domain.request import (
    AnswerForm,
    FinishReason,
    Message,
    Overflow,
    Priority,
    Sampling,
    TokenLogprob,
    Toolbox,
    ToolCallPiece,
    Usage,
)
from edgeroute.wire.framing import Inbox, Part

# ---- daemon to worker -------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load this model; answered by `Progress`, then `Ready` or `LoadRefused`. Sent once, first."""

    plan: LoadPlan


class Generate(msgspec.Struct, frozen=True, tag="generate", omit_defaults=True):
    """Answer this conversation; `id` is unique over the worker's life.

    Several answers have ids of their own, the `choices` numbers from `id` on.

    Attributes:
        messages: Empty where there is a `prompt`.
        prompt: A text to go on with as it is.
        app: Who asks; apps get equal shares of the worker.
        tenant: App and label; prefixes are shared within a tenant alone.
        deadline_s: Seconds from now at which the answer is worth nothing; `None` is never.
        expected_tokens: Length that one such answer in ten exceeds; it stands for `max_tokens`
            where there is none.
        keep: The conversation may be kept in memory for its next turn. Never for `secret`.
    """

    id: int
    messages: tuple[Message, ...]
    sampling: Sampling
    app: str = "default"
    tenant: str = ""
    priority: Priority = "interactive"
    deadline_s: float | None = None
    expected_tokens: int = 256
    overflow: Overflow = "refuse"
    keep: bool = True
    prompt: str | None = None
    tools: Toolbox = Toolbox()
    form: AnswerForm = AnswerForm()
    choices: int = 1
    logprobs: int | None = None


class Embed(msgspec.Struct, frozen=True, tag="embed", omit_defaults=True):
    """Turn these texts into vectors; answered by `Embedded`, or as failed in a `Step`.

    Attributes:
        dimensions: Numbers of a vector; `None` is the model's own.
    """

    id: int
    inputs: tuple[str, ...]
    app: str = "default"
    priority: Priority = "interactive"
    deadline_s: float | None = None
    dimensions: int | None = None


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Drop this sequence, queued or running; not answered, unknown ids are harmless."""

    id: int


class Threads(msgspec.Struct, frozen=True, tag="threads"):
    """Compute with so many threads from now on; see `ThreadCounts`."""

    few: int
    many: int


class Save(msgspec.Struct, frozen=True, tag="save"):
    """Send the state of every conversation kept; answered by `Saved`. The worker ends after it."""


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """Give up a saved state, which the daemon has dropped; unknown keys are harmless."""

    key: str


ToWorker = Load | Generate | Embed | Cancel | Threads | Save | Forget

# ---- worker to daemon -------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Share of the model loaded, 0..1."""

    fraction: float


class Buffers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an engine has allocated, bytes, as its log tells it: in RAM, and of each GPU.

    Attributes:
        untouched: Of those in RAM, what the process does not hold yet: cells without tokens, and
            what only a full batch needs.
    """

    repacked: int = 0
    kv: int = 0
    compute: int = 0
    gpu: tuple[int, ...] = ()
    untouched: int = 0


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded and warmed up by one decode.

    Attributes:
        engine: Engine and version; what a measured footprint is valid for.
        context: Tokens per slot as the engine made it.
        load_s: Seconds that loading took.
    """

    engine: str
    context: int
    load_s: float
    buffers: Buffers = Buffers()


class LoadRefused(msgspec.Struct, frozen=True, tag="load_refused"):
    """Loading failed; the worker ends by itself."""

    code: str
    message: str


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """A sequence ended by itself."""

    id: int
    finish: FinishReason
    usage: Usage


class Failed(msgspec.Struct, frozen=True, array_like=True):
    """A sequence ended with an error; `code` is an `EdgeRouteError.code`."""

    id: int
    code: str
    message: str


class Step(msgspec.Struct, frozen=True, tag="step", omit_defaults=True):
    """All that one decode step brought: text per sequence, then the sequences that ended.

    Attributes:
        logprobs: Of drawn tokens, where they were asked for.
        calls: Pieces of calls; text that came with them stands before.
        worked: Seconds that the worker has computed since the last frame, and for whom: what many
            had of one batch, by their rows.
    """

    pieces: list[tuple[int, str]]
    finished: list[Finished] = []
    failed: list[Failed] = []
    logprobs: list[tuple[int, TokenLogprob]] = []
    calls: list[tuple[int, ToolCallPiece]] = []
    worked: list[tuple[int, float]] = []


class Embedded(msgspec.Struct, frozen=True, tag="embedded", omit_defaults=True):
    """The next vectors of a request, in the order of its inputs.

    Attributes:
        vectors: float32, little endian.
        usage: With the last ones.
        worked_s: Seconds that the worker has computed for it since its last frame.
    """

    id: int
    vectors: tuple[bytes, ...]
    usage: Usage | None = None
    worked_s: float = 0.0


class Saved(msgspec.Struct, frozen=True, tag="saved"):
    """Every state was sent; the answer to `Save`."""


FromWorker = Progress | Ready | LoadRefused | Step | Embedded | Saved

# ---- states of conversations, both ways ---------------------------------------------------------


class SavedState(msgspec.Struct, frozen=True):
    """A conversation's state: one datagram on a socket of its own, with one file descriptor.

    The descriptor is sealed anonymous memory (memfd): `tokens` int32 token ids in the machine's
    byte order, then `size` bytes of llama.cpp's sequence state. It never touches a disk, and is
    valid for this model, engine version and `LoadPlan.kv_type` alone.

    Attributes:
        key: Hex digest of tenant and tokens; verifies, never finds.
    """

    key: str
    tenant: str
    tokens: int
    size: int


# ---- bytes ------------------------------------------------------------------------------------

_to_worker: msgspec.msgpack.Decoder[ToWorker | Part] = msgspec.msgpack.Decoder(ToWorker | Part)
_from_worker: msgspec.msgpack.Decoder[FromWorker | Part] = msgspec.msgpack.Decoder(
    FromWorker | Part
)


def worker_inbox() -> Inbox[ToWorker]:
    """The worker's end: bytes in, messages from the daemon out."""
    return Inbox[ToWorker](_to_worker)


def daemon_inbox() -> Inbox[FromWorker]:
    """The daemon's end: bytes in, messages from a worker out."""
    return Inbox[FromWorker](_from_worker)
