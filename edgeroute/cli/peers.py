"""`pair`, `unpair`, `peers`: the owner's other machines."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from edgeroute.cli.show import print_json, table
from edgeroute.client import Client
from edgeroute.config import Folders
from edgeroute.domain.errors import PairingFailed
from edgeroute.domain.units import format_bytes

_LOOK_S = 0.5
_GROUP = 4


def pair(options: argparse.Namespace) -> int:
    """Show a code, or type the one that another machine shows."""
    with _daemon() as client:
        if options.where is None:
            return _show(client, options)
        code = options.code if options.code is not None else _typed()
        body = {"code": code, "max_label": options.max_label}
        address = {} if options.where == "auto" else {"address": options.where}
        paired = client.post("/edgeroute/pair", {**body, **address})
    _tell(paired, as_json=options.json)
    return 0


def unpair(options: argparse.Namespace) -> int:
    """Trust a machine no more."""
    with _daemon() as client:
        gone = client.post("/edgeroute/unpair", {"name": options.name})
    if options.json:
        print_json(gone)
    else:
        print(f"{gone['name']} is no longer paired, and not connected any more")
        print("it still trusts this machine: run `edgeroute unpair` there too")
    return 0


def peers(options: argparse.Namespace) -> int:
    """Say who is there, what they may see and what they offer."""
    with _daemon() as client:
        facts = client.get("/edgeroute/peers")
    if options.json:
        print_json(facts)
    else:
        print(*_lines(facts), sep="\n")
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    """Show a code and wait for what comes of it; leaving early closes the window."""
    state = client.post("/edgeroute/pairing/open", {"max_label": options.max_label})
    code = state["code"]
    if options.json:
        print_json({"code": code, "left_s": state["left_s"], "addresses": state["addresses"]})
        sys.stdout.flush()
    else:
        print(f"code         {code[:_GROUP]} {code[_GROUP:]}")
        print(f"type it within {state['left_s']:.0f} s on the other machine:")
        for address in ("auto", *state["addresses"]):
            print(f"  edgeroute pair {address}")
        print(f"this machine {state['fingerprint']}")
    try:
        while state["open"]:
            time.sleep(_LOOK_S)
            state = client.get("/edgeroute/pairing")
    except KeyboardInterrupt:
        client.post("/edgeroute/pairing/close", {})
        raise
    if state["paired"] is None:
        raise PairingFailed(state["failure"] or "the window was closed")
    _tell(state["paired"], as_json=options.json)
    return 0


def _typed() -> str:
    return input("code that the other machine shows: ")


def _tell(paired: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(paired)
        return
    print(f"paired with {paired['name']}, which may see up to {paired['max_label']}")
    print(f"  {paired['fingerprint']}")


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"{facts['name'] or 'this machine'}  {facts['fingerprint']}"
    doors = ", ".join(facts["addresses"])
    yield f"  listens on {doors}" if doors else "  is in no network that is used"
    verdicts = facts["verdicts"]
    yield (
        "  keeps its verdicts to itself and heeds nobody's: [lan] verdicts = false"
        if verdicts is None
        else f"  tells its peers the counts of its {verdicts} verdicts, and hears theirs"
    )
    if not facts["peers"]:
        yield "nobody is paired; run: edgeroute pair"
        return
    head = ("PEER", "STATE", "SEES", "WAY", "POWER", "FREE", "GAVE", "TOOK", "VERDICTS", "MODELS")
    yield from table([head, *map(_row, facts["peers"])])
    for peer in facts["peers"]:
        yield f"{peer['name']}  {peer['fingerprint']}"


def _row(peer: Mapping[str, Any]) -> tuple[str, ...]:
    """GAVE is what it answered for this machine, TOOK what this machine answered for it."""
    models = ", ".join(
        model["id"] + ("" if model["warm"] else " (cold)") for model in peer["models"]
    )
    percent = peer["battery_percent"]
    power = "battery" if peer["on_battery"] else "mains"
    return (
        peer["name"],
        "linked" if peer["linked"] else f"away: {peer['away']}",
        peer["max_label"],
        _way(peer),
        power + ("" if percent is None else f" {percent:.0f}%") if peer["linked"] else "",
        format_bytes(peer["free_bytes"]) if peer["linked"] else "",
        str(peer["asked"]),
        str(peer["answered"]),
        _verdicts(peer),
        models or peer["withheld"],
    )


def _way(peer: Mapping[str, Any]) -> str:
    """How far it is, how much that varies, and how often the link was lost."""
    told = []
    if peer["rtt_s"] is not None:
        told.append(f"{peer['rtt_s'] * 1e3:.1f} ms ± {peer['jitter_s'] * 1e3:.1f}")
    if peer["breaks"]:
        told.append(f"lost {peer['breaks']}x")
    return ", ".join(told)


def _verdicts(peer: Mapping[str, Any]) -> str:
    """How many were heard of a peer, and whether it hears those of this machine."""
    if peer["verdicts_refused"]:
        return f"refused: {peer['verdicts_refused']}"
    deaf = peer["linked"] and not peer["hears_verdicts"]
    return f"{peer['verdicts']}{', hears none' if deaf else ''}"


def _daemon() -> Client:
    return Client(Folders.from_environment().http_socket)
