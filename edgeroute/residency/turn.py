"""Who comes and who goes, as things stand now.

Owns the decision about models that wait for memory, and about idle ones when memory shrinks.
Changes nothing: what is decided is the pool's to carry out.
"""

from collections.abc import Iterable, Sequence

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import ModelId
from edgeroute.residency.placement import Placement, TooLarge
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.room import (
    Candidate,
    at_most,
    fits,
    less,
    make_room,
    more,
    shortage,
    total,
)
from edgeroute.residency.settings import Settings


class Turn:
    """What to do for those who wait; made for one moment, then thrown away.

    Attributes:
        hopeless: Models that fit no memory that could ever be free.
        starts: Models that fit now.
        stops: Idle models that make room.
        claimed: Models whose memory is promised to one that has waited too long: they take no
            new leases and are stopped when they are idle.
    """

    def __init__(self, models: Registry, now: float, settings: Settings) -> None:
        self.hopeless: list[tuple[Resident, TooLarge]] = []
        self.starts: list[tuple[Resident, Placement]] = []
        self.stops: list[Resident] = []
        self.claimed: frozenset[ModelId] = frozenset()
        self._models = models
        self._now = now
        self._settings = settings
        # What one is promised the next has not: `soon` is free or on its way back, and nobody's.
        self._free = models.free
        self._soon = more(models.free, models.coming)

    def serve(self, waiting: Iterable[Resident]) -> None:
        """Decide for each model that is waited for, first come first served.

        1. It loads, is warm (claimed, or ending for a newer self), or backs off: it waits.
        2. It fits no memory that could ever be free: hopeless.
        3. It is cold and fits: start it.
        4. It will fit when what is on its way back is back: that is kept for it.
        5. Idle models can make room: stop the least valuable; their bytes are kept for it.
        6. It has waited for `max_wait_s`: claim the memory of models in use. Nobody passes.
        7. Else it waits for leases to end, and those behind may pass.
        """
        obtainable = self._models.obtainable
        for resident in waiting:
            if resident.state in (Warmth.LOADING, Warmth.WARM) or resident.backs_off(self._now):
                continue  # 1
            placed = self._models.place(resident, obtainable)
            if isinstance(placed, TooLarge):  # 2
                self.hopeless.append((resident, placed))
                continue
            need = placed.footprint
            if fits(need, self._soon):
                if resident.state is Warmth.COLD and fits(need, self._free):  # 3
                    self.starts.append((resident, placed))
                    self._free = less(self._free, need)
                self._soon = less(self._soon, need)  # 3 and 4
            elif not self._evict_for(need) and self._is_overdue(resident):  # 5
                self._claim_for(need)  # 6
                break
            # 7

    def shrink(self) -> None:
        """Stop idle models until what is booked fits the budget again, as far as they can.

        What is in doubt counts as there: a warm model is not ended for bytes that may not be
        missing.
        """
        missing = shortage(Footprint(), more(self._soon, self._models.in_doubt))
        idle = self._idle(0.0)
        most = total(self._models.ledger.live(resident.id) for resident in idle)
        self._stop(self._choose(idle, at_most(missing, most)))

    # ---- steps --------------------------------------------------------------------------------

    def _evict_for(self, need: Footprint) -> bool:
        idle = self._idle(self._settings.min_residency_s)
        victims = self._choose(idle, shortage(need, self._soon))
        if victims:
            self._stop(victims)
            self._soon = less(self._soon, need)
        return bool(victims)

    def _is_overdue(self, resident: Resident) -> bool:
        return self._now >= resident.waiting_since + self._settings.max_wait_s

    def _claim_for(self, need: Footprint) -> None:
        warm = [r for r in self._models.of(Warmth.WARM) if not r.pinned and r not in self.stops]
        claimed = self._choose(warm, shortage(need, self._soon))
        self.claimed = frozenset(resident.id for resident in claimed)
        self._stop([resident for resident in claimed if not resident.leases])

    def _idle(self, residency_s: float) -> list[Resident]:
        """Warm models that nobody uses or was promised, once warm for `residency_s`."""
        return [
            resident
            for resident in self._models.of(Warmth.WARM)
            if not resident.pinned
            and not resident.leases
            and not resident.waiters
            and resident not in self.stops
            and self._now >= resident.warm_since + residency_s
        ]

    def _choose(self, among: Iterable[Resident], short: Budget) -> list[Resident]:
        """The least valuable that make up for `short`; nobody where all together do not."""
        candidates = [
            Candidate(
                resident.id,
                self._models.ledger.live(resident.id),
                idle_s=0.0 if resident.leases else self._now - resident.last_used,
                reload_s=resident.load_s,
            )
            for resident in among
        ]
        chosen = make_room(short, candidates, self._settings.reuse_s) or ()
        return [self._models[model] for model in chosen]

    def _stop(self, victims: Sequence[Resident]) -> None:
        self.stops += victims
        self._soon = more(self._soon, total(self._models.ledger.live(r.id) for r in victims))
