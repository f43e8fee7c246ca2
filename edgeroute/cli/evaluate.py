"""`eval`: what the daemon's own parts achieve on files of labelled rows."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeroute.catalog.folders import shipped
from edgeroute.cli.measuring import progress_shown
from edgeroute.cli.show import print_json, table
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.units import parse_bytes
from edgeroute.evaluation import residency as on_residency
from edgeroute.evaluation import routers as on_routers
from edgeroute.evaluation import sensitivity as on_sensitivity
from edgeroute.evaluation import tasks as on_tasks
from edgeroute.evaluation.routing_set import read_set
from edgeroute.evaluation.rows import read_rows, write_rows
from edgeroute.understanding.reader import Reader


def tasks(options: argparse.Namespace) -> int:
    """Print how well tasks are recognised."""
    rows = read_rows(Path(options.file), on_tasks.TaskRow)
    predictions = on_tasks.predict(rows, Reader.load(shipped("models") / "understanding"))
    report = on_tasks.report(predictions)
    if options.out:
        write_rows(Path(options.out), on_tasks.out_rows(predictions))
    elif not report["n"]:
        raise InvalidRequest("no row has a task", hint='give rows a "task", or use --out')
    _tell(report, as_json=options.json)
    return 0


def sensitivity(options: argparse.Namespace) -> int:
    """Print how well identifiers and secrets are found."""
    rows = read_rows(Path(options.file), on_sensitivity.SensitivityRow)
    predictions = on_sensitivity.predict(rows)
    report = on_sensitivity.report(predictions)
    if options.out:
        write_rows(Path(options.out), on_sensitivity.out_rows(predictions))
    elif not report["n"]:
        raise InvalidRequest(
            "no row says whether it is sensitive",
            hint='give rows "sensitive" or "spans", or use --out',
        )
    _tell(report, as_json=options.json)
    return 0


def residency(options: argparse.Namespace) -> int:
    """Print how long requests of a trace wait for models under each policy."""
    rows = list(read_rows(Path(options.trace), on_residency.TraceRow))
    cards = on_residency.read_cards(Path(options.cards))
    try:
        budget = parse_bytes(options.budget)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    _tell(
        on_residency.evaluate(rows, cards, budget, options.counted_from),
        as_json=options.json,
    )
    return 0


def routers(options: argparse.Namespace) -> int:
    """Print how good routed answers are beside one model's, from scores that were published."""
    if options.splits < 1 or (options.labels is not None and options.labels < 1):
        raise InvalidRequest("--splits and --labels must be at least 1")
    reader = Reader.load(shipped("models") / "understanding")
    with progress_shown(2) as begin:
        of = read_set(Path(options.folder), reader, begin("reading queries"))
        if options.labels is not None and options.labels >= len(of):
            raise InvalidRequest(f"--labels {options.labels}, and there are {len(of)} queries")
        found = on_routers.report(of, options.labels, options.splits, begin("routing"))
    report = on_routers.rounded(found)
    if options.out:
        write_rows(Path(options.out), iter([report]))
    _tell(report, as_json=options.json)
    return 0


def _tell(report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for name, value in report.items():
        if not isinstance(value, Mapping):
            print(f"{name:<16} {value}")
    for name, value in report.items():
        if isinstance(value, Mapping):
            print(f"\n{name}")
            rows = [(key, *_cells(entry)) for key, entry in value.items()]
            width = max(len(row) for row in rows)
            print(*table([row + ("",) * (width - len(row)) for row in rows]), sep="\n")


def _cells(entry: object) -> tuple[str, ...]:
    if isinstance(entry, Mapping):
        return tuple(f"{key} {value}" for key, value in entry.items())
    return (str(entry),)
