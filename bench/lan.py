"""What a second machine on the network costs and brings, between real daemons in namespaces.

    python bench/lan.py [--quick] [--json]

Every machine is a network namespace with its own daemon, joined by veth and a bridge; models are
echo workers at a token rate, since all machines share these cores. Needs to be run as root.

- discovery_s: from a paired machine's being ready to its models being targets, no address known.
- added_ttft_ms: median first token of an answer by a peer, less that of the peer's own, in turn.
- burst_3_nodes_ratio: time of a burst over three equal machines over that on one.
- answered_after_node_death_share: of the requests of a burst that had no token when one of three
  machines was killed, those that were answered.
- idle_bytes_per_s: bytes over a machine's card, both ways, with one peer and nothing to do.
- hedged_p99_ratio: 99th percentile of the first token where two machines answer for a third and the
  one that does is stopped for half a second again and again, over the same of requests for which
  nobody waits, since those are not hedged.
- transfer_share_of_tls: rate of a copied model over that of a bare copy by Python's `ssl`.
- sync_ms: what a line of the audit log takes to be on the disk, beside the first tokens: nothing is
  sent before it is, so that it is part of what a peer's answer adds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from clients import Answer, Question, ask, wave
from lan_transfer import transfer

from tests.e2e.conftest import chat
from tests.e2e.lan_rig import Machine, Network, linked, network, pair_quietly, peers

WORDS = "one two three four five six seven eight nine ten " * 2
RATE = 40.0
"""Tokens per second of a stream: a burst is bound by it, and not by the cores that all share."""
SLOTS = 4
MEANWHILE_S = 0.7
STALL_S = 0.5
CALM = 40
"""Requests between two stalls: at least one in a hundred then meets one."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    discoveries: int
    pairs: int
    burst: int
    idle_s: float
    stalls: int


FULL, QUICK = Size(5, 200, 60, 30.0, 12), Size(2, 40, 36, 8.0, 3)


def wait_for(true: Callable[[], object]) -> float:
    """Seconds until something is so, looked at every ten milliseconds."""
    began, pause = time.perf_counter(), threading.Event()
    while not true():
        if time.perf_counter() - began > 60:
            raise TimeoutError("it does not become so")
        pause.wait(0.01)
    return time.perf_counter() - began


def start(machine: Machine) -> None:
    machine.house.add_echo("echo", tok_s=RATE)
    machine.house.start()


def first_token_s(machine: Machine, model: str, **fields: Any) -> float:
    """Seconds to the first piece of text of one streamed answer."""
    with machine.house.client() as client:
        client.get("/healthz")  # the connection stands
        began = time.perf_counter()
        body = chat("hi", model=model, stream=True, **fields)
        events = client.stream("/v1/chat/completions", body)
        for event in events:
            if event["choices"] and event["choices"][0]["delta"].get("content"):
                took = time.perf_counter() - began
                list(events)
                return took
    raise ValueError(f"{model} said nothing")


def discovery_s(desk: Machine, lap: Machine, rounds: int) -> list[float]:
    """Forget every address, start again, and see how soon multicast has told them."""
    took = []
    for _ in range(rounds):
        for machine in (desk, lap):
            machine.house.run("stop")
            trusted = machine.house.folders.mesh / "peers.json"
            known = json.loads(trusted.read_text())
            trusted.write_text(json.dumps([{**peer, "addresses": []} for peer in known]))
        desk.house.start()
        lap.house.start()
        took.append(wait_for(lambda: linked(lap)))
    return took


def first_tokens_ms(desk: Machine, lap: Machine, pairs: int) -> tuple[float, float, float]:
    """Milliseconds in the median: by the peer, its own, and a record's way to the disk, in turn."""
    afar, own, synced = [], [], []
    for _ in range(pairs):
        afar.append(first_token_s(lap, "desk/echo"))
        own.append(first_token_s(desk, "echo"))
        synced.append(sync_s(lap.house.folders.state / "like-audit.jsonl"))
    far_ms, own_ms, sync_ms = (1e3 * statistics.median(each[5:]) for each in (afar, own, synced))
    return far_ms, own_ms, sync_ms


def sync_s(path: Path) -> float:
    """Seconds in which a line as long as an audit record is on the disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began = time.perf_counter()
        os.write(file, b"x" * 400)
        os.fdatasync(file)
        return time.perf_counter() - began
    finally:
        os.close(file)


@dataclass(slots=True)
class Door:
    """Where a machine is asked, and for whatever model it chooses."""

    address: str | int
    name: str = "lan"
    model: str = "auto"


async def burst(
    machine: Machine, count: int, extra: Mapping[str, Any], meanwhile: Callable[[], object]
) -> tuple[float, list[Answer]]:
    """Ask all at once, and do something in the middle of it; who had no token then."""
    door = Door(str(machine.house.folders.http_socket))
    answers = [Answer(time.perf_counter()) for _ in range(count)]
    question = Question(WORDS, max_tokens=40, extra=extra)
    began = time.perf_counter()
    running = [asyncio.create_task(ask(door, question, answer)) for answer in answers]
    await asyncio.sleep(MEANWHILE_S)
    waiting = [answer for answer in answers if not answer.times]
    meanwhile()
    for failed in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(failed, BaseException):
            print(f"  broke off: {failed}")
    return time.perf_counter() - began, waiting


def learn_rates(here: Machine) -> None:
    """Have all three machines be known for as fast as they are, which takes some answers."""
    for model in ("echo", "desk/echo", "attic/echo"):
        door = Door(str(here.house.folders.http_socket), model=model)
        asyncio.run(wave(door, [[Question("one two")] * 4] * SLOTS))
    wait_for(lambda: all(model["decode_tok_s"] < 2 * RATE and model["warm"]
                         for peer in peers(here) for model in peer["models"]
                         if model["id"] == "echo"))  # fmt: skip


def burst_ratio(here: Machine, count: int) -> float:
    alone_s, _ = asyncio.run(burst(here, count, {"edgeroute": {"on_device": "only"}}, nothing))
    shared_s, _ = asyncio.run(burst(here, count, {}, nothing))
    print(
        f"  one machine {alone_s:.2f} s, three {shared_s:.2f} s, asked of others {asked_of(here)}"
    )
    return shared_s / alone_s


def nothing() -> None:
    """What is done in the middle of most bursts."""


def death_share(here: Machine, count: int, victim: int) -> tuple[float, int]:
    """The share that was answered of those without a token, and how many those were.

    What broke off after a token had begun: it was on its way to us when the machine died.
    """
    process = psutil.Process(victim)
    _, unheard = asyncio.run(burst(here, count, {}, process.kill))
    waiting = [answer for answer in unheard if answer.ended or not answer.times]
    return sum(answer.ended > 0 for answer in waiting) / max(len(waiting), 1), len(waiting)


def stalled_s(here: Machine, daemons: Mapping[str, int], fields: Mapping[str, Any]) -> list[float]:
    """First tokens one after the other, before and while a machine that answers is stopped.

    Nothing where it was asked nothing meanwhile: that would say as little with hedges as without.
    """
    before = asked_of(here)
    times = [first_token_s(here, "auto", **fields) for _ in range(CALM)]
    calm = asked_of(here)
    likely = max(calm, key=lambda name: calm[name] - before[name])
    victim = psutil.Process(daemons[likely])
    victim.suspend()
    resuming = threading.Timer(STALL_S, victim.resume)
    resuming.start()
    while resuming.is_alive():
        times.append(first_token_s(here, "auto", **fields))
    resuming.join()
    wait_for(lambda: linked(here, len(daemons)))
    return times if asked_of(here)[likely] > calm[likely] else []


def asked_of(here: Machine) -> dict[str, int]:
    """Questions that each peer was asked so far, by its name."""
    return {peer["name"]: peer["asked"] for peer in peers(here)}


def hedged_p99_ms(here: Machine, daemons: Mapping[str, int], stalls: int) -> tuple[float, float]:
    """Milliseconds of the slowest in a hundred, with hedges and without, in turn."""
    for name in daemons:
        for _ in range(CALM):
            first_token_s(here, f"{name}/echo")  # when each is late, is known then
    hedged, plain = [], []
    for _ in range(stalls):
        hedged += stalled_s(here, daemons, {})
        plain += stalled_s(here, daemons, {"edgeroute": {"priority": "background"}})
    with_ms, without_ms = (
        1e3 * statistics.quantiles(times, n=100)[98] for times in (hedged, plain)
    )
    return with_ms, without_ms


def card_bytes(machine: Machine) -> int:
    counters = "/sys/class/net/eth0/statistics/"
    command = [*machine.house.wrapper, "cat", counters + "rx_bytes", counters + "tx_bytes"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(map(int, told.split()))


def idle_bytes_per_s(machine: Machine, seconds: float) -> float:
    threading.Event().wait(5.0)  # what was going on has been told
    before = card_bytes(machine)
    threading.Event().wait(seconds)
    return (card_bytes(machine) - before) / seconds


def of_two(desk: Machine, lap: Machine, size: Size) -> dict[str, float]:
    found: dict[str, float] = {}
    times = discovery_s(desk, lap, size.discoveries)
    found["discovery_s"] = statistics.median(times)
    print(f"discovery             {found['discovery_s']:.2f} s ({min(times):.2f}-{max(times):.2f})")
    found["idle_bytes_per_s"] = idle_bytes_per_s(lap, size.idle_s)
    print(f"idle, one peer        {found['idle_bytes_per_s']:.0f} bytes/s both ways")
    first_token_s(desk, "echo")
    far_ms, own_ms, found["sync_ms"] = first_tokens_ms(desk, lap, size.pairs)
    found["added_ttft_ms"] = far_ms - own_ms
    print(
        f"first token           {far_ms:.2f} ms by a peer, {own_ms:.2f} ms its own; "
        f"a line is on the disk in {found['sync_ms']:.2f} ms"
    )
    return found


def of_three(lap: Machine, attic: Machine, size: Size) -> dict[str, float]:
    learn_rates(lap)
    ratio = burst_ratio(lap, size.burst)
    print(f"burst of {size.burst:<12} {ratio:.2f} of one machine's time")
    share, count = death_share(lap, size.burst, attic.house.status()["pid"])
    print(f"after a death         {share:.0%} of {count} answered")
    return {"burst_3_nodes_ratio": ratio, "answered_after_node_death_share": share}


def of_a_stall(desk: Machine, attic: Machine, pocket: Machine, size: Size) -> dict[str, float]:
    daemons = {"desk": desk.house.status()["pid"], "attic": attic.house.status()["pid"]}
    hedged_ms, plain_ms = hedged_p99_ms(pocket, daemons, size.stalls)
    print(f"one stalls, p99       {hedged_ms:.0f} ms with hedges, {plain_ms:.0f} ms without")
    return {"hedged_p99_ratio": hedged_ms / plain_ms}


def measure(net: Network, size: Size) -> dict[str, float]:
    config = f"slots = {SLOTS}"
    desk, lap = (net.add(name=name, config=config) for name in ("desk", "lap"))
    for machine in (desk, lap):
        start(machine)
    pair_quietly(desk, lap)
    wait_for(lambda: linked(lap))
    found = of_two(desk, lap, size)
    attic, pocket = net.add(name="attic", config=config), net.add(name="pocket")
    start(attic)
    pocket.house.start()  # without a model worth asking
    for machine in (desk, attic):
        pair_quietly(machine, pocket)
    wait_for(lambda: linked(pocket, 2))
    found |= of_a_stall(desk, attic, pocket, size)
    pocket.house.run("stop")
    pair_quietly(attic, lap)
    wait_for(lambda: linked(lap, 2))
    return found | of_three(lap, attic, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the machines are removed then too
    with network() as net:
        found = measure(net, QUICK if options.quick else FULL)
    with network() as net:
        copied = transfer(net, *((256, 3) if options.quick else (1024, 7)))
    found["transfer_share_of_tls"] = copied.share
    print(f"a copied model        {copied.share:.2f} of a bare copy: {copied}")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
