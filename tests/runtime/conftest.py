"""The shell over fakes: a loop with a virtual clock, in which a blocking call is a failure."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from edgeroute.domain.card import ModelCard, ModelShape
from edgeroute.domain.energy import RemoteEnergy
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Gpu, Memory, Telemetry
from edgeroute.domain.load import Budget, EchoBehaviour, Footprint, LoadPlan
from edgeroute.domain.policy import Policy
from edgeroute.domain.privacy import Label
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import AnyRequest, EmbeddingRequest, Limits, Message, Request
from edgeroute.domain.spending import SpendLimits, Today
from edgeroute.domain.target import Rates, Warmth
from edgeroute.domain.units import GIB, Bytes, ModelId, RequestId
from edgeroute.domain.verification import Checkable, Expectation
from edgeroute.ports import Audit, Look, Provider, Runner
from edgeroute.residency.cores import Cores
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.pool import ModelSpec, PoolState
from edgeroute.routing.affinity import PrefixAffinity
from edgeroute.routing.ledger import Ledger
from edgeroute.routing.quality import Quality
from edgeroute.runtime.asking import Means
from edgeroute.runtime.breakers import Breakers, Clocks
from edgeroute.runtime.consumption import Consumptions
from edgeroute.runtime.dispatch import Answer, Dispatcher, World
from edgeroute.runtime.egress import Egress, Gatekeepers
from edgeroute.runtime.governor import Governor
from edgeroute.runtime.judging import Judging
from edgeroute.runtime.labelling import Labelling
from edgeroute.runtime.learn import Learner
from edgeroute.runtime.metering import CpuSeconds, Metering
from edgeroute.runtime.places import Places
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.profiles import Profiles
from edgeroute.runtime.providers import Providers
from edgeroute.runtime.purse import Purse
from edgeroute.runtime.record import Record
from edgeroute.runtime.roster import LiveRoster
from edgeroute.runtime.second_tries import SecondTries
from edgeroute.runtime.settling import Settling
from edgeroute.runtime.telemetry import TelemetryFeed
from edgeroute.understanding.sensitivity import scan_texts
from tests.fakes import (
    FakeAudit,
    FakeBackend,
    FakeJournal,
    FakeMeters,
    FakeObserver,
    FakeSpendBook,
)

NONE = Bytes(0)
UNLIMITED = SpendLimits()
SHAPE = ModelShape(
    "echo", "echo", 0, NONE, 1, 0, 256, 8192, NONE, NONE, NONE, NONE, "none", True, False
)
AFAR = RemoteEnergy((10.0, 20.0, 50.0), (0.1, 0.2, 0.5), "a test")
RATES = Rates(load_s=1.0, prefill_tok_s=1000.0, decode_tok_s=50.0, watts=10.0)


@pytest.fixture(autouse=True)
def blocking_calls_fail() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as active:
        yield active


class FakeMemory:
    """A machine whose memory the test sets."""

    def __init__(self, ram: int) -> None:
        self.ram = ram
        self.gpu: list[int | None] = []
        self.withheld = Bytes(0)
        self.loading: list[bool] = []
        self.held: dict[int, Footprint] = {}
        self.learned: dict[str, Footprint] = {}
        self.told_held = Footprint()

    def budget(self, held: Footprint, *, loading: bool) -> Budget:
        self.loading.append(loading)
        assert held.ram >= 0
        self.told_held = held
        return Budget(Bytes(self.ram))

    def gpu_free(self) -> Sequence[int | None]:
        return self.gpu

    def footprint(self, pid: int) -> Footprint | None:
        return self.held.get(pid)

    def learn(self, plan: LoadPlan, footprint: Footprint) -> None:
        self.learned[plan.key] = footprint


class FakeSensors:
    """Says the same whenever it is asked."""

    def telemetry(self) -> Telemetry:
        return Telemetry(self.memory())

    def memory(self) -> Memory:
        return Memory(Bytes(8 * GIB), Bytes(8 * GIB))

    def gpus(self, *, ours: bool) -> Sequence[Gpu]:
        return ()

    def footprint(self, pid: int) -> Footprint | None:
        raise AssertionError(f"nobody asks for {pid}")


class FakeUnderstanding:
    """Every question is arithmetic, every password is a secret, and `check` asks for a `yes`."""

    width = 2

    def look(self, request: AnyRequest) -> Look:
        expected = Expectation(labels=("check yes",))
        return Look(self.features(request), np.array([1.0, 0.0]), expected)

    def expected(self, request: Request, task: Task) -> Expectation:
        is_checked = "check" in request.messages[-1].content.split()
        return Expectation(labels=("check yes",)) if is_checked else Expectation()

    def features(self, request: AnyRequest) -> Features:
        if isinstance(request, EmbeddingRequest):  # of which these models are capable all the same
            return Features(Task.UNKNOWN, 1.0, sum(map(len, request.inputs)), 0, 0, 0)
        words = request.messages[-1].content.split()
        label = Label.SECRET if "password" in words else Label.PUBLIC
        limit = request.sampling.max_tokens
        checkable = Checkable.FORMALLY if "check" in words and not request.stream else None
        return Features(
            Task.MATH, 1.0, len(words), 10, limit, 25,
            label=label, needs=request.needs, checkable=checkable,
        )  # fmt: skip


def card(name: str, behaviour: EchoBehaviour, quality: float) -> ModelCard:
    scores = dict.fromkeys(Task, quality)
    return ModelCard(ModelId(name), "", f"sha-{name}", SHAPE, scores=scores, echo=behaviour)


@dataclass
class Line:
    """A dispatcher with everything behind it."""

    dispatcher: Dispatcher
    pool: Pool
    backend: FakeBackend
    memory: FakeMemory
    journal: FakeJournal
    record: Record
    observer: FakeObserver
    roster: LiveRoster
    meters: FakeMeters
    providers: Providers
    settling: Settling
    judging: Judging
    purse: Purse
    book: FakeSpendBook
    telemetry: TelemetryFeed

    async def ask(self, prompt: str, model: str = "auto", limits: Limits | None = None) -> str:
        async with self.dispatcher.answer(asking(prompt, model, limits)) as answer:
            return await text_of(answer)


_ids = itertools.count(1)


def asking(prompt: str, model: str = "auto", limits: Limits | None = None) -> Request:
    """A question whose answer is streamed."""
    messages = (Message("user", prompt),)
    limits = limits or Limits()
    return Request(RequestId(f"r{next(_ids)}"), model, messages, limits=limits, stream=True)


async def text_of(answer: Answer) -> str:
    async with aclosing(answer.chunks) as chunks:
        return "".join([chunk.text async for chunk in chunks])


def remember_nothing(plan: LoadPlan, runner: Runner) -> None:
    assert plan.threads == runner.threads.many


def build_line(
    *models: ModelCard,
    ram: int = GIB,
    slots: int = 4,
    loaded: Callable[[LoadPlan, Runner], None] = remember_nothing,
    providers: Sequence[Provider] = (),
    limits: SpendLimits = UNLIMITED,
    audit: Audit | None = None,
) -> Line:
    """The shell around these models, best first in the plan by their quality."""
    loop = asyncio.get_running_loop()
    labelling = Labelling(Policy())
    options = PlanOptions(threads=1, context=64, slots=slots)
    specs = [ModelSpec(model, options, load_s=1.0) for model in models]
    backend, memory, journal = FakeBackend(), FakeMemory(ram), FakeJournal()
    book = FakeSpendBook()
    state = PoolState(specs, Budget(Bytes(ram)))
    governor = Governor(Cores(1, 1), lambda _pids: None, lambda: (), loop.time)
    pool = Pool(state, backend, memory, loop.time, loaded, governor)
    meters = FakeMeters(loop.time)
    metering = Metering(
        meters,
        lambda: CpuSeconds({runner.pid: loop.time() for runner in backend.started}, None),
        5.0,
        lambda: [model.model for model in pool.snapshot() if model.warmth is Warmth.WARM],
        loop.time,
    )
    breakers = Breakers(
        journal.breakers, journal.write_breaker, Clocks(loop.time, lambda: 1e9, lambda: 0.5)
    )
    keepers = Gatekeepers(scan_texts, audit or FakeAudit(), lambda: labelling.policy, lambda: 1e9)
    purse = Purse(Ledger(limits, {}), book, lambda: Today("2026-11-23", 3600.0))
    others = Providers(providers, Egress(keepers), breakers, purse, loop.time)
    consumptions = Consumptions({}, journal.write_consumption, "fake", lambda _: AFAR)
    roster = LiveRoster(pool, others, slots, lambda _card: RATES, consumptions, metering)
    roster.replace_cards(models, {})
    record, observer = Record(journal), FakeObserver()
    judging = Judging(Quality(FakeUnderstanding.width), journal, record, journal.write_beliefs)
    settling = Settling({})
    telemetry = TelemetryFeed(FakeSensors(), pool.measure, lambda: False)
    world = World(
        understanding=FakeUnderstanding(),
        labelling=labelling,
        affinity=PrefixAffinity(),
        settling=settling,
        judging=judging,
        profiles=Profiles({"balanced": Profile("balanced", "")}, "balanced", loop.time, loop.time),
        roster=roster,
        pool=pool,
        means=Means(Places(pool, others), roster, SecondTries(lambda: 0.5), loop.time),
        purse=purse,
        telemetry=telemetry,
        clock=loop.time,
        draw=lambda: 0.5,
    )
    learner = Learner(roster, judging, record, observer, lambda: 1.0)
    dispatcher = Dispatcher(world, learner)
    return Line(
        dispatcher,
        pool,
        backend,
        memory,
        journal,
        record,
        observer,
        roster,
        meters,
        others,
        settling,
        judging,
        purse,
        book,
        telemetry,
    )


@asynccontextmanager
async def probed(line: Line) -> AsyncIterator[Line]:
    """A line whose providers have been probed and are watched on; all of it ends with this."""
    watching = asyncio.create_task(line.providers.run())
    await asyncio.sleep(0.2)
    try:
        yield line
    finally:
        watching.cancel()
        await line.pool.close()
        await line.providers.close()


@pytest.fixture
async def two() -> AsyncIterator[Line]:
    """A good model and a fair one."""
    line = build_line(
        card("good", EchoBehaviour(load_s=1.0), 0.9), card("fair", EchoBehaviour(load_s=1.0), 0.7)
    )
    yield line
    await line.pool.close()
