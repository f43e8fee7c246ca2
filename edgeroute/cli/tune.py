"""`models tune`: the format of a model that this machine runs best, and what it loses."""

import argparse
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeroute.backends.engine import engine_name
from edgeroute.backends.instruments import NoSpace, requantise, requantised_bytes
from edgeroute.catalog.devices import recognise
from edgeroute.catalog.files import stamp_of
from edgeroute.catalog.tuning import (
    keep_tuned,
    provenance,
    refuse_taken,
    tuned_id,
    unfinished_files,
)
from edgeroute.cli.library import reload_daemon
from edgeroute.cli.measuring import find_model, meter_for, progress_shown, tuning_texts
from edgeroute.cli.show import print_json, table
from edgeroute.config import Folders
from edgeroute.domain.card import ModelCard, Tuned
from edgeroute.domain.errors import InvalidModelFile, InvalidRequest, LoadFailed
from edgeroute.domain.hardware import Memory
from edgeroute.domain.load import LoadPlan
from edgeroute.domain.units import MIB, format_bytes, format_seconds
from edgeroute.evaluation.formats import (
    FREE_LOSS,
    Comparison,
    Conditions,
    Figures,
    Original,
    formats_for,
    proposal,
)
from edgeroute.evaluation.speed import EnergyMeter, Spread, foreign_cores, told_use
from edgeroute.residency.footprint import predict
from edgeroute.sensors.machine import Machine
from edgeroute.wire.measuring import MOST_SEQUENCES, MOST_TOKENS, PROMPT_TOKENS

ROUNDS = 3
Compared = list[tuple[str, Comparison]]


def tune(options: argparse.Namespace) -> int:
    """Requantise a model, measure each format, keep the one that is worth it."""
    folders = Folders.from_environment()
    parent = find_model(folders, options.model)
    formats = _formats(folders, parent, options.formats)
    max_loss = FREE_LOSS if options.max_loss is None else options.max_loss
    if max_loss < 0:
        raise InvalidRequest(f"--max-loss {max_loss:g} is not a loss of 0 % or more")
    machine = Machine()
    known = recognise(machine.hardware())
    cpu, meter = known.hardware.cpu, meter_for(known.device)
    before = stamp_of(Path(parent.path))
    kept: ModelCard | None = None
    foreign = foreign_cores(machine, cpu)
    with unfinished_files(folders) as folder:
        _refuse_what_does_not_fit(folder, parent, formats, machine.telemetry().memory)
        conditions = Conditions(tuning_texts(), cpu.threads, ROUNDS, meter, machine.footprint)
        compared = _compare(parent, formats, folder, conditions)
        proposed = proposal(compared, max_loss)
        if not options.json:
            print(*_lines(parent, compared), meter.source, told_use(foreign), sep="\n")
        if proposed is not None and _is_wanted(options, parent, *proposed):
            if stamp_of(Path(parent.path)) != before:
                raise InvalidModelFile(f"{parent.path} changed while it was tuned")
            kept = _keep(folders, parent, folder, *proposed)
    told = kept is not None and reload_daemon(folders)
    if options.json:
        report = _report(parent, compared, meter, proposed, kept)
        print_json({**report, "foreign_cores": foreign, "daemon": told})
    else:
        print(_verdict(parent, proposed, kept, max_loss))
    return 0


# ---- before -------------------------------------------------------------------------------------


def _formats(folders: Folders, parent: ModelCard, wanted: str | None) -> Sequence[str]:
    """The formats to try, best quality first."""
    origin = provenance(folders, parent.id)
    if origin is not None:
        raise InvalidRequest(
            f"{parent.id} was made of {origin.parent} and would lose once more",
            hint=f"run `edgeroute models tune {origin.parent}`",
        )
    known = formats_for(platform.machine())
    names = known if wanted is None else [name.strip().upper() for name in wanted.split(",")]
    for name in names:
        if name not in known:
            listed = ", ".join(known).lower()
            raise InvalidRequest(f"no fast kernels here for {name!r}", hint=f"choose of {listed}")
    chosen = [name for name in known if name in names and name != parent.shape.quantisation]
    if not chosen:
        raise InvalidRequest(f"{parent.id} is {parent.shape.quantisation} already")
    for name in chosen:
        refuse_taken(folders, parent, name)
    return chosen


def _refuse_what_does_not_fit(
    folder: Path, parent: ModelCard, formats: Sequence[str], memory: Memory
) -> None:
    """Check disk and memory beforehand.

    Raises:
        NoSpace: The files of all formats have no room beside each other.
        LoadFailed: The model and the largest of them would not fit in memory together.
    """
    shape, source = parent.shape, Path(parent.path)
    header = shape.file_bytes - shape.block_bytes * shape.n_layers - shape.other_bytes
    sizes = [requantised_bytes(source, name) + header + MIB for name in formats]
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        raise NoSpace(
            f"{', '.join(formats)} need {format_bytes(sum(sizes))},"
            f" {folder} has {format_bytes(free)}",
            hint="free space there, or name fewer formats with --formats",
        )
    plan = LoadPlan(
        parent.id, parent.path, PROMPT_TOKENS + MOST_TOKENS, slots=MOST_SEQUENCES, threads=1
    )
    needed = 2 * predict(shape, plan).ram + max(sizes) - shape.file_bytes
    headroom = memory.cgroup_headroom
    available = memory.available if headroom is None else min(memory.available, headroom)
    if needed > available:
        raise LoadFailed(
            f"two files are measured side by side, which takes {format_bytes(needed)} of memory;"
            f" {format_bytes(available)} are available",
            hint="stop the daemon or other programs meanwhile",
        )


# ---- meanwhile ----------------------------------------------------------------------------------


def _compare(
    parent: ModelCard,
    formats: Sequence[str],
    folder: Path,
    conditions: Conditions,
) -> Compared:
    source = Path(parent.path)
    compared: Compared = []
    with (
        progress_shown(1 + 2 * len(formats)) as begin,
        closing(Original(source, conditions, begin(f"measuring {parent.id}"))) as original,
    ):
        for name in formats:
            file = _unfinished(folder, name)
            requantise(source, file, name, conditions.threads, begin(f"writing {name}"))
            compared.append((name, original.compare(file, begin(f"measuring {name}"))))
    return compared


def _unfinished(folder: Path, name: str) -> Path:
    return folder / f"{name.lower()}.gguf"


# ---- after --------------------------------------------------------------------------------------


def _is_wanted(
    options: argparse.Namespace, parent: ModelCard, name: str, found: Comparison
) -> bool:
    """Whether to keep the proposed format: said beforehand, or asked now."""
    if options.yes or options.max_loss is not None:
        return True
    if options.json or not sys.stdin.isatty():
        return False
    size = format_bytes(found.figures.file_bytes)
    try:
        answer = input(f"Keep {tuned_id(parent, name)} ({size}) beside it? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in {"y", "yes"}


def _keep(
    folders: Folders, parent: ModelCard, folder: Path, name: str, found: Comparison
) -> ModelCard:
    tuned = Tuned(
        parent=parent.id,
        parent_sha256=parent.sha256,
        format=name,
        perplexity_change_pct=round(found.perplexity_change_pct, 3),
        top1_agreement=round(found.top1_agreement, 4),
        speedup_1=round(found.speedup_1.median, 3),
        speedup_8=round(found.speedup_8.median, 3),
        measured=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {engine_name()}",
    )
    inherit = found.perplexity_change_pct <= FREE_LOSS
    return keep_tuned(folders, parent, _unfinished(folder, name), tuned, inherit_scores=inherit)


def _verdict(
    parent: ModelCard,
    proposed: tuple[str, Comparison] | None,
    kept: ModelCard | None,
    max_loss: float,
) -> str:
    if proposed is None:
        return f"nothing is faster at a loss of at most {max_loss:g} %: {parent.id} stays as it is"
    name, found = proposed
    if kept is None:
        return f"{name} is proposed; `--yes` keeps it as {tuned_id(parent, name)}"
    lossless = found.perplexity_change_pct <= FREE_LOSS
    scores = f"has the scores of {parent.id}" if lossless else "has no scores, for its loss"
    return f"kept {kept.id} ({kept.path}); it {scores}, which stays"


def _lines(parent: ModelCard, compared: Compared) -> Iterator[str]:
    head = (
        *("FORMAT", "SIZE", "MEMORY", "TOK/S 1", "TOK/S 8", "FIRST TOKEN", "J/TOK 1"),
        *("PERPLEXITY", "SAME TOKEN"),
    )
    original = compared[0][1].original
    rows = [_row(f"{parent.shape.quantisation} (now)", original)]
    for name, found in compared:
        row = _row(name, found.figures)
        row[3] += f" ({found.speedup_1.median:.2f}x)"
        row[4] += f" ({found.speedup_8.median:.2f}x)"
        change, error = found.perplexity_change_pct, found.perplexity_error_pct
        row[7] += f" ({change:+.2f} % +- {error:.2f})"
        row[8] = f"{found.top1_agreement:.1%}"
        rows.append(row)
    yield from table([head, *rows])


def _row(name: str, figures: Figures) -> list[str]:
    memory = figures.memory
    return [
        name,
        format_bytes(figures.file_bytes),
        "?" if memory is None else format_bytes(memory.ram),
        f"{figures.one.tok_s:.1f}",
        f"{figures.many.tok_s:.1f}",
        format_seconds(figures.one.ttft_s),
        f"{figures.one.joules:.3f}",
        f"{figures.perplexity:.3f}",
        "",
    ]


def _report(
    parent: ModelCard,
    compared: Compared,
    meter: EnergyMeter,
    proposed: tuple[str, Comparison] | None,
    kept: ModelCard | None,
) -> dict[str, Any]:
    return {
        "model": parent.id,
        "from": parent.shape.quantisation,
        "original": _facts(compared[0][1].original),
        "formats": [
            {
                "format": name,
                **_facts(found.figures),
                "speedup_1": _rounded(found.speedup_1),
                "speedup_8": _rounded(found.speedup_8),
                "perplexity_change_pct": round(found.perplexity_change_pct, 3),
                "perplexity_error_pct": round(found.perplexity_error_pct, 3),
                "top1_agreement": round(found.top1_agreement, 4),
            }
            for name, found in compared
        ],
        "joules_measured": meter.measured,
        "rounds": ROUNDS,
        "proposed": None if proposed is None else proposed[0],
        "kept": None if kept is None else {"id": kept.id, "path": kept.path},
    }


def _facts(figures: Figures) -> dict[str, Any]:
    memory = figures.memory
    samples = {"1": figures.one, "8": figures.many}
    return {
        "bytes": figures.file_bytes,
        "memory": None if memory is None else memory.ram,
        "perplexity": round(figures.perplexity, 4),
        **{f"tok_s_{count}": round(each.tok_s, 2) for count, each in samples.items()},
        **{f"ttft_s_{count}": round(each.ttft_s, 4) for count, each in samples.items()},
        **{f"cpu_s_per_token_{count}": round(each.cpu_s, 5) for count, each in samples.items()},
        **{f"joules_per_token_{count}": round(each.joules, 4) for count, each in samples.items()},
    }


def _rounded(spread: Spread) -> dict[str, float]:
    return {name: round(value, 3) for name, value in spread._asdict().items()}
