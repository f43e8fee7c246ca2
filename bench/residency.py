"""How long requests wait for models under each policy, and how long the pool thinks.

usage: python bench/residency.py [TRACES] [--quick] [--json]

TRACES is a folder of NAME.jsonl and NAME.cards.json as `edgeroute eval residency` reads them;
without it, EDGEROUTE_EVAL_DATA/traces. Each trace is replayed under every policy at the shares of
all weights that are in `_SHARES`. `PoolState.handle` is timed on 200 models of which a third fit,
with requests by Zipf's law that make one event in four an eviction or a load.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from pathlib import Path

from places import traces

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import MIB, Bytes, LeaseId, ModelId
from edgeroute.evaluation.residency import evaluate, read_cards
from edgeroute.evaluation.residency_machine import SpeedCard, TraceRow
from edgeroute.evaluation.residency_pool import spec_of
from edgeroute.evaluation.rows import read_rows
from edgeroute.residency.messages import (
    ConditionsChanged,
    Event,
    Exited,
    LeaseAsked,
    LeaseDropped,
    Loaded,
    Reclaimed,
    Start,
    Stop,
    Tick,
    WakeAt,
)
from edgeroute.residency.pool import PoolState

_SHARES = {
    "zipf-40": (0.25, 0.4, 0.6), "laptop-week": (0.6,), "azure-mix": (0.4,),
    "thrash": (0.8, 0.9613),
}  # fmt: skip
"""80% of what the models of `thrash` hold, with 8192 tokens each, are 96.13% of their weights."""
_COUNTED_FROM_S = {"laptop-week": 2 * 86_400.0}
"""The first two days are there to learn from."""
_MODELS = 200
_MODEL_BYTES = 100 * MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="?", help="folder of traces and cards")
    parser.add_argument("--quick", action="store_true", help="end within 50 s")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told: dict[str, object] = {"handle_us": time_handle(2_000 if options.quick else 10_000)}
    print("handle, microseconds", told["handle_us"], file=sys.stderr)
    told["traces"] = replay_all(traces(options.traces), quick=options.quick)
    if options.json:
        print(json.dumps(told))


# ---- replays ------------------------------------------------------------------------------------


def replay_all(folder: Path | None, *, quick: bool) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, shares in _SHARES.items():
        if folder is None or not (folder / f"{name}.jsonl").exists():
            print(f"{name}: no trace", file=sys.stderr)
            continue
        rows = list(read_rows(folder / f"{name}.jsonl", TraceRow))
        cards = read_cards(folder / f"{name}.cards.json")
        weights = sum(card.weights_bytes for card in cards.values())
        for share in shares[-1:] if quick else shares:
            report = evaluate(rows, cards, int(share * weights), _COUNTED_FROM_S.get(name, 0.0))
            told[f"{name} at {share:.0%}"] = report
            show(f"{name} at {share:.0%}", report["policies"])
    return told


def show(title: str, policies: object) -> None:
    assert isinstance(policies, dict)
    lru = policies["lru"]
    print(f"\n{title:<20} of LRU's: wait loads p95 TTFT  wait s  max s  refused  wasted GB")
    for name, figures in policies.items():
        ratios = (
            figures[key] / lru[key] if lru[key] else float("nan")
            for key in ("load_wait_s", "cold_starts", "ttft_p95_s")
        )
        print(
            f"{name:<27}", *(f"{ratio:6.2f}" for ratio in ratios),
            f"{figures['load_wait_s']:10.0f} {figures['max_wait_s']:6.1f}",
            f"{figures['refused']:7} {figures['wasted_load_bytes'] / 1e9:9.0f}",
        )  # fmt: skip


# ---- the pool's own time ------------------------------------------------------------------------


def time_handle(requests: int) -> dict[str, float]:
    """Microseconds per event: median and p99, and the median of those that started or stopped."""
    rng = random.Random(1)
    names = [ModelId(f"m{i:03d}") for i in range(_MODELS)]
    card = SpeedCard(_MODEL_BYTES, 0, 1.0, 100.0, 10.0)
    state = PoolState(
        [spec_of(name, card) for name in names], Budget(Bytes(_MODELS * _MODEL_BYTES // 3))
    )
    weights = [1 / (k + 1) for k in range(_MODELS)]
    footprint = Footprint(file=Bytes(_MODEL_BYTES))
    took: list[int] = []
    moving: list[int] = []
    now = 0.0
    alarm = float("inf")

    def tell(event: Event) -> None:
        nonlocal alarm
        began = time.perf_counter_ns()
        out = state.handle(event, now)
        took.append(time.perf_counter_ns() - began)
        if any(isinstance(each, Start | Stop) for each in out):
            moving.append(took[-1])
        for each in out:
            match each:
                case Stop(model=model):
                    tell(Exited(model))
                    tell(Reclaimed(model))
                case Start(plan=plan):
                    tell(Loaded(plan.model, footprint, 1.0))
                case WakeAt(at=at):
                    alarm = at
                case _:
                    pass

    tell(ConditionsChanged(may_prewarm=True))
    gc.disable()
    for number in range(requests):
        now += rng.expovariate(0.5)
        if now >= alarm:
            alarm = float("inf")
            tell(Tick())
        tell(LeaseAsked(LeaseId(number), rng.choices(names, weights)[0]))
        now += rng.expovariate(1.0)
        tell(LeaseDropped(LeaseId(number)))
    gc.enable()
    return {
        "median": round(statistics.median(took) / 1e3, 1),
        "p99": round(statistics.quantiles(took, n=100)[98] / 1e3, 1),
        "median_of_starts_and_stops": round(statistics.median(moving) / 1e3, 1),
        "events": len(took),
    }


if __name__ == "__main__":
    main()
