"""Who is warm, who waits and who goes: events in, instructions out.

Owns what follows from each event. Pure: time is an argument, what takes time is an instruction and
ends as an event. `registry` keeps states and bytes, `leases` who runs and who waits, `turn` decides
who comes and who goes for it, `idle` what is done when nobody wants anything.

What the shell owes: one worker per model at a time, so that all events of a worker up to its
`Exited` or `LoadFailed` come before the next `Start` of that model; `Reclaimed` may come at any
time later. Apart from that, events may be late, double, or about models that are gone. `Loaded`
should be followed by a `BudgetChanged`: one that was read during the load is too low.

A guess is a load that nobody waits for. It is made while nobody holds or wants anything, and
given up the moment that somebody waits for another load.
"""

from collections.abc import Iterable, Iterator, Sequence

from edgeroute.domain.errors import OutOfMemory
from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, Footprint, LoadPlan
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import LeaseId, ModelId, format_bytes
from edgeroute.residency.demand import Demand
from edgeroute.residency.idle import Idle
from edgeroute.residency.leases import Leases
from edgeroute.residency.messages import (
    BudgetChanged,
    ConditionsChanged,
    Deny,
    DenyCode,
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
from edgeroute.residency.placement import Placement
from edgeroute.residency.prewarm import Guesses
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.settings import Settings
from edgeroute.residency.status import ModelStatus, statuses
from edgeroute.residency.table import Cause, allows
from edgeroute.residency.turn import Turn

__all__ = ["ModelSpec", "ModelStatus", "PoolState", "Settings"]

_DEFAULTS = Settings()


class PoolState:
    """The models of one machine.

    Args:
        models: What may be asked for.
        budget: What all models together may hold.
        gpus: In the order of `budget.gpu`; only what they are matters, not how they do.
        settings: When to wait, refuse and try again.
        demand: What is known of past demand.
    """

    def __init__(
        self,
        models: Iterable[ModelSpec],
        budget: Budget,
        gpus: Sequence[Gpu] = (),
        settings: Settings = _DEFAULTS,
        demand: Demand | None = None,
    ) -> None:
        self._settings = settings
        self._models = Registry(models, budget, gpus)
        self._demand = demand or Demand()
        self._idle = Idle(self._models, self._demand, settings)
        self._leases = Leases()
        self._claimed: frozenset[ModelId] = frozenset()
        self._wake_at: float | None = None
        self._out: list[Instruction] = []

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take one event and say what is to be done.

        A lease is asked for:
        1. It is known: nothing, it was asked twice.
        2. The model is not known: deny.
        3. The model is warm and takes leases: grant, up to a bound.
        4. It failed a moment ago: deny, with the reason that everybody gets.
        5. Too many wait for it: deny, with the time after which fewer should.
        6. Else the lease waits.

        After any event, whoever waits for memory has a turn: see `Turn.serve`.

        Args:
            event: What happened.
            now: Seconds of a clock that never goes back.
        """
        self._out = []
        self._models.let_time_pass(now)
        if self._wake_at is not None and now >= self._wake_at:
            self._wake_at = None
        self._take(event, now)
        self._serve(now)
        for resident in self._idle.overdue(now):
            self._stop(resident, now)
        if not self._leases:
            self._guess(now)
        self._set_alarm(now)
        return self._out

    @property
    def budget(self) -> Budget:
        """What all models together may hold, as last told."""
        return self._models.budget

    @property
    def version(self) -> int:
        """Grows whenever a snapshot would differ in more than leases and times."""
        return self._models.version

    @property
    def held(self) -> Footprint:
        """What `room.budget` must count as ours: of live workers, and what ended ones owe.

        Workers that load are left out, as nobody knows how far they are. A budget that is read
        meanwhile is too low by what they have taken; see `Registry.in_doubt`.
        """
        return self._models.held

    @property
    def lost(self) -> Footprint:
        """What ended workers did not give back in time."""
        return self._models.ledger.lost

    @property
    def guesses(self) -> Guesses:
        """What came of loads that nobody waited for."""
        return self._idle.guesses

    def learned(self, plan: LoadPlan) -> Footprint | None:
        """What a load by this plan takes at most, as far as that was measured."""
        resident = self._models.get(plan.model)
        return None if resident is None else resident.measured.get(plan.key)

    def snapshot(self, now: float) -> tuple[ModelStatus, ...]:
        """How every model stands; see `statuses`."""
        return statuses(self._models, self._demand, now)

    def validate(self) -> None:
        """Check every invariant; for tests, after every event.

        Raises:
            AssertionError: With a sentence for each one that is broken.
        """
        broken = [*self._models.violations(), *self._violations()]
        if broken:
            raise AssertionError("; ".join(broken))

    def _take(self, event: Event, now: float) -> None:
        match event:
            case LeaseAsked():
                self._ask(event, now)
            case LeaseDropped(lease=lease):
                self._drop(lease, now)
            case Loaded() | Measured() | LoadFailed() | Exited() | Reclaimed():
                self._take_from_worker(event, now)
            case BudgetChanged(budget=budget):
                self._change_budget(budget, now)
            case ModelsChanged(specs=specs):
                self._change_models(specs, now)
            case ConditionsChanged():
                self._idle.change_conditions(event, now)
            case Tick():
                self._wake_at = None

    def _ask(self, event: LeaseAsked, now: float) -> None:
        lease, model = event.lease, event.model
        if lease in self._leases:  # 1
            return
        resident = self._models.get(model)
        if resident is None or resident.removed:  # 2
            self._out.append(Deny(lease, model, "unknown_model", f"no model is named {model!r}"))
            return
        self._demand.note_ask(model, event.app, now)
        self._idle.look_again(now)
        failure = resident.failure
        if self._takes_leases(resident):  # 3
            if len(resident.leases) >= self._most_leases(resident):
                message = f"{len(resident.leases)} requests run on {model}; no more may"
                self._deny(resident, [lease], "queue_full", message)
            else:
                self._grant(resident, [lease], now)
        elif failure is not None and failure.denies and resident.backs_off(now):  # 4
            self._deny(resident, [lease], failure.code, failure.message, failure.retry_at - now)
        elif len(resident.waiters) >= self._settings.queue_limit:  # 5
            message = f"{len(resident.waiters)} requests wait for {model}; no more may"
            wait_s = self._leases.expected_wait_s(resident, now)
            self._deny(resident, [lease], "queue_full", message, wait_s)
        else:  # 6
            self._leases.wait(resident, lease, now)

    def _drop(self, lease: LeaseId, now: float) -> None:
        resident = self._leases.drop(lease)
        if resident is not None:
            self._models.note_use(resident, now)
            self._demand.reuse.note_use(resident.id, now)
            self._stop_if_unwanted(resident, now)

    def _takes_leases(self, resident: Resident) -> bool:
        return (
            resident.state is Warmth.WARM
            and not resident.retiring
            and resident.id not in self._claimed
        )

    def _most_leases(self, resident: Resident) -> int:
        """Those that are answered at once, and a queue behind them in the worker."""
        return self._models.plans[resident.id].slots + self._settings.queue_limit

    def _grant(self, resident: Resident, leases: Iterable[LeaseId], now: float) -> None:
        for lease in leases:
            self._leases.run(resident, lease)
            self._out.append(Grant(lease, resident.id))
        if resident.guessed and resident.leases:
            resident.guessed = False
            self._idle.guesses.used += 1
        self._models.note_use(resident, now)

    def _deny(
        self,
        resident: Resident,
        leases: Iterable[LeaseId],
        code: DenyCode,
        message: str,
        retry_s: float | None = None,
    ) -> None:
        self._out += [Deny(lease, resident.id, code, message, retry_s) for lease in leases]

    def _take_from_worker(
        self, event: Loaded | Measured | LoadFailed | Exited | Reclaimed, now: float
    ) -> None:
        match event:
            case Loaded():
                self._take_loaded(event, now)
            case Measured(model=model, footprint=footprint):
                if self._models.measure(model, footprint):
                    self._shrink(now)
            case LoadFailed():
                self._take_failed_load(event, now)
            case Exited(model=model):
                self._take_exit(model, now)
            case Reclaimed(model=model):
                self._models.reclaim(model, now)

    def _take_loaded(self, event: Loaded, now: float) -> None:
        resident = self._models.get(event.model)
        if resident is None or not allows(resident.state, Cause.LOADED):
            return
        self._models.load(resident, event.footprint, event.load_s, now)
        self._grant(resident, self._leases.take_waiters(resident), now)
        self._shrink(now)  # it may hold more than was booked
        self._idle.look_again(now)

    def _take_failed_load(self, event: LoadFailed, now: float) -> None:
        resident = self._models.get(event.model)
        if resident is None or resident.state not in (Warmth.LOADING, Warmth.DRAINING):
            return
        # Who waits for it waits for a smaller one, if that is worth a try.
        smaller = event.code == OutOfMemory.code and self._models.shrink(resident)
        if resident.state is Warmth.LOADING and not smaller:
            failure = resident.note_failed_load(event.message, now, self._settings)
            waiters = self._leases.take_waiters(resident)
            self._deny(resident, waiters, failure.code, failure.message, failure.retry_at - now)
        self._lose_worker(resident, now)

    def _take_exit(self, model: ModelId, now: float) -> None:
        resident = self._models.get(model)
        if resident is None or not allows(resident.state, Cause.GONE):
            return
        resident.forgive(now, self._settings)
        if resident.state is not Warmth.DRAINING and not resident.retiring:
            failure = resident.note_death(now, self._settings)
            if failure.denies:
                waiters = self._leases.take_waiters(resident)
                self._deny(resident, waiters, failure.code, failure.message, failure.retry_at - now)
        self._lose_worker(resident, now)

    def _lose_worker(self, resident: Resident, now: float) -> None:
        self._leases.void(resident)
        self._idle.charge(resident, now)
        self._models.leave(resident, now + self._settings.reclaim_deadline_s)

    def _start(self, resident: Resident, placement: Placement, now: float) -> None:
        self._models.start(resident, placement, now)
        self._out.append(Start(placement.plan))

    def _stop(self, resident: Resident, now: float) -> None:
        self._idle.charge(resident, now)
        self._models.stop(resident)
        self._out.append(Stop(resident.id))

    def _stop_if_unwanted(self, resident: Resident, now: float) -> None:
        unwanted = resident.retiring or resident.id in self._claimed
        in_use = resident.state is Warmth.WARM and resident.leases
        if unwanted and not in_use and allows(resident.state, Cause.STOP):
            self._stop(resident, now)

    def _change_budget(self, budget: Budget, now: float) -> None:
        self._models.change_budget(budget)
        self._shrink(now)

    def _shrink(self, now: float) -> None:
        turn = Turn(self._models, self._demand, now, self._settings)
        turn.shrink()
        for resident in turn.stops:
            self._stop(resident, now)

    def _change_models(self, specs: Sequence[ModelSpec], now: float) -> None:
        kept = {spec.id for spec in specs}
        for resident in list(self._models):
            if resident.id not in kept:
                message = f"{resident.id} was removed"
                self._deny(resident, self._leases.take_waiters(resident), "unknown_model", message)
                self._models.remove(resident)
                self._demand.forget(resident.id)
                self._stop_if_unwanted(resident, now)
        for spec in specs:
            known = self._models.get(spec.id)
            if known is None:
                self._models.add(spec)
            else:
                self._models.replace(known, spec)
                self._stop_if_unwanted(known, now)

    def _serve(self, now: float) -> None:
        self._claimed = frozenset()
        if not self._leases.queue:
            return
        turn = Turn(self._models, self._demand, now, self._settings)
        turn.serve(self._leases.queue.values())
        for resident, too_large in turn.hopeless:
            pinned = self._models.pinned.ram
            also = f"; pinned models hold {format_bytes(pinned)}" if pinned else ""
            waiters = self._leases.take_waiters(resident)
            self._deny(resident, waiters, "too_large", too_large.message + also)
        for resident in turn.stops:
            if not resident.guessed:  # a guess that is given up was never any use to regret
                self._demand.note_eviction(resident.id, now)
            self._stop(resident, now)
        for resident, placement in turn.starts:
            self._demand.note_load(placement.footprint, now)
            self._start(resident, placement, now)
        self._claimed = turn.claimed
        for resident in list(self._leases.queue.values()):
            if self._takes_leases(resident):  # no longer claimed
                self._grant(resident, self._leases.take_waiters(resident), now)

    def _guess(self, now: float) -> None:
        guess = self._idle.guess(now)
        if guess is None:
            return
        for victim in guess.victims:
            self._stop(victim, now)
        if not guess.victims:
            self._start(guess.resident, guess.placement, now)
            guess.resident.guessed = True
            self._idle.guesses.loads += 1

    def _set_alarm(self, now: float) -> None:
        at = min((moment for moment in self._moments(now) if moment > now), default=None)
        if at is not None and (self._wake_at is None or at < self._wake_at):
            self._wake_at = at
            self._out.append(WakeAt(at))

    def _moments(self, now: float) -> Iterator[float]:
        """When time alone changes what is to be done; computed as it is compared."""
        yield from self._models.moments()
        storms = self._demand.storms(now)
        yield from self._leases.moments(self._settings, storms=storms)
        if self._leases.queue:
            residency_s = self._settings.min_residency_s
            for resident in self._models.used_since(now - residency_s):
                yield resident.warm_since + residency_s
        yield from self._idle.moments(anybody=bool(self._leases))

    def _violations(self) -> Iterator[str]:
        yield from self._leases.violations(list(self._models))
        for resident in self._models:
            if resident.waiters and self._takes_leases(resident):
                yield f"{resident.id} takes leases and has waiters"
