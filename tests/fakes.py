"""Stand-ins for the ports, held to the same contract as the real ones (see `tests/contract`)."""

import asyncio
import itertools
import struct
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import replace

from edgeroute.domain.audit import Departure
from edgeroute.domain.belief import BucketKey, Counts
from edgeroute.domain.energy import Metered
from edgeroute.domain.errors import (
    ContextExceeded,
    EdgeRouteError,
    LoadFailed,
    OutOfMemory,
    WorkerDied,
)
from edgeroute.domain.load import EchoBehaviour, Footprint, LoadPlan, Pools, ThreadCounts
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.request import (
    AnyRequest,
    Chunk,
    EmbeddingRequest,
    FinishReason,
    Request,
    Usage,
)
from edgeroute.domain.target import Rates, Target
from edgeroute.domain.units import MIB, Bytes, Joules, ModelId, RequestId
from edgeroute.ports import ApprovedPayload, DecisionRow, SavedConversation

_pids = itertools.count(1_000_000)


class FakeRunner:
    """Echoes like the echo engine, in this process.

    Attributes:
        asked: What every request came with.
        told_threads: Every change of threads.
        restored: Keys of the conversations that it was given.
        forgotten: Keys that it was told to forget.
        to_save: Conversations that it hands over when it is asked to.
        cached_tokens: Of every prompt, as many were in memory already.
        not_touched: What it says that it does not hold yet.
    """

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.pid = next(_pids)
        self.behaviour = plan.echo or EchoBehaviour()
        self.footprint = Footprint(anon=Bytes(30 * MIB + self.behaviour.anon))
        self.pools = Pools(process=self.footprint.anon)
        self.not_touched = Bytes(0)
        self.load_s = self.behaviour.load_s
        self.engine = "fake"
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.running = 0
        """Sequences that hold a slot."""
        self.threads = ThreadCounts(plan.threads, plan.threads)
        self.answering = self.unanswered = self.steps = 0
        self.asked: list[tuple[Request, int, float | None]] = []
        self.told_threads: list[ThreadCounts] = []
        self.restored: list[str] = []
        self.forgotten: list[str] = []
        self.to_save: list[SavedConversation] = []
        self.saves_for_s = 0.0
        self.cached_tokens = 0
        self._keep: Callable[[SavedConversation], None] | None = None

    def untouched(self) -> Bytes:
        """See `ports.Runner`."""
        return self.not_touched

    async def generate(
        self, request: Request, expected_tokens: int, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """See `ports.Runner`."""
        self.asked.append((request, expected_tokens, left_s))
        words = request.messages[-1].content.split()
        if len(words) >= self.plan.context:
            raise ContextExceeded(f"{len(words)} tokens, the context holds {self.plan.context}")
        limit = request.sampling.max_tokens or len(words)
        self.running += 1
        try:
            for number, word in enumerate(words[:limit]):
                if number == self.behaviour.die_at_token:
                    self.die()
                if self.exited.done():
                    raise WorkerDied(f"the worker {self.exited.result()}")
                if self.behaviour.tok_s:
                    await asyncio.sleep(1 / self.behaviour.tok_s)
                self.steps += 1
                worked_s = 1 / self.behaviour.tok_s if self.behaviour.tok_s else 0.0
                yield Chunk(word if number == 0 else f" {word}", worked_s=worked_s)
            finish: FinishReason = "length" if limit < len(words) else "stop"
            answered = min(limit, len(words))
            usage = Usage(len(words), answered, 0.1, 0.1, self.cached_tokens)
            yield Chunk("", finish, usage)
        finally:
            self.running -= 1

    async def embed(
        self, request: EmbeddingRequest, left_s: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Vectors of one number: how many characters a text has; see `ports.Runner`."""
        assert left_s is None or left_s > 0
        for text in request.inputs:
            yield Chunk("", embeddings=(struct.pack("<f", len(text)),))
        yield Chunk("", "stop", Usage(sum(map(len, request.inputs)), 0))

    def use_threads(self, threads: ThreadCounts) -> None:
        """See `ports.Runner`."""
        self.threads = threads
        self.told_threads.append(threads)

    def keep_conversations(self, keep: Callable[[SavedConversation], None]) -> None:
        """See `ports.Runner`."""
        self._keep = keep

    def restore(self, conversation: SavedConversation) -> None:
        """See `ports.Runner`."""
        self.restored.append(conversation.key)

    def forget(self, key: str) -> None:
        """See `ports.Runner`."""
        self.forgotten.append(key)

    def hand_over(self, conversation: SavedConversation) -> None:
        """Save a conversation, as a worker does that is idle."""
        assert self._keep is not None
        self._keep(conversation)

    async def save(self, within_s: float) -> None:
        """See `ports.Runner`."""
        await asyncio.sleep(min(within_s, self.saves_for_s))
        while self.to_save and self.saves_for_s <= within_s:
            self.hand_over(self.to_save.pop())

    def die(self) -> None:
        """End as a killed process would."""
        if not self.exited.done():
            self.exited.set_result("was ended by SIGKILL")

    async def stop(self, grace_s: float) -> None:
        """See `ports.Runner`."""
        assert grace_s >= 0
        if not self.exited.done():
            self.exited.set_result("exited with 0")


class FakeBackend:
    """Starts fake runners and remembers them.

    Attributes:
        started: Every runner, in order.
        most_slots: Memory runs out for plans with more.
    """

    def __init__(self) -> None:
        self.most_slots = 64
        self.started: list[FakeRunner] = []

    async def start(self, plan: LoadPlan, progress: Callable[[float], None]) -> FakeRunner:
        """See `ports.Backend`."""
        behaviour = plan.echo or EchoBehaviour()
        await asyncio.sleep(behaviour.load_s)
        progress(1.0)
        if behaviour.fail_load:
            raise LoadFailed(f"{plan.model}: {behaviour.fail_load}")
        if plan.slots > self.most_slots:
            raise OutOfMemory(f"{plan.model}: no memory for {plan.slots} slots")
        self.started.append(FakeRunner(plan))
        return self.started[-1]


class FakeAudit:
    """Keeps what would be written; fails while `fails` is set."""

    def __init__(self) -> None:
        self.written: list[tuple[Departure, bytes]] = []
        self.fails: EdgeRouteError | None = None

    async def write(self, departure: Departure, body: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.written.append((departure, body))


class FakeProvider:
    """A server elsewhere that is a recording sink.

    Attributes:
        sent: Every payload that reached it.
        requests: Every request that a payload was made of.
        probes: How often it was probed.
        down: What a probe or a question fails with, where it is set.
        fails: What a question fails with, before its first word.
        breaks: What an answer fails with after its first word.
        counts: Tokens of every answer; as many as were asked for at most.
        takes_s: Seconds until its first word, or until it fails.
    """

    def __init__(self, *targets: Target, name: str = "box") -> None:
        self.name = name
        self.sent: list[ApprovedPayload] = []
        self.requests: list[AnyRequest] = []
        self.probes = 0
        self.down: EdgeRouteError | None = None
        self.fails: EdgeRouteError | None = None
        self.breaks: EdgeRouteError | None = None
        self.takes_s = 0.5
        self.counts = Usage(1000, 2000, decode_s=1.0)
        self.closed = False
        self._targets = targets

    def targets(self) -> Sequence[Target]:
        """See `ports.Provider`."""
        return self._targets

    async def probe(self) -> None:
        """See `ports.Provider`."""
        self.probes += 1
        await asyncio.sleep(0.1)
        if self.down is not None:
            raise self.down

    def compose(self, target: ModelId, request: AnyRequest) -> Mapping[str, object]:
        """See `ports.Provider`."""
        self.requests.append(request)
        return {"model": target, "texts": list(request.texts)}

    async def answer(self, payload: ApprovedPayload) -> AsyncGenerator[Chunk, None]:
        """See `ports.Provider`."""
        self.sent.append(payload)
        await asyncio.sleep(self.takes_s)
        failure = self.down or self.fails
        if failure is not None:
            raise failure
        yield Chunk("from ")
        if self.breaks is not None:
            raise self.breaks
        yield Chunk("afar")
        yield Chunk("", "stop", self._counted())

    async def close(self) -> None:
        """See `ports.Provider`."""
        self.closed = True

    def _counted(self) -> Usage:
        asked = self.requests[-1]
        most = asked.sampling.max_tokens if isinstance(asked, Request) else None
        made = self.counts.completion_tokens
        return replace(self.counts, completion_tokens=min(made, most or made))


class FakeJournal:
    """Remembers in a dict (see `ports.Journal`)."""

    def __init__(self) -> None:
        self.decisions: dict[RequestId, bytes] = {}
        self.outcomes: dict[RequestId, bytes] = {}
        self.footprints: dict[tuple[str, str], Footprint] = {}
        self.consumption: dict[str, bytes] = {}
        self.uses: list[tuple[str, str]] = []
        self.beliefs: dict[BucketKey, Counts] = {}
        self.verdicts: dict[RequestId, float] = {}
        self.breakers: dict[str, tuple[int, float | None]] = {}

    def write_breaker(self, target: str, opened: int, until: float | None) -> None:
        self.breakers[target] = (opened, until)

    def write_beliefs(self, rows: Sequence[tuple[BucketKey, Counts]]) -> None:
        self.beliefs.update(rows)

    def forget_beliefs(self, origins: Collection[str]) -> None:
        for key in [key for key in self.beliefs if key.origin in origins]:
            del self.beliefs[key]

    def write_verdict(self, request: RequestId, score: float) -> None:
        self.verdicts.setdefault(request, score)

    async def read_verdict(self, request: RequestId) -> float | None:
        return self.verdicts.get(request)

    def write_decision(self, request: RequestId, at: float, decided: bytes) -> None:
        assert at >= 0
        self.decisions[request] = decided

    def write_outcome(self, request: RequestId, outcome: bytes) -> None:
        if request in self.decisions:
            self.outcomes[request] = outcome

    async def read_decision(self, request: RequestId) -> DecisionRow | None:
        decided = self.decisions.get(request)
        return None if decided is None else DecisionRow(decided, self.outcomes.get(request))

    def write_footprint(self, sha256: str, plan: str, where: str, learned: Footprint) -> None:
        assert where
        assert learned.ram
        self.footprints[sha256, plan] = learned

    def write_consumption(self, key: str, fit: bytes) -> None:
        self.consumption[key] = fit

    def write_use(self, model: str, app: str, asked: float, ended: float) -> None:
        assert asked <= ended
        self.uses.append((model, app))

    def write_rates(self, sha256: str, rates: Rates) -> None:
        assert sha256
        assert rates.measured


class FakeSpendBook:
    """Remembers in dicts (see `runtime.purse.SpendBook`).

    Attributes:
        fails: What holding fails with, where it is set.
    """

    def __init__(self) -> None:
        self.holds: dict[int, int] = {}
        self.spent: dict[tuple[str, str], int] = {}
        self.fails: OSError | None = None

    async def hold(self, number: int, day: str, app: str, amount: int) -> None:
        """See `runtime.purse.SpendBook`."""
        assert day
        assert app
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.holds[number] = amount

    def settle(self, number: int, day: str, app: str, amount: int) -> None:
        """See `runtime.purse.SpendBook`."""
        self.holds.pop(number, None)
        self.spent[day, app] = self.spent.get((day, app), 0) + amount

    def close(self) -> None:
        """See `runtime.purse.SpendBook`."""
        assert not self.holds


class FakeObserver:
    """Counts outcomes (see `runtime.learn.Observer`)."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def decided(self, view: object, decision: object) -> None:
        assert view is not None
        assert decision is not None

    def ended(self, view: object, outcome: Outcome) -> None:
        assert view is not None
        self.outcomes.append(outcome)


class FakeMeters:
    """A board that takes 2 W, and 10 W more while `busy`.

    Attributes:
        silent: The meter has nothing to say.
        edges: How often work was said to begin or end.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.busy = self.silent = False
        self.edges = 0
        self._clock = clock
        self._last = clock()
        self._joules = 0.0

    def read(self, *, gpu_in_use: bool = False) -> list[Metered]:
        """See `ports.Meters`."""
        assert not gpu_in_use
        now = self._clock()
        self._joules += (now - self._last) * (12.0 if self.busy else 2.0)
        self._last = now
        joules = None if self.silent else Joules(self._joules)
        return [Metered("board", "board", "counter", joules)]

    def edge(self) -> None:
        """See `ports.Meters`."""
        self.edges += 1
