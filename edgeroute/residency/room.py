"""How much memory there is for models, and whom to evict where it is short.

Owns the account of `Memory` and GPUs, the arithmetic of bytes per memory domain, and the value of
staying warm. Knows neither states nor leases: who may be evicted is said by the caller.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop
from itertools import zip_longest
from typing import NamedTuple

from edgeroute.domain.device import UNKNOWN, Device
from edgeroute.domain.hardware import Gpu, Memory
from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import MIB, Bytes, ModelId

_LEAST_GPU_MARGIN = 256 * MIB
_GPU_MARGIN_SHARE = 0.05

# ---- the account ------------------------------------------------------------------------------


def budget(
    memory: Memory,
    own: Footprint,
    gpus: Sequence[Gpu],
    configured: Bytes | None,
    device: Device = UNKNOWN,
) -> Budget:
    """What all our models together may hold.

    RAM is `min(available, cgroup headroom) - own.file - margin + own.ram`:

    - `available` (MemAvailable) counts page cache as free, mapped weights included: touching
      400 MiB of a mapped file moves it by nothing (measured). Weights that are to stay warm are
      not free, so `own.file` is taken off.
    - The headroom of a control group (limit - usage + page cache) needs the same correction for
      the same reason: mapped weights are charged to the group as usage and given back to the
      headroom as page cache.
    - Anonymous bytes of ours are missing from both already. Nothing is taken off for them.
    - The margin, an amount or a share of what there is by the kind of device, belongs to everybody
      else.
    - That is what is left for new models. What ours hold now is added: `own.ram`.

    Each GPU has `free + own - margin`, the margin being 256 MiB or 5%. One that shares the
    system's memory has none of its own, one that cannot be read has none known.

    Args:
        memory: As read in the same moment as `own`.
        own: What our workers hold: those alive, and what exited ones did not give back yet
            (`PoolState.held`).
        gpus: In the order of `own.gpu`.
        configured: The user's limit on RAM.
        device: Says the margin.
    """
    limits = [memory.total] if memory.cgroup_limit is None else [memory.total, memory.cgroup_limit]
    rooms = [memory.available]
    if memory.cgroup_headroom is not None:
        rooms.append(memory.cgroup_headroom)
    margin = max(device.margin, int(device.margin_share * min(limits)))
    ram = max(0, min(rooms) - own.file - margin + own.ram)
    if configured is not None:
        ram = min(ram, configured)
    return Budget(
        Bytes(ram), tuple(_gpu_budget(gpu, _at(own.gpu, i)) for i, gpu in enumerate(gpus))
    )


def _gpu_budget(gpu: Gpu, own: int) -> Bytes:
    if gpu.unified or gpu.total is None or gpu.free is None:
        return Bytes(0)
    margin = max(_LEAST_GPU_MARGIN, int(_GPU_MARGIN_SHARE * gpu.total))
    return Bytes(max(0, gpu.free + own - margin))


# ---- bytes per domain -------------------------------------------------------------------------


def fits(need: Footprint, room: Budget) -> bool:
    """Whether every domain of `room` holds what is needed there."""
    return need.ram <= room.ram and all(held <= _at(room.gpu, i) for i, held in enumerate(need.gpu))


def less(room: Budget, taken: Footprint) -> Budget:
    """What is left of `room`; below zero where more is taken than there is."""
    gpu = (Bytes(free - _at(taken.gpu, i)) for i, free in enumerate(room.gpu))
    return Budget(Bytes(room.ram - taken.ram), tuple(gpu))


def more(room: Budget, freed: Footprint) -> Budget:
    """`room` with what comes back."""
    gpu = (Bytes(free + _at(freed.gpu, i)) for i, free in enumerate(room.gpu))
    return Budget(Bytes(room.ram + freed.ram), tuple(gpu))


def shortage(need: Footprint, room: Budget) -> Budget:
    """Bytes that `room` lacks to hold `need`; 0 in every domain that has enough."""
    gpu = (Bytes(max(0, _at(need.gpu, i) - free)) for i, free in enumerate(room.gpu))
    return Budget(Bytes(max(0, need.ram - room.ram)), tuple(gpu))


def at_most(room: Budget, held: Footprint) -> Budget:
    """`room`, but in no domain more than is held there."""
    gpu = (Bytes(min(wanted, _at(held.gpu, i))) for i, wanted in enumerate(room.gpu))
    return Budget(Bytes(min(room.ram, held.ram)), tuple(gpu))


def at_least(one: Footprint, other: Footprint) -> Footprint:
    """In every domain the greater of the two."""
    gpus = zip_longest(one.gpu, other.gpu, fillvalue=0)
    return Footprint(
        max(one.file, other.file),
        max(one.anon, other.anon),
        tuple(Bytes(max(held)) for held in gpus),
    )


def total(footprints: Iterable[Footprint]) -> Footprint:
    """The sum, domain by domain."""
    file = anon = 0
    gpus: list[int] = []
    for footprint in footprints:
        file += footprint.file
        anon += footprint.anon
        if footprint.gpu:
            gpus = [a + b for a, b in zip_longest(gpus, footprint.gpu, fillvalue=0)]
    return Footprint(Bytes(file), Bytes(anon), tuple(map(Bytes, gpus)))


def _at(domains: Sequence[int], index: int) -> int:
    return domains[index] if index < len(domains) else 0


# ---- eviction ---------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A model that may be evicted.

    Attributes:
        footprint: What its end gives back.
        worth: What its staying warm saves: P(reuse) x the seconds that bringing it back takes.
    """

    model: ModelId
    footprint: Footprint
    worth: float


def make_room(short: Budget, candidates: Iterable[Candidate]) -> tuple[ModelId, ...] | None:
    """Choose whom to evict so that `short` comes back; `None` where all together do not suffice.

    Taken are those that are worth least per byte of what is short, then the dearest that turn out
    not to be needed are spared. Ties go to the name that sorts first, so that equal states choose
    alike. Where nothing is short, nobody goes.

    Args:
        short: Bytes that are missing in each domain.
        candidates: Models that may go.
    """
    cheapest = [
        (candidate.worth / bytes_, candidate.model, candidate)
        for candidate in candidates
        if (bytes_ := _useful_bytes(candidate.footprint, short))
    ]
    chosen: list[Candidate] = []
    missing = short
    heapify(cheapest)  # most go after a few have come out; no two have one name
    while cheapest and not is_covered(missing):
        _, _, candidate = heappop(cheapest)
        chosen.append(candidate)
        missing = less(missing, candidate.footprint)
    if not is_covered(missing):
        return None
    for candidate in sorted(chosen, key=lambda each: (-each.worth, each.model)):
        without = more(missing, candidate.footprint)
        if is_covered(without):
            chosen.remove(candidate)
            missing = without
    return tuple(candidate.model for candidate in chosen)


def _useful_bytes(footprint: Footprint, short: Budget) -> int:
    """Bytes that lessen the shortage; what a model holds elsewhere, or too much, helps nobody."""
    ram = min(footprint.ram, short.ram)
    if not short.gpu:
        return ram
    return ram + sum(min(_at(footprint.gpu, i), missing) for i, missing in enumerate(short.gpu))


def is_covered(missing: Budget) -> bool:
    """Whether nothing is short in any domain."""
    return missing.ram <= 0 and all(bytes_ <= 0 for bytes_ in missing.gpu)
