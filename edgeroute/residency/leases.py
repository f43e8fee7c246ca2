"""Who runs on which model and who waits for it.

Owns the two lists of every model (`Resident.leases`, `Resident.waiters`), and the queue of models
that are waited for: the one that was asked for first comes first.
"""

from collections.abc import Iterator

from edgeroute.domain.target import Warmth
from edgeroute.domain.units import LeaseId, ModelId
from edgeroute.residency.resident import Resident
from edgeroute.residency.settings import Settings


class Leases:
    """Every lease that was asked for and is not over.

    Attributes:
        queue: Models that are waited for, in the order in which that began.
    """

    def __init__(self) -> None:
        self.queue: dict[ModelId, Resident] = {}  # for its order: dictionaries keep theirs
        self._holders: dict[LeaseId, Resident] = {}

    def __contains__(self, lease: LeaseId) -> bool:
        return lease in self._holders

    def __bool__(self) -> bool:
        """Whether anybody runs or waits."""
        return bool(self._holders)

    def wait(self, resident: Resident, lease: LeaseId, now: float) -> None:
        """A new lease has to wait."""
        self._holders[lease] = resident
        resident.waiters[lease] = now
        self.queue[resident.id] = resident

    def run(self, resident: Resident, lease: LeaseId) -> None:
        """A lease runs, new or one of those that waited and were taken."""
        self._holders[lease] = resident
        resident.leases.add(lease)

    def take_waiters(self, resident: Resident) -> list[LeaseId]:
        """All who wait for a model; they are forgotten here, and the caller's to answer."""
        waiters = list(resident.waiters)
        for lease in waiters:
            del self._holders[lease]
        resident.waiters.clear()
        self.queue.pop(resident.id, None)
        return waiters

    def drop(self, lease: LeaseId) -> Resident | None:
        """A lease is over: the model it ran on, `None` where it ran on none."""
        resident = self._holders.pop(lease, None)
        if resident is None:  # denied, or void since its worker died
            return None
        if lease in resident.leases:
            resident.leases.remove(lease)
            return resident
        del resident.waiters[lease]
        if not resident.waiters:
            del self.queue[resident.id]
        return None

    def void(self, resident: Resident) -> None:
        """The worker of a model is gone, and with it all requests that ran on it."""
        for lease in resident.leases:
            del self._holders[lease]
        resident.leases.clear()

    def expected_wait_s(self, resident: Resident, now: float) -> float:
        """Seconds until those who wait for a model are served: loads up to its own, in turn."""
        wait_s = 0.0
        for other in self.queue.values():
            done_s = now - other.started_at if other.state is Warmth.LOADING else 0.0
            wait_s += max(0.0, other.load_s - done_s)
            if other is resident:
                break
        return wait_s

    def moments(self, settings: Settings, *, storms: bool) -> Iterator[float]:
        """When who waits is tried again or has waited too long, or the disk should be free."""
        for resident in self.queue.values():
            if resident.state is Warmth.LOADING and len(self.queue) > 1:
                yield resident.load_ends_at
            yield resident.retry_at
            yield resident.overdue_at(settings, storms=storms)

    def violations(self, models: list[Resident]) -> Iterator[str]:
        """A sentence for everything that must not be; for tests."""
        for resident in models:
            if resident.leases and resident.state is not Warmth.WARM:
                yield f"{resident.id} is {resident.state.name} and leased"
            if bool(resident.waiters) != (resident.id in self.queue):
                yield f"{resident.id} has waiters and no turn, or a turn and no waiters"
            if resident.leases and resident.guessed:
                yield f"{resident.id} is a guess and leased"
            if resident.leases & resident.waiters.keys():
                yield f"{resident.id} has a lease that also waits"
        leases = [(lease, r) for r in models for lease in (*r.leases, *r.waiters)]
        if dict(leases) != self._holders or len(leases) != len(self._holders):
            yield "leases and their holders differ"
