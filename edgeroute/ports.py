"""The seams: what the shell needs of the world, as protocols.

Adapters implement them, `daemon` injects them, fakes in the tests stand in for them.
"""

from asyncio import Future
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.audit import Departure
from edgeroute.domain.belief import BucketKey, Counts
from edgeroute.domain.energy import Metered
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Gpu, Memory, Telemetry
from edgeroute.domain.load import Budget, Footprint, LoadPlan, Pools, ThreadCounts
from edgeroute.domain.privacy import Label, Sensitivity
from edgeroute.domain.request import AnyRequest, Chunk, EmbeddingRequest, Request
from edgeroute.domain.target import Rates, Target
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.domain.verification import Expectation


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was read from a request.

    Attributes:
        vector: Figures that like texts share, `Reading.width` of them; `None` where there is
            no question. A text can be guessed from it: it stays in memory.
        expected: What the answer has to be, where that is known before; it holds text of the
            prompt, so it stays there too.
    """

    features: Features
    vector: NDArray[np.float64] | None
    expected: Expectation = field(default_factory=Expectation)


class Understanding(Protocol):
    """Request to `Features`: the last that sees the text."""

    def features(self, request: AnyRequest) -> Features:
        """Describe a request without its text. Never raises, whatever the text."""
        ...


class Reading(Understanding, Protocol):
    """Understanding that also keeps what a request can be compared with others by."""

    @property
    def width(self) -> int:
        """Length of `Look.vector`."""
        ...

    def look(self, request: AnyRequest) -> Look:
        """Describe a request, and keep what else its text is like. Never raises."""
        ...

    def expected(self, request: Request, task: Task) -> Expectation:
        """What an answer to a request of a task has to be. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """The state of one conversation, in anonymous memory that nobody can change any more.

    Attributes:
        key: Names the state; the same tokens of the same tenant have the same.
        tenant: Whose it is.
        tokens: Tokens that it holds.
        size: Bytes of the memory.
        memory: Descriptor of the memory; who is handed the state owns it, and closes it.
    """

    key: str
    tenant: str
    tokens: int
    size: Bytes
    memory: int


class Runner(Protocol):
    """One loaded model in one process.

    Attributes:
        plan: What it was loaded by.
        pid: The process.
        footprint: Measured after load, and what it may come to hold while it serves.
        pools: What its RAM consisted of then.
        load_s: Seconds that loading took.
        engine: Engine and version.
        exited: Done when the process is gone, with a sentence on how it ended.
        threads: What it computes with now.
        steps: Decode steps so far that brought text.
    """

    plan: LoadPlan
    pid: int
    footprint: Footprint
    pools: Pools
    load_s: float
    engine: str
    exited: "Future[str]"
    threads: ThreadCounts
    steps: int

    def untouched(self) -> Bytes:
        """RAM of its footprint that it does not hold yet, such as cells without tokens."""
        ...

    @property
    def answering(self) -> int:
        """Answers that have begun and not ended."""
        ...

    @property
    def unanswered(self) -> int:
        """Requests that have not brought their first token yet."""
        ...

    def generate(
        self, request: Request, expected_tokens: int, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a request; see `Chunk` for what says that it is over.

        Closing the generator cancels the answer, or all of them.

        Args:
            request: With the label that holds for it: what is `secret` is not kept.
            expected_tokens: Length that one such answer in ten exceeds.
            left_s: Seconds until its deadline, where it has one.

        Raises:
            ContextExceeded: Prompt and answer do not fit.
            InvalidRequest: The model cannot render or tokenise the conversation.
            Unsupported: It asks for what this model cannot do.
            WorkerDied: The process ended first.
        """
        ...

    def embed(
        self, request: EmbeddingRequest, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Turn texts into vectors, whose chunks hold no text; closing the generator cancels it.

        Raises:
            ContextExceeded: A text is longer than the model reads.
            Unsupported: The model makes no vectors, or none of so few dimensions.
            WorkerDied: The process ended first.
        """
        ...

    def use_threads(self, threads: ThreadCounts) -> None:
        """Compute with so many threads from the next step on."""
        ...

    def keep_conversations(self, keep: Callable[[SavedConversation], None]) -> None:
        """Hand over every conversation that it saves from now on. Called once, if at all."""
        ...

    def restore(self, conversation: SavedConversation) -> None:
        """Let it go on with a saved conversation; the descriptor stays the caller's."""
        ...

    def forget(self, key: str) -> None:
        """Tell it that a saved conversation is no longer counted: it must give it up too."""
        ...

    async def save(self, within_s: float) -> None:
        """Have every conversation that may be kept handed over; it answers nothing afterwards."""
        ...

    async def stop(self, grace_s: float) -> None:
        """End the process: politely, after `grace_s` by force. Returns when it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class ApprovedPayload:
    """What the egress gate let through, to the byte. Nobody but `runtime/egress` makes one.

    Attributes:
        target: Who may get it, and nobody else.
        body: JSON; exactly this is sent.
        label: How private it is.
        embeds: Vectors are asked for, not an answer.
    """

    target: ModelId
    body: bytes = field(repr=False)
    label: Label
    embeds: bool = False


class Scanner(Protocol):
    """Finds what is delicate in texts."""

    def __call__(self, texts: Sequence[str]) -> Sensitivity:
        """What the texts demand together. Never raises: what cannot be read is private."""
        ...


class Audit(Protocol):
    """Remembers for good what left this device."""

    async def write(self, departure: Departure, body: bytes) -> None:
        """Write down what is about to leave; returns once no crash can lose it.

        Args:
            departure: What is known of it.
            body: All of it, of which a keyed digest alone is kept.

        Raises:
            AuditUnavailable: It is not written down, and must not leave.
        """
        ...


class Provider(Protocol):
    """Answers without a lease: a server elsewhere, a program, a calculator.

    What it offers is a target like any other. It gets nothing but approved payloads.

    Attributes:
        name: The id of its only target, or what stands before the `/` of its targets' ids.
    """

    name: str

    def targets(self) -> Sequence[Target]:
        """What it offers, as the last successful probe found; before it, as configured."""
        ...

    async def probe(self) -> None:
        """See whether it is there, and what it offers.

        Raises:
            EdgeRouteError: It is not, or nothing of it may be used; says why.
        """
        ...

    def compose(self, target: ModelId, request: AnyRequest) -> Mapping[str, object]:
        """All that a target would be told of a request, as plain data."""
        ...

    def answer(self, payload: ApprovedPayload) -> AsyncGenerator[Chunk, None]:
        """Answer; see `Chunk` for what says that it is over. Closing the generator ends it.

        Raises:
            EdgeRouteError: It is silent, refuses or fails, before the first chunk or after it.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and processes."""
        ...


class Backend(Protocol):
    """Brings models into memory."""

    async def start(self, plan: LoadPlan, progress: Callable[[float], None]) -> Runner:
        """Load a model; cancelling kills the half-loaded process.

        Args:
            plan: What to load and how.
            progress: Called with the share loaded, 0..1, at most a few times per second.

        Raises:
            LoadFailed: With the engine's own reason.
        """
        ...


class MachineMemory(Protocol):
    """Knows what memory there is, and what models take of it."""

    @property
    def withheld(self) -> Bytes:
        """Bytes of RAM that are held back while others are taking memory."""
        ...

    def budget(self, held: Footprint, *, loading: bool) -> Budget:
        """What all models together may hold now, given what they hold and whether any loads."""
        ...

    def gpu_free(self) -> Sequence[int | None]:
        """Free bytes of each GPU; `None` where it cannot be read."""
        ...

    def footprint(self, pid: int) -> Footprint | None:
        """RAM of a process now, `None` where it cannot be read; takes milliseconds, in a thread."""
        ...

    def learn(self, plan: LoadPlan, footprint: Footprint) -> None:
        """Remember what a plan takes at most."""
        ...


class Sensors(Protocol):
    """Reads the machine. No method raises; what cannot be read is a `Gap`."""

    def telemetry(self) -> Telemetry:
        """How it is doing now; under 5 ms, no blocking calls."""
        ...

    def memory(self) -> Memory:
        """Its RAM now, a part of the telemetry that is looked at more often."""
        ...

    def gpus(self, *, ours: bool) -> Sequence[Gpu]:
        """Its GPUs now; those that could sleep rest, unless a model of ours is there or moves."""
        ...

    def footprint(self, pid: int) -> Footprint | None:
        """RAM of a process by `smaps_rollup` (Pss); `None` where it is gone or unreadable."""
        ...


class Meters(Protocol):
    """Joule counters of the machine. No method raises."""

    def read(self, *, gpu_in_use: bool = False) -> Sequence[Metered]:
        """What each that may be added up says now, the one with the processor in it first.

        Args:
            gpu_in_use: A model of ours computes on GPUs; else those that could sleep are not asked.
        """
        ...

    def edge(self) -> None:
        """Work begins or ends now."""
        ...


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A journalled decision, as bytes: `runtime/record` knows what they mean."""

    decided: bytes
    outcome: bytes | None


class Journal(Protocol):
    """What is remembered between runs. Writes are queued and never block."""

    def write_decision(self, request: RequestId, at: float, decided: bytes) -> None:
        """Remember a decision made at `at`, Unix seconds."""
        ...

    def write_outcome(self, request: RequestId, outcome: bytes) -> None:
        """Remember how a request ended."""
        ...

    async def read_decision(self, request: RequestId) -> DecisionRow | None:
        """A decision by its id, `None` where there is none."""
        ...

    def write_beliefs(self, rows: Sequence[tuple[BucketKey, Counts]]) -> None:
        """Remember what buckets of verdicts hold now."""
        ...

    def forget_beliefs(self, origins: Collection[str]) -> None:
        """Remember nothing any more of what these origins counted."""
        ...

    def write_verdict(self, request: RequestId, score: float) -> None:
        """Remember that an answer was judged."""
        ...

    async def read_verdict(self, request: RequestId) -> float | None:
        """The score that an answer was given, after every write asked for before."""
        ...

    def write_footprint(self, sha256: str, plan: str, where: str, learned: Footprint) -> None:
        """Remember what a model takes at most, by `LoadPlan.key`, and engine and device."""
        ...

    def write_consumption(self, key: str, fit: bytes) -> None:
        """Remember what queries on a model take."""
        ...

    def write_use(self, model: str, app: str, asked: float, ended: float) -> None:
        """Remember when a model was asked for, Unix seconds."""
        ...

    def write_rates(self, sha256: str, rates: Rates) -> None:
        """Remember how fast a model was."""
        ...

    def write_breaker(self, target: str, opened: int, until: float | None) -> None:
        """Remember how often a target's breaker opened, and its end, Unix seconds, if it is."""
        ...
