"""`pull` and `models link | unlink | pin | unpin | scan`: which models there are to choose from."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from edgeroute.catalog import Catalog, link_model, unlink_model
from edgeroute.catalog.linking import id_of
from edgeroute.catalog.listing import set_pin
from edgeroute.catalog.pulling import pull as bring
from edgeroute.catalog.scanning import Found, found_models
from edgeroute.cli.copying import PREFIX, copy
from edgeroute.cli.show import print_json
from edgeroute.client import Client, DaemonUnreachable
from edgeroute.config import Folders
from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.units import format_bytes

Report = Callable[[str, int, int], None]
"""What is being done, bytes done, bytes in all."""


def pull(options: argparse.Namespace) -> int:
    """Bring a model to this machine and make it known."""
    folders = Folders.from_environment()
    with _progress() as report:
        brings = copy if options.source.startswith(PREFIX) else bring
        card = brings(folders, options.source, options.id, report)
    return _told(folders, card, "pulled", as_json=options.json)


def link(options: argparse.Namespace) -> int:
    """Make a GGUF file known, and tell a running daemon."""
    folders = Folders.from_environment()
    with _progress() as report:
        card = link_model(folders, Path(options.path), options.id, partial(report, "hashing"))
    return _told(folders, card, "linked", as_json=options.json)


def unlink(options: argparse.Namespace) -> int:
    """Forget a linked file, and tell a running daemon."""
    folders = Folders.from_environment()
    unlink_model(folders, options.model)
    words = f"unlinked {options.model}"
    return tell_daemon(folders, {"id": options.model}, words, as_json=options.json)


def pin(options: argparse.Namespace) -> int:
    """Have a model loaded and kept, and tell a running daemon."""
    return _set_pin(options, pinned=True)


def unpin(options: argparse.Namespace) -> int:
    """Let a model go like any other, and tell a running daemon."""
    return _set_pin(options, pinned=False)


def _set_pin(options: argparse.Namespace, *, pinned: bool) -> int:
    folders = Folders.from_environment()
    set_pin(folders, options.model, pinned=pinned)
    facts = {"id": options.model, "pinned": pinned}
    words = f"{'pinned' if pinned else 'unpinned'} {options.model}"
    return tell_daemon(folders, facts, words, as_json=options.json)


def scan(options: argparse.Namespace) -> int:
    """Link what other programs of this machine hold; what cannot be served says why."""
    folders = Folders.from_environment()
    linked: list[dict[str, object]] = []
    skipped: list[dict[str, str]] = []
    before = {card.path for card in Catalog.load(folders).cards}
    known = 0
    with _progress() as report:
        for found in found_models(Path.home()):
            if str(found.path) in before:
                known += 1
                continue
            try:
                card = _linked(folders, found, report)
            except EdgeRouteError as error:
                reason = error.message
                skipped.append({"program": found.program, "name": found.name, "reason": reason})
            else:
                before.add(card.path)  # a store may have one file under two names
                linked.append({"id": card.id, "program": found.program, "path": card.path})
    told = reload_daemon(folders) if linked else False
    if options.json:
        print_json({"linked": linked, "known": known, "skipped": skipped, "daemon": told})
        return 0
    for each in linked:
        print(f"linked {each['id']} of {each['program']}")
    for left in skipped:
        print(f"left out {left['name']} of {left['program']}: {left['reason']}")
    print(f"{len(linked)} linked, {known} known before, {len(skipped)} left out")
    return 0


def reload_daemon(folders: Folders) -> bool:
    """Tell a running daemon to read the catalog again; whether there is one."""
    try:
        with Client(folders.http_socket) as client:
            client.post("/edgeroute/reload", {})
    except DaemonUnreachable:
        return False
    return True


def tell_daemon(folders: Folders, facts: Mapping[str, Any], words: str, *, as_json: bool) -> int:
    """Tell a running daemon of a change, then the user: the facts as JSON, or in words."""
    told = reload_daemon(folders)
    if as_json:
        print_json({**facts, "daemon": told})
    else:
        print(words)
    return 0


def _linked(folders: Folders, found: Found, report: Report) -> ModelCard:
    progress = partial(report, f"hashing {found.name}")
    return link_model(folders, found.path, id_of(found.name), progress, found.sha256)


def _told(folders: Folders, card: ModelCard, verb: str, *, as_json: bool) -> int:
    facts = {"id": card.id, "path": card.path, "sha256": card.sha256}
    words = f"{verb} {card.id} ({format_bytes(card.shape.file_bytes)})"
    return tell_daemon(folders, facts, words, as_json=as_json)


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on the terminal, and nothing where there is none."""
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import, needed only here
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("")
        yield lambda what, done, all_: bar.update(
            task, description=what, completed=done, total=all_ or None
        )
