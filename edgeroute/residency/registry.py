"""Every model's state together with its bytes: one never changes without the other.

Owns the transitions as they happen and what the books say of them. Decides nothing: who starts
and who goes is the pool's.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, Footprint, LoadPlan
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import MIB, Bytes, ModelId
from edgeroute.residency.footprint import book, learned, predict, too_much
from edgeroute.residency.ledger import Ledger
from edgeroute.residency.messages import ModelSpec
from edgeroute.residency.placement import Placement, TooLarge, place
from edgeroute.residency.resident import Resident
from edgeroute.residency.room import at_least, less, more, total
from edgeroute.residency.table import Cause, after

_NOTABLE = 2 * MIB
"""Growth of which the roster is told; a serving process grows by some kilobytes all the time."""


class Registry:
    """The models of a machine, by id and by state.

    Args:
        specs: The models.
        budget: What all of them together may hold.
        gpus: In the order of `budget.gpu`.

    Attributes:
        budget: As last told.
        in_doubt: The most by which it may be too low. Read while workers were loading, it lacks
            what they had taken by then, as `held` leaves them out: at most their anonymous and
            GPU bytes. So it stays until the next reading, whatever became of the loads.
        ledger: Bytes booked; written here alone.
        plans: How each live worker was started.
        version: Grows with every change that a roster would show.
    """

    def __init__(self, specs: Iterable[ModelSpec], budget: Budget, gpus: Sequence[Gpu]) -> None:
        self.budget = budget
        self.in_doubt = Footprint()
        self.ledger = Ledger()
        self.plans: dict[ModelId, LoadPlan] = {}
        self.version = 0
        self._gpus = gpus
        self._residents: dict[ModelId, Resident] = {}
        self._pinned: set[ModelId] = set()
        self._in: dict[Warmth, dict[ModelId, Resident]] = {state: {} for state in Warmth}
        for spec in specs:
            self.add(spec)

    def __iter__(self) -> Iterator[Resident]:
        return iter(self._residents.values())

    def get(self, model: ModelId) -> Resident | None:
        """A model, even if it was removed and only its worker or its bytes are left."""
        return self._residents.get(model)

    def __getitem__(self, model: ModelId) -> Resident:
        return self._residents[model]

    def of(self, *states: Warmth) -> list[Resident]:
        """Models in these states."""
        return [resident for state in states for resident in self._in[state].values()]

    def in_order_of_use(self) -> Iterator[Resident]:
        """Warm models, the one that was used last coming last."""
        return iter(self._in[Warmth.WARM].values())

    def used_since(self, at: float) -> Iterator[Resident]:
        """Warm models that were used or became warm at `at` or later, the last one first."""
        warm = reversed(self._in[Warmth.WARM].values())
        return takewhile(lambda resident: resident.last_used >= at, warm)

    def note_use(self, resident: Resident, now: float) -> None:
        """A lease on a warm model begins or ends."""
        resident.last_used = now
        warm = self._in[Warmth.WARM]
        warm[resident.id] = warm.pop(resident.id)

    # ---- bytes --------------------------------------------------------------------------------

    def change_budget(self, budget: Budget) -> None:
        """All models together may hold more or less than before."""
        loading = (self.ledger.live(resident.id) for resident in self.of(Warmth.LOADING))
        self.in_doubt = total(replace(footprint, file=Bytes(0)) for footprint in loading)
        if budget != self.budget:
            self.budget = budget
            self.version += 1

    @property
    def free(self) -> Budget:
        """What is not booked; below zero where the budget has shrunk."""
        return less(self.budget, self.ledger.total)

    @property
    def coming(self) -> Footprint:
        """What comes back without anything further being done."""
        draining = (self.ledger.live(resident.id) for resident in self.of(Warmth.DRAINING))
        return total((*draining, self.ledger.owed))

    @property
    def held(self) -> Footprint:
        """What workers hold and what ended ones have not given back; loading ones left out."""
        ready = (self.ledger.live(r.id) for r in self.of(Warmth.WARM, Warmth.DRAINING))
        return total((*ready, self.ledger.owed, self.ledger.lost))

    @property
    def obtainable(self) -> Budget:
        """What one model could get if every other that may go had gone.

        Includes what is in doubt, so that nobody is told in the middle of a load that a model
        will never fit.
        """
        return less(more(self.budget, self.in_doubt), total((self.pinned, self.ledger.lost)))

    @property
    def pinned(self) -> Footprint:
        """What is held by models that are never evicted."""
        pinned = (self._residents[model] for model in self._pinned)
        loaded = (r for r in pinned if r.state in (Warmth.LOADING, Warmth.WARM))
        return total(self.ledger.live(r.id) for r in loaded if not r.retiring)

    def place(self, resident: Resident, obtainable: Budget) -> Placement | TooLarge:
        """Where a model goes when it is loaded next.

        Planned as if all that may go had gone, not by what happens to be free: otherwise a model
        that is loaded in a busy moment would keep its short context until it is evicted.
        """
        if resident.placed is None or resident.placed[0] != obtainable:
            spec = resident.spec
            placed = place(spec.card, spec.options, obtainable, self._gpus, resident.measured)
            resident.placed = obtainable, placed
        return resident.placed[1]

    # ---- what happens to a model --------------------------------------------------------------

    def add(self, spec: ModelSpec) -> None:
        """A new model, cold."""
        resident = Resident(spec)
        self._residents[resident.id] = resident
        self._in[resident.state][resident.id] = resident
        self._note_pin(resident)
        self.version += 1

    def replace(self, resident: Resident, spec: ModelSpec) -> None:
        """A newer spec; a worker that no longer matches it is retiring, old failures are void."""
        if resident.spec.identity == spec.identity:
            resident.measured = {**spec.measured, **resident.measured}
        else:
            resident.measured = dict(spec.measured)
            resident.load_s = spec.load_s
            resident.failure = None
            resident.retiring = resident.id in self.plans
            if resident.state is Warmth.FAILED:
                self.retry(resident)
        resident.spec = spec
        self._note_pin(resident)
        resident.removed = False
        resident.placed = None
        self.version += 1

    def remove(self, resident: Resident) -> None:
        """It is to be forgotten: at once, or when its worker is gone and its bytes are back."""
        resident.removed = True
        if resident.state in (Warmth.COLD, Warmth.FAILED):
            self._forget(resident)
        else:
            resident.retiring = resident.id in self.plans

    def _note_pin(self, resident: Resident) -> None:
        if resident.pinned:
            self._pinned.add(resident.id)
        else:
            self._pinned.discard(resident.id)

    def _forget(self, resident: Resident) -> None:
        del self._residents[resident.id]
        self._pinned.discard(resident.id)
        del self._in[resident.state][resident.id]
        self.version += 1

    def start(self, resident: Resident, placement: Placement, now: float) -> None:
        """A worker is spawned: all that it is expected to take is booked at once."""
        self._move(resident, Cause.START)
        self.plans[resident.id] = placement.plan
        resident.started_at = now
        self.ledger.debit(resident.id, placement.footprint)

    def load(self, resident: Resident, footprint: Footprint, load_s: float, now: float) -> None:
        """Its worker is ready: what was learned replaces what was booked, now and next time."""
        plan = self.plans[resident.id]
        self._move(resident, Cause.LOADED)
        predicted = book(predict(resident.spec.card.shape, plan), self._gpus)
        known = resident.measured.get(plan.key)
        self._learn(resident, learned(known, book(footprint, self._gpus), predicted))
        resident.shrunk = False
        resident.load_s = load_s
        resident.warm_since = resident.last_used = now

    def measure(self, model: ModelId, footprint: Footprint) -> bool:
        """A worker that serves was measured: whether it holds notably more than was booked."""
        resident, booked = self.get(model), self.ledger.live(model)
        if resident is None or resident.state is not Warmth.WARM:
            return False
        most = at_least(booked, book(footprint, self._gpus))
        if most.ram - booked.ram < _NOTABLE:
            return False
        self._learn(resident, most)
        self.version += 1
        return True

    def _learn(self, resident: Resident, footprint: Footprint) -> None:
        key = self.plans[resident.id].key
        if resident.measured.get(key) != footprint:
            resident.measured[key] = footprint
            resident.placed = None
        self.ledger.debit(resident.id, footprint)

    def shrink(self, resident: Resident) -> bool:
        """Memory ran out while it loaded: whether a smaller plan is worth a try, once."""
        if resident.state is not Warmth.LOADING or resident.shrunk or resident.retiring:
            return False
        plan, obtainable = self.plans[resident.id], self.obtainable
        resident.measured[plan.key] = too_much(self.ledger.live(resident.id), obtainable)
        resident.placed = None
        resident.shrunk = isinstance(self.place(resident, obtainable), Placement)
        return resident.shrunk

    def stop(self, resident: Resident) -> None:
        """Its worker is told to end; every byte stays booked."""
        self._move(resident, Cause.STOP)

    def leave(self, resident: Resident, reclaim_by: float) -> None:
        """Its worker is gone: file-backed bytes are back, the others when they are measured."""
        self._move(resident, Cause.GONE)
        del self.plans[resident.id]
        resident.warm_since = math.inf
        resident.retiring = False
        resident.reclaim_by = reclaim_by
        self.ledger.leave(resident.id)

    def reclaim(self, model: ModelId, now: float) -> None:
        """What its worker owed is back, perhaps after it was given up; nothing where nothing is."""
        resident = self.get(model)
        if resident is not None and resident.state is Warmth.RECLAIMING:
            self._settle(resident, now)
            self.ledger.reclaim(model)
        elif self.ledger.recover(model):
            self.version += 1

    def write_off(self, resident: Resident, now: float) -> None:
        """What its worker owed is given up."""
        self._settle(resident, now)
        self.ledger.write_off(resident.id)

    def retry(self, resident: Resident) -> None:
        """It may be tried again."""
        self._move(resident, Cause.RETRY)

    def let_time_pass(self, now: float) -> None:
        """Give up what did not come back in time, and let be tried again what may be."""
        for resident in self.of(Warmth.RECLAIMING):
            if now >= resident.reclaim_by:
                self.write_off(resident, now)
        for resident in self.of(Warmth.FAILED):
            if not resident.backs_off(now):
                self.retry(resident)

    def moments(self) -> Iterator[float]:
        """When time alone changes a state."""
        yield from (resident.reclaim_by for resident in self.of(Warmth.RECLAIMING))
        yield from (resident.retry_at for resident in self.of(Warmth.FAILED))

    def _settle(self, resident: Resident, now: float) -> None:
        waits = resident.backs_off(now) and not resident.removed
        self._move(resident, Cause.BACK_OFF if waits else Cause.RECLAIMED)
        if resident.removed:
            self._forget(resident)

    def _move(self, resident: Resident, cause: Cause) -> None:
        state = after(resident.state, cause)  # raises before anything has changed
        del self._in[resident.state][resident.id]
        resident.state = state
        self._in[state][resident.id] = resident
        self.version += 1

    # ---- invariants ---------------------------------------------------------------------------

    def violations(self) -> Iterator[str]:
        """A sentence for everything that must not be; for tests."""
        booked = total(footprint for _, footprint in self.ledger.entries())
        if booked != self.ledger.total:
            yield f"{self.ledger.total} is booked in all and {booked} by model"
        for resident in self:
            if resident.pinned != (resident.id in self._pinned):
                yield f"{resident.id} is pinned and not listed so, or listed and not pinned"
            if resident.id not in self._in[resident.state]:
                yield f"{resident.id} is {resident.state.name} and listed elsewhere"
            running = resident.state in (Warmth.LOADING, Warmth.WARM, Warmth.DRAINING)
            if resident.retiring and not running:
                yield f"{resident.id} is {resident.state.name} and retiring"
            if running != (resident.id in self.plans):
                yield f"{resident.id} is {resident.state.name} and its plan says otherwise"
            if running != self.ledger.is_live(resident.id):
                yield f"{resident.id} is {resident.state.name} and the ledger says otherwise"
            if (resident.state is Warmth.RECLAIMING) != self.ledger.owes(resident.id):
                yield f"{resident.id} is {resident.state.name} and owes otherwise"
        if sum(map(len, self._in.values())) != len(self._residents):
            yield "a model is listed in two states"
