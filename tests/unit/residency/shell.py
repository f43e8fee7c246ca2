"""A shell that carries out what the pool wants when it is told to, and watches that it may."""

import itertools
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, EchoBehaviour, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import MIB, Bytes, LeaseId, ModelId
from edgeroute.residency.messages import (
    BudgetChanged,
    ConditionsChanged,
    Deny,
    Event,
    Exited,
    Grant,
    Instruction,
    LeaseAsked,
    LeaseDropped,
    Loaded,
    LoadFailed,
    Measured,
    ModelsChanged,
    ModelSpec,
    Reclaimed,
    Start,
    Stop,
    Tick,
    WakeAt,
)
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.pool import PoolState
from edgeroute.residency.settings import Settings
from edgeroute.residency.status import ModelStatus
from tests.unit.residency.drawn import SMOLLM2, card, mib

OPTIONS = PlanOptions(threads=2)
PLAN_KEY = "c4096.s4.b512.f16.g0.m0.t"
"""Key of the plan that these options make where there is room and no GPU."""


def spec(
    name: str, size: int = 100, *, file: int = 0, load_s: float = 1.0, pinned: bool = False
) -> ModelSpec:
    """An echo model of `size` MiB, `file` of which are file-backed, as measured."""
    echo = EchoBehaviour(anon=mib(size - 30))
    measured = {PLAN_KEY: Footprint(mib(file), mib(size - file))}
    return ModelSpec(card(SMOLLM2, name, echo=echo, pinned=pinned), OPTIONS, load_s, measured)


class Shell:
    """Tells events and keeps its own books of what was asked for and what is running.

    Attributes:
        now: The clock; moved by the test.
        starting: Workers that were started and are not ready.
        ready: Workers that are.
        stopping: Workers that were told to end and have not.
        owing: Models whose worker is gone and whose bytes were not reported back.
        outdated: Workers that match no present spec.
        guesses: Workers that were started for nobody and have served nobody.
        on_ac: Whether guesses are welcome.
        waiting: Leases that were asked for and not answered.
        granted: Leases that were granted and not dropped, with their model.
        denied: What leases were denied with.
        wake_at: When the next `Tick` is due.
        log: Every instruction.
    """

    def __init__(
        self,
        *specs: ModelSpec,
        budget: int = 1000,
        vram: tuple[int, ...] = (),
        gpus: tuple[Gpu, ...] = (),
        settings: Settings | None = None,
    ) -> None:
        self.specs = {each.id: each for each in specs}
        self.budget = Budget(mib(budget), tuple(map(mib, vram)))
        self.state = PoolState(specs, self.budget, gpus, settings or Settings())
        self.now = 100.0
        self.starting: set[ModelId] = set()
        self.ready: set[ModelId] = set()
        self.stopping: set[ModelId] = set()
        self.owing: Counter[ModelId] = Counter()
        self.started_as: dict[ModelId, ModelSpec] = {}
        self.outdated: set[ModelId] = set()
        self.guesses: set[ModelId] = set()
        self.on_ac = False
        self.waiting: dict[LeaseId, ModelId] = {}
        self.granted: dict[LeaseId, ModelId] = {}
        self.denied: dict[LeaseId, Deny] = {}
        self.wake_at: float | None = None
        self.log: list[Instruction] = []
        self._leases = itertools.count(1)

    # ---- what happens ---------------------------------------------------------------------------

    def tell(self, event: Event) -> list[Instruction]:
        instructions = self.state.handle(event, self.now)
        self.state.validate()
        for instruction in instructions:
            self._apply(instruction)
        self.log += instructions
        return instructions

    def ask(self, model: str, app: str = "") -> LeaseId:
        lease = LeaseId(next(self._leases))
        self.waiting[lease] = ModelId(model)
        self.tell(LeaseAsked(lease, ModelId(model), app))
        return lease

    def drop(self, lease: LeaseId) -> list[Instruction]:
        self.waiting.pop(lease, None)
        self.granted.pop(lease, None)
        return self.tell(LeaseDropped(lease))

    def load(self, model: str, footprint: Footprint | None = None, load_s: float = 1.0) -> None:
        """A worker becomes ready, by default with what was booked."""
        name = ModelId(model)
        self.starting.remove(name)
        self.ready.add(name)
        booked = self.state._models.ledger.live(name)
        self.tell(Loaded(name, footprint or booked, load_s))

    def fail(self, model: str, reason: str = "truncated", code: str = "load_failed") -> None:
        name = ModelId(model)
        self._worker_is_gone(name)
        self.tell(LoadFailed(name, code, reason))

    def measure(self, model: str, file: int, anon: int) -> None:
        """A worker was measured again, in MiB."""
        self.tell(Measured(ModelId(model), Footprint(mib(file), mib(anon))))

    def exit(self, model: str) -> None:
        """A worker's process is gone, asked to or not; its requests fail with it."""
        name = ModelId(model)
        self._worker_is_gone(name)
        self.granted = {k: v for k, v in self.granted.items() if v != name}
        self.tell(Exited(name))

    def reclaim(self, model: str) -> None:
        name = ModelId(model)
        self.owing[name] -= 1
        self.tell(Reclaimed(name))

    def end(self, model: str) -> None:
        """A worker that was told to end does so and gives all back."""
        assert ModelId(model) in self.stopping
        self.exit(model)
        self.reclaim(model)

    def wait(self, seconds: float) -> list[Instruction]:
        """Time passes; the alarm rings where it is due."""
        self.now += seconds
        return self.tell(Tick()) if self._is_due() else []

    def change_budget(self, ram: int, *vram: int) -> list[Instruction]:
        self.budget = Budget(mib(ram), tuple(map(mib, vram)))
        return self.tell(BudgetChanged(self.budget))

    def change_conditions(
        self,
        *,
        on_ac: bool = False,
        idle_release_s: float | None = None,
        midnight: float = 0.0,
        served: Mapping[ModelId, float] = MappingProxyType({}),
    ) -> list[Instruction]:
        self.on_ac = on_ac
        return self.tell(ConditionsChanged(on_ac, idle_release_s, midnight, served=served))

    def change_models(self, *specs: ModelSpec) -> list[Instruction]:
        new = {each.id: each for each in specs}
        for model in self.starting | self.ready:
            if model not in new or new[model].identity != self.started_as[model].identity:
                self.outdated.add(model)
        self.specs = new
        return self.tell(ModelsChanged(specs))

    # ---- short ways -----------------------------------------------------------------------------

    def warm(self, *models: str) -> None:
        """Models become warm, one after the other, and idle."""
        for model in models:
            lease = self.ask(model)
            self.load(model)
            self.drop(lease)

    def hold(self, model: str) -> LeaseId:
        """A lease on a warm model."""
        lease = self.ask(model)
        assert lease in self.granted
        return lease

    def __getitem__(self, model: str) -> ModelStatus:
        return next(each for each in self.state.snapshot(self.now) if each.model == model)

    def warmth(self, model: str) -> Warmth:
        return self[model].warmth

    @property
    def booked(self) -> Footprint:
        return self.state._models.ledger.total

    def count(self, kind: type) -> int:
        return sum(isinstance(each, kind) for each in self.log)

    # ---- what is allowed ------------------------------------------------------------------------

    def _apply(self, instruction: Instruction) -> None:
        match instruction:
            case Start(plan=plan):
                model = plan.model
                assert model not in self.starting | self.ready | self.stopping, "two workers"
                self.starting.add(model)
                if model not in self.waiting.values():
                    assert not self.waiting, "a guess while somebody waits"
                    assert not self.granted, "a guess while somebody is served"
                    assert self.on_ac, "a guess on battery"
                    self.guesses.add(model)
                self.started_as[model] = self.specs[model]
                assert self.booked.ram <= self.budget.ram, "started into memory that is not there"
                for held, room in zip(self.booked.gpu, self.budget.gpu, strict=False):
                    assert held <= room, "started into GPU memory that is not there"
            case Stop(model=model):
                assert model in self.starting | self.ready, "stopped what does not run"
                assert model not in self.granted.values(), "a leased model was stopped"
                wanted = model in self.waiting.values()
                if model not in self.outdated:
                    assert not (model in self.starting and wanted), "a promised model was stopped"
                    if model not in self.guesses:
                        assert model in self.ready, "a loading model was stopped"
                        assert not self.specs[model].card.pinned, "a pinned model was evicted"
                self.guesses.discard(model)
                self.starting.discard(model)
                self.ready.discard(model)
                self.stopping.add(model)
            case Grant(lease=lease, model=model):
                assert self.waiting.pop(lease) == model, "not asked for, or answered twice"
                assert model in self.ready, "granted before it was ready"
                assert model not in self.outdated, "granted on a worker of an older spec"
                self.granted[lease] = model
                self.guesses.discard(model)
            case Deny(lease=lease, model=model):
                assert self.waiting.pop(lease) == model, "not asked for, or answered twice"
                assert instruction.retry_after_s is None or instruction.retry_after_s >= 0
                self.denied[lease] = instruction
            case WakeAt(at=at):
                assert at > self.now, "an alarm in the past rings for ever"
                self.wake_at = at

    def _is_due(self) -> bool:
        if self.wake_at is None or self.now < self.wake_at:
            return False
        self.wake_at = None
        return True

    def _worker_is_gone(self, model: ModelId) -> None:
        assert model in self.starting | self.ready | self.stopping
        for running in (self.starting, self.ready, self.stopping, self.outdated, self.guesses):
            running.discard(model)
        self.owing[model] += 1


def size(footprint: Footprint) -> tuple[int, int]:
    """MiB of files and anonymous."""
    return footprint.file // MIB, Bytes(footprint.anon) // MIB
