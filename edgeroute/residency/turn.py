"""Who comes and who goes, as things stand now.

Owns the decision about models that wait for memory, and about idle ones when memory shrinks.
Changes nothing: what is decided is the pool's to carry out.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, takewhile

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import ModelId
from edgeroute.residency.demand import Demand
from edgeroute.residency.placement import Placement, TooLarge
from edgeroute.residency.registry import Registry
from edgeroute.residency.resident import Resident
from edgeroute.residency.room import (
    Candidate,
    at_most,
    fits,
    is_covered,
    less,
    make_room,
    more,
    shortage,
    total,
)
from edgeroute.residency.settings import Settings

_LOOKED_AT = 32
"""Idle models among which victims are chosen: with 200 models each look takes microseconds."""


class Turn:
    """What to do for those who wait; made for one moment, then thrown away.

    Attributes:
        hopeless: Models that fit no memory that could ever be free.
        starts: Models that fit now.
        stops: Idle models that make room, and guesses that nobody waits for yet.
        claimed: Models whose memory is promised to one that has waited too long: they take no
            new leases and are stopped when they are idle.
    """

    def __init__(self, models: Registry, demand: Demand, now: float, settings: Settings) -> None:
        self.hopeless: list[tuple[Resident, TooLarge]] = []
        self.starts: list[tuple[Resident, Placement]] = []
        self.stops: list[Resident] = []
        self.claimed: frozenset[ModelId] = frozenset()
        self._models = models
        self._demand = demand
        self._storms = demand.storms(now)
        self._now = now
        self._settings = settings

    def serve(self, waiting: Iterable[Resident]) -> None:
        """Decide for each model that is waited for, in the order of `_urgency`.

        Loads that nobody waits for were guesses; they are given up for any that somebody does.

        1. It loads, is warm (claimed, or ending for a newer self), or backs off: it waits.
        2. It fits no memory that could ever be free: hopeless.
        3. It is cold, fits, and has the disk: start it.
        4. It fits, or will when what is on its way back is back: that is kept for it.
        5. It has no disk yet and is not overdue: nobody goes for it so early.
        6. Idle models can make room: stop the least valuable; their bytes are kept for it.
        7. It is overdue: claim the memory of models in use; it is kept for it when it is back.
        8. Else it waits for leases to end, and those behind may pass.
        """
        obtainable = self._models.obtainable
        placed: list[tuple[Resident, Placement]] = []
        for resident in waiting:
            if resident.state in (Warmth.LOADING, Warmth.WARM) or resident.backs_off(self._now):
                continue  # 1
            place = self._models.place(resident, obtainable)
            if isinstance(place, TooLarge):  # 2
                self.hopeless.append((resident, place))
            else:
                placed.append((resident, place))
        if placed:
            self._stop([r for r in self._models.of(Warmth.LOADING) if r.guessed and not r.waiters])
        for resident, place in sorted(placed, key=self._urgency):
            need, has_disk = place.footprint, self._has_disk(resident)
            if fits(need, self._soon):
                if resident.state is Warmth.COLD and has_disk and fits(need, self._free):  # 3
                    self.starts.append((resident, place))
                    self._free = less(self._free, need)
                self._soon = less(self._soon, need)  # 3 and 4
            elif not has_disk and not self._is_overdue(resident):
                continue  # 5
            elif not self._evict_for(need) and self._is_overdue(resident):  # 6
                self._claim_for(need)  # 7
            # 8

    def shrink(self) -> None:
        """Stop idle models until what is booked fits the budget again, as far as they can.

        What is in doubt counts as there: a warm model is not ended for bytes that may not be
        missing.
        """
        missing = shortage(Footprint(), more(self._soon, self._models.in_doubt))
        if is_covered(missing):
            return
        idle = list(self._idle(0.0))
        most = total(self._models.ledger.live(resident.id) for resident in idle)
        self._stop(self._choose(idle, at_most(missing, most)))

    def victims_of_guess(self, need: Footprint) -> list[Resident] | None:
        """Quiet models to put out for a guess; `None` where they do not suffice."""
        if fits(need, self._free):
            return []
        quiet = takewhile(
            lambda resident: self._now >= resident.last_used + self._settings.quiet_s,
            self._idle(self._settings.min_residency_s),
        )
        return self._choose_among_first(quiet, shortage(need, self._free)) or None

    def missed_s(self, resident: Resident, within_s: float) -> float:
        """Seconds of waiting to be expected within a time, if a model is not warm."""
        chance = self._demand.reuse.chance(resident.id, self._now, within_s)
        return chance * self._demand.missed_s(resident.id, resident.load_s)

    # What one is promised the next has not: `soon` is free or on its way back, and nobody's. Most
    # turns look at neither.

    @cached_property
    def _free(self) -> Budget:
        return self._models.free

    @cached_property
    def _soon(self) -> Budget:
        return more(self._models.free, self._models.coming)

    # ---- steps --------------------------------------------------------------------------------

    def _urgency(self, waiting: tuple[Resident, Placement]) -> tuple[float, float]:
        """Overdue models come first, the one that has waited longest before the others.

        The others come by the seconds that all who wait for them have waited, per byte: those are
        collated for which few bytes have to be moved to end much waiting.
        """
        resident, place = waiting
        if self._is_overdue(resident):
            return resident.waiting_since, 0.0
        waited_s = sum(self._now - since for since in resident.waiters.values())
        return math.inf, -waited_s / max(1, place.footprint.size)

    def _has_disk(self, resident: Resident) -> bool:
        """Whether its load may begin beside those under way, with which it would share the disk.

        Loads that run one after the other end sooner on average than side by side. A short one
        still passes a long one where its own waiters gain more by that than the other's lose: they
        are spared what is left of the other load but for one more of their own, and the other ends
        later by the whole of theirs. A load that takes longer than it should keeps nobody back.
        """
        loading = (each for each in self._models.of(Warmth.LOADING) if each not in self.stops)
        under_way = [(each, each.load_ends_at - self._now) for each in loading]
        under_way += [(each, each.load_s) for each, _ in self.starts]
        own = max(1, len(resident.waiters))
        return all(
            left_s <= 0 or (left_s - resident.load_s) * own > resident.load_s * len(each.waiters)
            for each, left_s in under_way
        )

    def _evict_for(self, need: Footprint) -> bool:
        idle = self._idle(self._settings.min_residency_s)
        victims = self._choose_among_first(idle, shortage(need, self._soon))
        if victims:
            self._stop(victims)
            self._soon = less(self._soon, need)
        return bool(victims)

    def _is_overdue(self, resident: Resident) -> bool:
        return self._now >= resident.overdue_at(self._settings, storms=self._storms)

    def _claim_for(self, need: Footprint) -> None:
        warm = [
            resident
            for resident in self._models.of(Warmth.WARM)
            if not resident.pinned
            and resident not in self.stops
            and resident.id not in self.claimed
        ]
        chosen = self._choose(warm, shortage(need, self._soon))
        self._stop([resident for resident in chosen if not resident.leases])
        leased = [resident for resident in chosen if resident.leases]
        self.claimed |= {resident.id for resident in leased}
        if chosen:
            coming = total(self._models.ledger.live(resident.id) for resident in leased)
            self._soon = less(more(self._soon, coming), need)

    def _idle(self, residency_s: float) -> Iterator[Resident]:
        """Warm models that nobody uses or was promised, once warm for `residency_s`.

        Those come first that were not used for longest.
        """
        return (
            resident
            for resident in self._models.in_order_of_use()
            if not resident.leases
            and not resident.waiters
            and not resident.pinned
            and resident not in self.stops
            and resident.id not in self.claimed
            and self._now >= resident.warm_since + residency_s
        )

    def _choose_among_first(self, idle: Iterator[Resident], short: Budget) -> list[Resident]:
        """As `_choose`, but among the first few where these suffice: it has to be quick."""
        first = list(islice(idle, _LOOKED_AT))
        chosen = self._choose(first, short)
        others = [] if chosen else list(idle)
        return self._choose([*first, *others], short) if others else chosen

    def _choose(self, among: Iterable[Resident], short: Budget) -> list[Resident]:
        """The least valuable that make up for `short`; nobody where all together do not."""
        live, worth = self._models.ledger.live, self._demand.worth
        candidates = [
            Candidate(each.id, live(each.id), worth(each.id, each.load_s, self._now))
            for each in among
        ]
        chosen = make_room(short, candidates) or ()
        return [self._models[model] for model in chosen]

    def _stop(self, victims: Sequence[Resident]) -> None:
        self.stops += victims
        self._soon = more(self._soon, total(self._models.ledger.live(r.id) for r in victims))
