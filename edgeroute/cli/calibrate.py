"""`calibrate`: speed and joules of models by threads, and idle watts, measured and remembered."""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeroute.backends.engine import engine_name
from edgeroute.catalog import Catalog
from edgeroute.catalog.devices import recognise
from edgeroute.cli.library import reload_daemon
from edgeroute.cli.measuring import find_model, meter_for, progress_shown, tuning_texts
from edgeroute.cli.show import print_json, table
from edgeroute.config import Folders
from edgeroute.domain.calibration import Calibration
from edgeroute.domain.card import ModelCard
from edgeroute.domain.device import Device
from edgeroute.domain.errors import EdgeRouteError, InvalidConfig, UnknownModel
from edgeroute.domain.hardware import Cpu
from edgeroute.domain.units import ModelId
from edgeroute.evaluation.idle import Watts, measure_idle
from edgeroute.evaluation.speed import EnergyMeter, foreign_cores, told_use
from edgeroute.evaluation.threads import ThreadRow, best_threads, measure_threads
from edgeroute.sensors.machine import Machine
from edgeroute.store.journal import SqliteJournal

ROUNDS = 3
_BUSY = 0.5
"""Cores that others may use; more, and it is them who are measured."""


class MachineBusy(EdgeRouteError):
    """Other programs compute, so that nothing can be measured."""

    code = "machine_busy"
    http_status = 503


def calibrate(options: argparse.Namespace) -> int:
    """Measure thread counts and idle watts per model, show them, remember them."""
    folders = Folders.from_environment()
    cards = _cards(folders, options.models)
    machine = Machine()
    known = recognise(machine.hardware())
    cpu, meter = known.hardware.cpu, meter_for(known.device)
    foreign = foreign_cores(machine, cpu)
    if foreign is not None and foreign > _BUSY and not options.force:
        raise MachineBusy(
            f"other programs use {foreign:.1f} cores, which would falsify all of it",
            hint="wait until they are done (an idle daemon does no harm), or use --force",
        )
    found = _measure(cards, meter, cpu)
    best = {card.id: best_threads(rows) for card, rows in found}
    alone, warm = _measure_idle(machine, known.device, cards)
    _remember(
        folders,
        {
            card.sha256: [
                row.calibration(chosen=row.threads == best[card.id], counted=meter.measured)
                for row in rows
                if not row.cpus
            ]
            for card, rows in found
        },
    )
    _remember_idle(folders, alone, {card.sha256: warm.get(card.id, {}) for card in cards})
    told = reload_daemon(folders)
    conditions = {
        "engine": engine_name(),
        "cpu": cpu.model,
        "foreign_cores": foreign,
        "power": machine.telemetry().power.state,
        "rounds": ROUNDS,
    }
    if options.json:
        models = {
            card.id: {
                "threads": best[card.id],
                "idle_w": warm.get(card.id),
                "rows": [_facts(row) for row in rows],
            }
            for card, rows in found
        }
        print_json({**conditions, "idle_w": alone, "models": models, "daemon": told})
        return 0
    for card, rows in found:
        print(card.id, *table(_table(rows)), f"best thread count: {best[card.id]}\n", sep="\n")
    print(f"measured on {cpu.model} with {engine_name()}", told_use(foreign), sep="\n")
    print(meter.source)
    print(*_idle_lines(alone, warm), sep="\n")
    return 0


def _idle_lines(alone: Watts, warm: Mapping[ModelId, Watts]) -> Iterator[str]:
    if not alone:
        yield "idle watts are not known: no meter here counts more than our own processes"
        return
    yield f"the machine takes {_watts(alone)} while nothing runs"
    for model, watts in warm.items():
        yield f"{model} adds {_watts(watts)} while it is in memory"


def _watts(watts: Watts) -> str:
    return ", ".join(f"{value:.2f} W ({scope})" for scope, value in watts.items()) or "nothing"


def _measure_idle(
    machine: Machine, device: Device, cards: Sequence[ModelCard]
) -> tuple[Watts, dict[ModelId, Watts]]:
    models = [(card.id, Path(card.path)) for card in cards]
    with progress_shown(1) as begin:
        progress = begin("measuring idle watts")
        return measure_idle(machine.meters(lambda: (), device), models, tuning_texts(), progress)


def _remember_idle(folders: Folders, alone: Watts, warm: Mapping[str, Watts]) -> None:
    """Store what the machine takes alone and with each model, by the model's hash."""
    journal = SqliteJournal(folders.journal, time.time())
    try:
        for sha256, watts in {"": alone, **warm}.items():
            for scope, value in watts.items():
                journal.write_idle(scope, sha256, value)
    finally:
        journal.close()


def _cards(folders: Folders, names: Sequence[str]) -> list[ModelCard]:
    if names:
        return [find_model(folders, name) for name in dict.fromkeys(names)]
    cards = [card for card in Catalog.load(folders).cards if card.echo is None]
    if not cards:
        raise UnknownModel("there is no model", hint="`edgeroute models link FILE` makes one known")
    return cards


def _measure(
    cards: Sequence[ModelCard], meter: EnergyMeter, cpu: Cpu
) -> list[tuple[ModelCard, list[ThreadRow]]]:
    with progress_shown(len(cards)) as begin:
        return [
            (
                card,
                measure_threads(
                    Path(card.path),
                    tuning_texts(),
                    cpu,
                    meter,
                    ROUNDS,
                    begin(f"measuring {card.id}"),
                ),
            )
            for card in cards
        ]


def _remember(folders: Folders, found: Mapping[str, list[Calibration]]) -> None:
    """Store it, and make sure that it is stored: the journal's writes are queued."""
    folders.create()
    journal = SqliteJournal(folders.journal, time.time())
    try:
        for sha256, rows in found.items():
            journal.write_calibrations(sha256, engine_name(), rows)
        if not found.items() <= journal.calibrations(engine_name()).items():
            raise InvalidConfig(f"{folders.journal} could not be written; try again")
    finally:
        journal.close()


def _table(rows: Sequence[ThreadRow]) -> list[Sequence[str]]:
    head = ("THREADS", "ON", "TOK/S 1", "TOK/S 8", "FIRST TOKEN 8", "J/TOK 1", "J/TOK 8")
    return [
        head,
        *(
            (
                str(row.threads),
                f"CPUs {','.join(map(str, row.cpus))}" if row.cpus else "any CPU",
                f"{row.one.tok_s:.1f}",
                f"{row.many.tok_s:.1f}",
                f"{row.many.ttft_s * 1000:.0f} ms",
                f"{row.one.joules:.3f}",
                f"{row.many.joules:.3f}",
            )
            for row in rows
        ),
    ]


def _facts(row: ThreadRow) -> dict[str, Any]:
    return {
        "threads": row.threads,
        "cpus": row.cpus,
        **{f"{name}_1": round(value, 5) for name, value in row.one._asdict().items()},
        **{f"{name}_8": round(value, 5) for name, value in row.many._asdict().items()},
    }
