"""`status` and `top`: who is warm and why, what each holds, and who would go next."""

import argparse
import select
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgeroute.cli.show import power_line, print_json, table
from edgeroute.client import Client, DaemonUnreachable
from edgeroute.config import Folders
from edgeroute.domain.units import format_bytes, format_seconds
from edgeroute.routing.account import Left

_EVERY_S = 1.0
_POOLS = {"file": "files", "kv": "KV"}
"""How the pools are called, where not as in the facts."""
_LEAVE = frozenset("qQ\x1b\x03\x04")
"""Keys that end `top`: q, escape, and what Ctrl-C and Ctrl-D send."""


def status(options: argparse.Namespace) -> int:
    """Print how the daemon is doing."""
    facts = _facts()
    if options.json:
        print_json(facts)
    else:
        print(*status_lines(facts), sep="\n")
    return 0


def top(options: argparse.Namespace) -> int:
    """Show the same again every second until `q`; once where nobody watches."""
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return status(options)
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import, needed only here
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with _keys() as keys, Live(console=Console(), screen=True, auto_refresh=False) as shown:
        while True:
            lines = [*status_lines(_facts()), "", "q to leave"]
            shown.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            if select.select([keys], [], [], _EVERY_S)[0] and keys.read(1) in _LEAVE:
                return 0


def status_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Tell the state in lines, the widest of which is the table of models."""
    yield from _machine_lines(facts)
    head = ("MODEL", "STATE", "HOLDS", "RUN", "WAIT", "TOK/S", "LOAD", "NEXT", "COSTS", "WHY")
    yield from table([head, *map(_row, facts["models"])])
    for model in facts["models"]:
        if model["pools"] is not None:
            held = {_POOLS.get(name, name): size for name, size in model["pools"].items()}
            held["saved conversations"] = model["conversations"]
            parts = (f"{name} {format_bytes(size)}" for name, size in held.items() if size)
            yield f"{model['id']} holds {', '.join(parts)}"
    for provider in facts["providers"]:
        offered = ", ".join(target["id"] for target in provider["targets"])
        there = "is there" if provider["reachable"] else provider["reason"]
        yield f"elsewhere {offered or provider['name']}: {there}"
        for target in provider["targets"]:
            if provider["reachable"] and target["retry_in_s"] > 0:
                wait = format_seconds(target["retry_in_s"])
                yield f"  {target['id']}: {target['trouble']}; tried again in {wait}"
    yield from _spend_lines(facts["spend"])
    for model in facts["unavailable"]:
        yield f"{model['id']}: {model['reason']}"


_LISTENS = ("socket", "rpc_socket", "tcp")


def running_status(folders: Folders) -> dict[str, Any] | None:
    """What a running daemon says of itself; `None` where none runs."""
    try:
        with Client(folders.http_socket) as client:
            return client.get("/edgeroute/status")
    except DaemonUnreachable:
        return None


def listens(folders: Folders) -> dict[str, Any] | None:
    """Where a running daemon takes requests; `None` where none runs."""
    facts = running_status(folders)
    return None if facts is None else {name: facts[name] for name in _LISTENS}


def listening_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Tell where requests are taken."""
    yield f"listens   {facts['socket']}"
    yield f"          {facts['rpc_socket']}"
    if facts["tcp"] is not None:
        yield f"          http://{facts['tcp']}/v1 for apps with a token"


def _spend_lines(spend: Mapping[str, Any]) -> Iterator[str]:
    """What was spent today, where anything was or a limit holds."""
    if spend["usd"] or spend["held_usd"]:
        held = f", ${spend['held_usd']:.2g} held" if spend["held_usd"] else ""
        yield f"spent     ${spend['usd']:.4g} today{held}"
    for limit in spend["limits"]:
        whose = "all apps together" if limit["of"] is None else f"app {limit['of']}"
        yield (
            f"limit     ${limit['left_usd']:.4g} of ${limit['usd_per_day']:g} left for {whose}, "
            f"anew in {format_seconds(spend['ends_in_s'])}"
        )


def _machine_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    budget, memory, power = facts["budget"], facts["memory"], facts["power"]
    yield (
        f"edgeroute {facts['version']}, process {facts['pid']}, "
        f"up {format_seconds(facts['up_s'])}, profile {facts['profile']}"
    )
    yield from listening_lines(facts)
    withheld = f", {format_bytes(budget['withheld'])} held back" if budget["withheld"] else ""
    lost = f", {format_bytes(budget['lost'])} lost" if budget["lost"] else ""
    yield (
        f"memory    {format_bytes(budget['booked'])} of {format_bytes(budget['ram'])} for models"
        f"{withheld}{lost}, "
        f"{format_bytes(memory['available'])} of {format_bytes(memory['total'])} available"
    )
    kept = facts["conversations"]
    if kept["kept"]:
        yield f"          {format_bytes(kept['bytes'])} for {kept['kept']} saved conversations"
    yield power_line(power["state"], power["percent"])
    for left in facts["joules_left"]:
        yield f"joules    {Left(**left).words}"
    guesses = facts["guesses"]
    if guesses["loads"]:
        wasted = f"{format_bytes(guesses['wasted_bytes'])} and {guesses['wasted_joules']:.0f} J"
        yield f"guesses   {guesses['used']} of {guesses['loads']} were right, {wasted} for others"


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    """NEXT is its place among those who would go, COSTS what its going or coming would."""
    costs = model["reload_s"] if model["goes"] is not None else model["displaces_s"]
    return (
        model["id"],
        model["warmth"] + ("" if model["progress"] is None else f" {model['progress']:.0%}"),
        format_bytes(model["booked"]["file"] + model["booked"]["anon"]),
        str(model["leases"]),
        str(model["waiting"]),
        f"{model['rates']['decode_tok_s']:.0f}" + ("" if model["rates"]["measured"] else "?"),
        format_seconds(model["rates"]["load_s"]),
        "" if model["goes"] is None else str(model["goes"]),
        format_seconds(costs) if costs else "",
        model["why"],
    )


def _facts() -> dict[str, Any]:
    with Client(Folders.from_environment().http_socket) as client:
        return client.get("/edgeroute/status")


@contextmanager
def _keys() -> Iterator[Any]:
    """The keyboard, one key at a time and unseen, and afterwards as it was."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield sys.stdin
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
