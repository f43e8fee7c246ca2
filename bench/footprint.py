#!/usr/bin/env python3
"""What models are predicted to take in memory, and what their workers really do.

    python bench/footprint.py [--quick] [--json] [--slots N] [--model FILE ...]

Each model is loaded twice at each context size, in a worker as the daemon spawns it, and answers
one prompt per slot twice. Memory is PSS of `smaps_rollup`, once the worker is ready and at most
until the last answer, read every tenth of a second. The first load is compared with the prediction
from the file's header, the second with what was learned of the first: both as the daemon does it.
Models are copied beforehand, so that no other process maps the same file.

Goals: within 15% on the first load and 5% on the second. Times are not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fetch_models
from clients import words
from places import SMOLLM2

from edgeroute.backends.instruments import requantise
from edgeroute.backends.spawn import SpawnBackend
from edgeroute.domain.card import ModelShape
from edgeroute.domain.load import Footprint, LoadPlan, Pools
from edgeroute.domain.request import Message, Request, Sampling
from edgeroute.domain.units import MIB, Bytes, ModelId, RequestId
from edgeroute.ports import Runner
from edgeroute.residency.footprint import learned, predict, predict_pools
from edgeroute.residency.room import at_least
from edgeroute.sensors.machine import Machine
from edgeroute.wire.gguf import read_header
from edgeroute.wire.shape import shape_of

CONTEXTS = (512, 2048, 4096, 8192)
GOALS = (0.15, 0.05)
PROMPT_WORDS, ANSWER_TOKENS = 90, 8
"""Some 120 tokens and their template, which fit the smallest context."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load: what was expected of it, and what it was."""

    model: str
    context: int
    slots: int
    number: int
    expected: Footprint
    ready: Footprint
    most: Footprint
    pools: Pools
    expected_pools: Pools

    @property
    def error(self) -> float:
        """Of what was booked, against the most that was held."""
        return self.expected.ram / self.most.ram - 1

    @property
    def error_ready(self) -> float:
        """Against what was held when it was ready."""
        return self.expected.ram / self.ready.ram - 1


def questions(plan: LoadPlan) -> Iterator[Request]:
    for slot in range(2 * plan.slots):
        prompt = words(random.Random(slot), PROMPT_WORDS)
        yield Request(
            RequestId(f"q{slot}"),
            plan.model,
            (Message("user", prompt),),
            Sampling(temperature=0.8, seed=slot, max_tokens=ANSWER_TOKENS),
        )


async def answer(runner: Runner, request: Request) -> None:
    async for _ in runner.generate(request, ANSWER_TOKENS):
        pass


async def load(machine: Machine, plan: LoadPlan) -> tuple[Runner, Footprint]:
    """Load, answer, end: the runner with what it held when it was ready, and the most."""
    runner = await SpawnBackend(machine.footprint, machine.anonymous).start(
        plan, lambda _share: None
    )
    most = runner.footprint

    async def watch() -> None:
        nonlocal most
        while True:
            most = at_least(most, machine.footprint(runner.pid) or Footprint())
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        await asyncio.gather(*(answer(runner, request) for request in questions(plan)))
        most = at_least(most, machine.footprint(runner.pid) or Footprint())
    finally:
        watching.cancel()
        await runner.stop(5.0)
    return runner, most


async def both_loads(machine: Machine, shape: ModelShape, plan: LoadPlan) -> list[Load]:
    loads: list[Load] = []
    known: Footprint | None = None
    predicted = predict(shape, plan)
    for number in (1, 2):
        expected = known or predicted
        runner, most = await load(machine, plan)
        loads.append(
            Load(
                plan.model,
                plan.context,
                plan.slots,
                number,
                expected,
                runner.footprint,
                most,
                runner.pools,
                predict_pools(shape, plan),
            )
        )
        # As `residency/registry` learns: when it is ready, and again when it has grown.
        known = at_least(learned(known, runner.footprint, predicted), most)
    return loads


def run(models: Sequence[Path], contexts: Sequence[int], slots: int) -> Iterator[Load]:
    machine = Machine()
    threads = machine.hardware().cpu.threads
    with tempfile.TemporaryDirectory() as scratch:
        for model in models:
            copy = Path(scratch) / model.name
            if model.suffix == ".gguf":
                shutil.copyfile(model, copy)
            else:  # `tuned`: the starter model as `edgeroute models tune` keeps it
                copy = copy.with_suffix(".gguf")
                requantise(SMOLLM2, copy, "Q8_0", threads)
            shape = shape_of(read_header(copy))
            for context in contexts:
                plan = LoadPlan(ModelId(copy.stem), str(copy), context, slots, threads)
                yield from asyncio.run(both_loads(machine, shape, plan))
            copy.unlink()


def mib(held: Bytes) -> str:
    return f"{held / MIB:,.0f}"


def line(each: Load) -> str:
    goal = "" if abs(each.error) <= GOALS[each.number - 1] else "  MISSED"
    pools = " ".join(f"{name} {mib(held)}" for name, held in asdict(each.pools).items() if held)
    return (
        f"{each.model[:34]:34} {each.context:5} {each.number}  {mib(each.expected.ram):>6} "
        f"{mib(each.ready.ram):>6} {mib(each.most.ram):>6}  {each.error_ready:+6.1%} "
        f"{each.error:+6.1%}  {pools}{goal}"
    )


def figures(each: Load) -> dict[str, Any]:
    return {
        **asdict(each),
        "error": round(each.error, 4),
        "error_ready": round(each.error_ready, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="the starter model, two contexts")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--model", type=Path, nargs="+", help="files; `tuned` makes the Q8_0")
    options = parser.parse_args()
    everything = [SMOLLM2, Path("tuned"), *map(fetch_models.path_of, fetch_models.SOURCES)]
    models = options.model or ([SMOLLM2] if options.quick else everything)
    contexts = CONTEXTS[:2] if options.quick else CONTEXTS
    print(f"{platform.machine()}, {options.slots} slots; MiB; errors against ready and most")
    print(f"{'model':34} {'ctx':>5} n  booked  ready   most   ready   most  pools when ready")
    loads = []
    for each in run(models, contexts, options.slots):
        loads.append(each)
        print(line(each), flush=True)
    for number, goal in enumerate(GOALS, 1):
        worst = max(abs(each.error) for each in loads if each.number == number)
        print(f"load {number}: worst {worst:.1%}, goal {goal:.0%}")
    if options.json:
        print(json.dumps({"loads": [figures(each) for each in loads]}))


if __name__ == "__main__":
    main()
