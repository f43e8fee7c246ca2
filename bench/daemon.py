#!/usr/bin/env python3
"""What the daemon itself costs: its start, its idle memory and CPU, its share of the first token.

    python bench/daemon.py [--quick] [--json]

- start_s: from spawning `edgeroute serve` to the first accepted request; median of five.
- idle_pss_mb, idle_cpu_pct: a daemon that has no model loaded, over 30 s (--quick: 10 s).
- added_ttft_ms: first token through the daemon's HTTP socket, and through `rpc.sock` with the
  Python client for asyncio, minus first token straight from a worker of the same kind; medians over
  interleaved rounds. The worker is the `echo` engine: a real process and the same frames, without
  compute.
- decide_us, decide_with_chain_us: one decision among 300 candidates, features ready; among as many
  that all may answer and draft, where a chain is what is chosen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import time
from dataclasses import replace
from typing import Any

import psutil
from house import House

import edgeroute
from edgeroute.backends.spawn import SpawnBackend
from edgeroute.client.asynchronous import AsyncConnection
from edgeroute.domain.decision import Decision
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits, Message, Request
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId, RequestId
from edgeroute.domain.verification import Checkable
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.quality import Quality
from edgeroute.routing.view import View
from edgeroute.sensors.machine import Machine

PROMPT = "measure the first token of this short question please"


def measure_starts(house: House, runs: int) -> list[float]:
    seconds = []
    for _ in range(runs + 1):  # the first fills the file cache and is not counted
        seconds.append(house.start())
        house.stop()
    return seconds[1:]


def measure_idle(house: House, seconds: float) -> tuple[float, float]:
    """PSS in MB and CPU in percent of one core, of a daemon that never loaded a model."""
    house.start()
    try:
        time.sleep(2)  # let the start settle; what is measured is idleness
        before = psutil.Process(house.pid).cpu_times()
        began = time.monotonic()
        time.sleep(seconds)
        after = psutil.Process(house.pid).cpu_times()
        lasted = time.monotonic() - began
        held = Machine().footprint(house.pid)
        assert held is not None
        used = (after.user + after.system) - (before.user + before.system)
        return held.ram / 1e6, 100 * used / lasted
    finally:
        house.stop()


async def measure_ttft(house: House, rounds: int) -> dict[str, list[float]]:
    """Milliseconds to the first token: through the daemon's doors, and straight from a worker."""
    house.start()
    worker = await SpawnBackend(Machine().footprint, Machine().anonymous).start(
        LoadPlan(ModelId("echo"), "", context=4096, slots=4, threads=1, echo=EchoBehaviour()),
        lambda _share: None,
    )
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    taken: dict[str, list[float]] = {"http": [], "rpc": [], "worker": []}
    try:
        async with edgeroute.connect_async(house.rpc) as rpc:
            ways = {
                "http": lambda: _through_http(reader, writer),
                "rpc": lambda: _through_rpc(rpc),
                "worker": lambda: _direct(worker),
            }
            for number in range(rounds + 20):  # the first twenty warm all up
                for way in random.sample(list(ways), len(ways)):
                    took = await ways[way]()
                    if number >= 20:
                        taken[way].append(took * 1e3)
    finally:
        writer.close()
        await worker.stop(1.0)
        house.stop()
    return taken


async def _direct(worker: Any) -> float:
    request = Request(RequestId("b"), "echo", (Message("user", PROMPT),), stream=True)
    began = time.perf_counter()
    answer = worker.generate(request, expected_tokens=16)
    await anext(answer)
    took = time.perf_counter() - began
    async for _ in answer:
        pass
    return took


async def _through_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    body = json.dumps(
        {"model": "echo", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: e\r\ncontent-length: {len(body)}\r\n\r\n"
    began = time.perf_counter()
    writer.write(head.encode() + body)
    await reader.readuntil(b'"content":"m')  # the first word of the prompt, echoed
    took = time.perf_counter() - began
    await reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
    return took


async def _through_rpc(rpc: AsyncConnection) -> float:
    began = time.perf_counter()
    async with rpc.stream(PROMPT, model="echo") as stream:
        pieces = aiter(stream)
        await anext(pieces)
        took = time.perf_counter() - began
        async for _ in pieces:
            pass
    return took


def a_view(candidates: int) -> View:
    """A request that some of so many drawn targets may answer."""
    rng = random.Random(1)
    targets = [
        Target(
            id=ModelId(f"model-{number:03}"),
            zone=rng.choice(list(Zone)),
            context=rng.choice([2048, 8192, 32768]),
            parameters=rng.choice([135, 500, 1500, 7000, 70000]) * 10**6,
            rates=Rates(rng.uniform(0.1, 20), rng.uniform(50, 500), rng.uniform(5, 100), 10.0),
            bytes_needed=Bytes(rng.randrange(100 * MIB, 12 * GIB)),
            warmth=rng.choice([Warmth.COLD, Warmth.WARM]),
            max_label=rng.choice(list(Label)),
            usd_in_per_mtok=rng.uniform(0, 3),
            usd_out_per_mtok=rng.uniform(0, 10),
            scores={task: rng.random() for task in rng.sample(list(Task), 4)},
        )
        for number in range(candidates)
    ]
    return View(
        id=RequestId("b"),
        app="default",
        features=Features(Task.CODING, 0.8, prompt_tokens=200, output_tokens=300),
        limits=Limits(deadline_s=60.0),
        label=Label.INTERNAL,
        pinned_model=None,
        profile=Profile("balanced", ""),
        profile_reason="as configured",
        power=Power("ac"),
        budget_bytes=Bytes(8 * GIB),
        now=0.0,
        draw=0.5,
        roster=Roster.of(targets),
    )


def with_a_chain(view: View) -> View:
    """The same request where all that are drawn are warm, here, and faster the worse they are."""
    count = len(view.roster)
    targets = [
        replace(
            target,
            zone=Zone.DEVICE,
            warmth=Warmth.WARM,
            context=8192,
            max_label=Label.SECRET,
            usd_in_per_mtok=0.0,
            usd_out_per_mtok=0.0,
            bytes_needed=Bytes(GIB),
            rates=Rates(1.0, 10 * speed, speed, 10.0),
            scores={Task.EXTRACT: 0.3 + 0.6 * at / count},
        )
        for at, target in enumerate(view.roster.targets)
        for speed in [500.0 - 450.0 * at / count]
    ]
    roster = Roster.of(targets)
    features = Features(Task.EXTRACT, 1.0, 50, 20, checkable=Checkable.FORMALLY)
    evidence = Quality(1).evidence(features, None, roster, "here")
    profile = replace(view.profile, per_second=0.2)
    chained = replace(
        view, features=features, roster=roster, evidence=evidence, profile=profile, streamed=True
    )
    decided = decide(chained)
    assert isinstance(decided, Decision), decided
    assert decided.cascade is not None, decided
    return chained


def measure_decide(view: View, runs: int) -> list[float]:
    """Microseconds per decision."""
    taken = []
    for number in range(runs + 100):
        began = time.perf_counter_ns()
        decide(view)
        if number >= 100:
            taken.append((time.perf_counter_ns() - began) / 1e3)
    return taken


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def spread(values: list[float]) -> str:
    low, high = percentile(values, 0.05), percentile(values, 0.95)
    return f"{statistics.median(values):.3f} (p5-p95 {low:.3f}-{high:.3f})"


def _quantiles(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(values), 1), "p99": round(percentile(values, 0.99), 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer runs; under 50 s")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    house = House()
    house.add_model("echo")
    try:
        starts = measure_starts(house, runs=3 if options.quick else 5)
        pss_mb, cpu_pct = measure_idle(house, seconds=10 if options.quick else 30)
        ttft = asyncio.run(measure_ttft(house, rounds=200 if options.quick else 500))
    finally:
        house.remove()
    view, runs = a_view(300), 2000 if options.quick else 10_000
    decides, chained = measure_decide(view, runs), measure_decide(with_a_chain(view), runs)
    direct = statistics.median(ttft["worker"])
    cpu = Machine().hardware().cpu
    print(f"machine      {cpu.model}, {len(cpu.allowed)} cores, Python {platform.python_version()}")
    print(f"start        {spread(starts)} s, {len(starts)} runs")
    print(f"idle         {pss_mb:.1f} MB PSS, {cpu_pct:.2f}% CPU")
    print(f"first token  {spread(ttft['worker'])} ms straight, {len(ttft['worker'])} rounds")
    for door in ("http", "rpc"):
        took = statistics.median(ttft[door])
        print(f"  {door:10} {spread(ttft[door])} ms, {took - direct:+.3f} ms, {took / direct:.1f}x")
    print(f"decide       {spread(decides)} us, 300 candidates, {len(decides)} runs")
    print(f"  and drafts {spread(chained)} us, of as many that all may, {len(chained)} runs")
    if options.json:
        figures = {
            "start_s": round(statistics.median(starts), 3),
            "idle_pss_mb": round(pss_mb, 1),
            "idle_cpu_pct": round(cpu_pct, 3),
            "added_ttft_ms": {
                door: round(statistics.median(ttft[door]) - direct, 3) for door in ("http", "rpc")
            },
            "decide_us": _quantiles(decides),
            "decide_with_chain_us": _quantiles(chained),
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
