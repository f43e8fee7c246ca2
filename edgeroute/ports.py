"""The seams: what the shell needs of the world, as protocols.

Adapters implement them, `daemon.py` injects them, fakes in the tests stand in for them.
"""

from asyncio import Future
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from edgeroute.domain.features import Features
from edgeroute.domain.hardware import Hardware, Telemetry
from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.domain.request import Chunk, Request
from edgeroute.domain.target import Rates
from edgeroute.domain.units import RequestId


class Understanding(Protocol):
    """Request to `Features`: the last that sees the text."""

    def features(self, request: Request) -> Features:
        """Describe a request without its text. Never raises, whatever the text."""
        ...


class Runner(Protocol):
    """One loaded model in one process.

    Attributes:
        pid: The process.
        footprint: Measured after load.
        load_s: Seconds that loading took.
        engine: Engine and version.
        exited: Done when the process is gone, with a sentence on how it ended.
    """

    pid: int
    footprint: Footprint
    load_s: float
    engine: str
    exited: "Future[str]"

    def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer a request; the last chunk carries `finish` and `usage`.

        Closing the generator cancels the sequence.

        Raises:
            ContextExceeded: Prompt and answer do not fit.
            InvalidRequest: The model cannot render or tokenise the conversation.
            WorkerDied: The process ended first.
        """
        ...

    async def stop(self, grace_s: float) -> None:
        """End the process: politely, after `grace_s` by force. Returns when it is gone."""
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


class Sensors(Protocol):
    """Reads the machine. No method raises; what cannot be read is a `Gap`."""

    def hardware(self) -> Hardware:
        """What this machine is."""
        ...

    def telemetry(self) -> Telemetry:
        """How it is doing now; under 5 ms, no blocking calls."""
        ...

    def footprint(self, pid: int) -> Footprint | None:
        """RAM of a process by `smaps_rollup` (Pss); `None` where it is gone or unreadable."""
        ...


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A journalled decision, as bytes: `runtime/record` knows what they mean."""

    view: bytes
    outcome: bytes | None


class Journal(Protocol):
    """What is remembered between runs. Writes are queued and never block."""

    def write_decision(self, request: RequestId, at: float, view: bytes) -> None:
        """Remember a decision made at `at`, Unix seconds."""
        ...

    def write_outcome(self, request: RequestId, outcome: bytes) -> None:
        """Remember how a request ended."""
        ...

    async def read_decision(self, request: RequestId) -> DecisionRow | None:
        """A decision by its id, `None` where there is none."""
        ...

    def write_footprint(self, sha256: str, plan: str, engine: str, measured: Footprint) -> None:
        """Remember what a model took, by `LoadPlan.key` and engine version."""
        ...

    def write_rates(self, sha256: str, rates: Rates) -> None:
        """Remember how fast a model was."""
        ...
