"""The parts that know joules, from what the machine can tell and what earlier runs learnt."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import cast

from edgeroute.catalog.cloud_energy import CloudEnergy
from edgeroute.catalog.devices import Recognised
from edgeroute.domain.card import ModelCard
from edgeroute.domain.energy import Scope
from edgeroute.domain.units import ModelId
from edgeroute.routing.cloud_energy import NETWORK_J, by_size
from edgeroute.routing.idleness import Idleness
from edgeroute.runtime.consumption import Consumptions
from edgeroute.runtime.metering import CpuSeconds, Metering
from edgeroute.sensors.machine import Machine
from edgeroute.store.journal import SqliteJournal


def build_metering(
    machine: Machine,
    known: Recognised,
    workers: Callable[[], Iterable[int]],
    warm: Callable[[], Collection[ModelId]],
    calibrated: Mapping[Scope, Idleness],
) -> Metering:
    """The meters of this machine, and who is billed."""

    def ours() -> tuple[int, ...]:
        return (os.getpid(), *workers())

    meters = machine.meters(ours, known.device)
    shared = any(not told.own and told.scope != "gpu" for told in meters.read())

    def spent() -> CpuSeconds:
        # What others take of the processors matters only to a meter that counts them too.
        times = machine.cpu_times(known.hardware.cpu.allowed, ()) if shared else None
        return CpuSeconds(machine.cpu_seconds(ours()), None if times is None else times.everybody)

    return Metering(meters, spent, known.device.watts_per_thread, warm, time.monotonic, calibrated)


def calibrated_idleness(
    journal: SqliteJournal, cards: Iterable[ModelCard]
) -> dict[Scope, Idleness]:
    """What `calibrate` has found of idle watts."""
    models = {card.sha256: card.id for card in cards}
    machine: dict[Scope, float] = {}
    warmth: dict[Scope, dict[ModelId, float]] = defaultdict(dict)
    for scope, sha256, watts in journal.idle():
        known = cast("Scope", scope)
        if not sha256:
            machine[known] = watts
        elif sha256 in models:
            warmth[known][models[sha256]] = watts
    return {scope: Idleness(watts, warmth[scope]) for scope, watts in machine.items()}


def day_clock() -> float:
    """Seconds since some local midnight, so that habits keep to the clock on the wall."""
    now = time.time()
    return now + time.localtime(now).tm_gmtoff


def build_consumptions(journal: SqliteJournal, engine: str) -> Consumptions:
    """What queries take, as far as earlier runs have learnt it."""
    elsewhere = CloudEnergy(by_size, NETWORK_J)
    return Consumptions(journal.consumption(), journal.write_consumption, engine, elsewhere.of)
