#!/usr/bin/env python3
"""Joules: how well they are predicted, shared among queries, and kept to a budget.

usage: python bench/energy.py [TRACES] [--quick] [--json] [--only PART ...]

Parts: prediction, attribution, sensors, battery. The first two ask a real daemon, whose meter is
the best that this machine has; where no counter can be read that is CPU time, so that errors are
those of CPU seconds. TRACES is a folder with laptop-week.jsonl and laptop-week.cards.json; without
it, EDGEROUTE_EVAL_DATA/traces.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from metered_queries import attribution, daemon, prediction
from places import traces

from edgeroute.catalog.devices import recognise
from edgeroute.catalog.folders import shipped
from edgeroute.catalog.profiles import read_profiles
from edgeroute.client.http import Client
from edgeroute.daemon.energy import build_metering
from edgeroute.domain.features import Task
from edgeroute.domain.profile import Profile
from edgeroute.evaluation import battery_day
from edgeroute.runtime.telemetry import BUSY_S, CALM_S
from edgeroute.sensors.machine import Machine

PARTS = ("prediction", "attribution", "sensors", "battery")
HELD_OUT_SEED = 2
"""Of the drawn days; rules were looked at with 1 alone."""
WATTS = 25.0
"""Of a laptop's processor under load, for the days on battery."""
SUPPLIES = {
    "charge": battery_day.charged,
    "charge_differs": battery_day.topped_up,
    "hours_drawn": battery_day.hourly,
    "hours_even": battery_day.even,
}
"""What is known of a day's joules: the first is what a profile's share of the battery says."""
TASKS = {
    "mail": Task.REWRITE, "code": Task.CODING, "search": Task.KNOWLEDGE_QA,
    "notes": Task.SUMMARISE, "chat": Task.CHIT_CHAT, "translate": Task.TRANSLATE,
    "triage": Task.CLASSIFY,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="?", help="folder of traces and cards")
    parser.add_argument("--quick", action="store_true", help="end within 50 s")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--plot", type=Path, help="write the profiles' plot to this SVG file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the daemon is ended then too
    told: dict[str, Any] = {}
    if {"prediction", "attribution"} & set(options.only):
        with daemon(big=not options.quick) as socket, Client(socket) as client:
            if "prediction" in options.only:
                told |= prediction(client, quick=options.quick)
            if "attribution" in options.only:
                told |= attribution(client, socket, quick=options.quick)
    if "sensors" in options.only:
        told |= sensors()
    if "battery" in options.only:
        supplies = tuple(SUPPLIES)[:1] if options.quick else tuple(SUPPLIES)
        told |= battery(options.traces, 20 if options.quick else 100, supplies, options.plot)
    if options.json:
        print(json.dumps(told))


# ---- sensors ------------------------------------------------------------------------------------


def sensors() -> dict[str, Any]:
    """CPU time of readings, as a share of one core at the pace at which they are taken.

    A daemon reads its telemetry and meters every 5 s and, while a model is in memory, the RAM alone
    every second; while it generates, the telemetry every second, its meters ten times and CPU times
    of processes four times.
    """
    machine, ours = Machine(), (os.getpid(), os.getppid())
    hardware = machine.hardware()
    metering = build_metering(machine, recognise(hardware), lambda: ours[1:], list, {})
    told_s, meters_s, memory_s, cores_s = (
        cpu_of(read, 1000)
        for read in (
            machine.telemetry,
            metering.look_idle,
            machine.memory,
            lambda: machine.cpu_times(hardware.cpu.allowed, ours),
        )
    )
    calm = (told_s + meters_s) / CALM_S
    states = {
        "idle": calm + memory_s / CALM_S,
        "with a model": calm + memory_s,
        "generating": told_s / BUSY_S + meters_s * 10 + memory_s + cores_s * 4,
    }
    shares = {state: round(100 * share, 4) for state, share in states.items()}
    print(
        "sensors      of a core: "
        + ", ".join(f"{share:.3f}% {state}" for state, share in shares.items())
        + f" (telemetry {told_s * 1e3:.2f} ms, meters {meters_s * 1e3:.2f} ms, "
        f"memory {memory_s * 1e3:.2f} ms, cores {cores_s * 1e3:.2f} ms)"
    )
    return {"sensor_cpu_pct": max(shares.values()), "sensor_cpu_pct_by_state": shares}


def cpu_of(read: Any, count: int) -> float:
    read()
    began = time.process_time()
    for _ in range(count):
        read()
    return (time.process_time() - began) / count


# ---- days on battery ----------------------------------------------------------------------------


def battery(
    named: str | None, curves: int, supplies: Sequence[str], plot: Path | None
) -> dict[str, Any]:
    folder = traces(named)
    if folder is None or not (folder / "laptop-week.jsonl").exists():
        print("battery      no trace laptop-week", file=sys.stderr)
        return {}
    profiles = read_profiles(shipped("profiles"))
    base = profiles["balanced"]
    days = week(folder, base)
    figures = {
        name: budgeted(name, days, curves, base.per_joule, SUPPLIES[name]) for name in supplies
    }
    told = side_by_side(folder, profiles)
    if plot is not None:
        plot.write_text(svg(told))
    return {"battery_day": {**figures.pop("charge"), **figures}, "profiles": told}


def budgeted(name: str, days: Any, curves: int, base: float, supply: Any) -> dict[str, float]:
    """Days under 60% of what they would take; the budget's rules were chosen with other draws."""
    found = battery_day.evaluate(days, 0.6, curves, base, supply, HELD_OUT_SEED)
    print(
        f"battery day  {curves} days, {name}: taken {found.used:.1f}% of the budget in the "
        f"median, {found.least_used:.1f}% at least, {found.overshoot:+.1f}% over it at most; "
        f"quality {found.share:.3f} of the best fixed weight on the same batteries, "
        f"{found.hindsight:.3f} of the one found for each day afterwards"
    )
    return {
        "overshoot_pct": round(found.overshoot, 2),
        "used_pct": round(found.used, 2),
        "least_used_pct": round(found.least_used, 2),
        "quality_share": round(found.share, 4),
        "quality_share_hindsight": round(found.hindsight, 4),
    }


def week(folder: Path, profile: Profile) -> list[list[battery_day.Asked]]:
    """Requests of each day of the trace, decided among all its models."""
    cards = json.loads((folder / "laptop-week.cards.json").read_text())
    models = [
        battery_day.Speeds(
            float(name.split("-")[1][:-1]) * 1e9, card["prefill_tok_s"], card["decode_tok_s"], WATTS
        )
        for name, card in cards.items()
    ]
    days: dict[int, list[battery_day.Asked]] = defaultdict(list)
    for line in (folder / "laptop-week.jsonl").read_text().splitlines():
        row = json.loads(line)
        app = row["session"].split("-")[0]
        tokens = row["prompt_tokens"], row["output_tokens"]
        asked = battery_day.ask(row["t_s"], TASKS[app], tokens, models, profile)
        days[int(row["t_s"] // 86_400)].append(replace(asked, background=app == "triage"))
    return [sorted(days[day], key=lambda asked: asked.at_s) for day in sorted(days)]


def side_by_side(folder: Path, profiles: Any) -> dict[str, dict[str, float]]:
    """The whole week under every profile, without a budget."""
    told = {}
    print("\n| profile | kJ a day | P(good answer) | J per good answer |\n|---|---|---|---|")
    for name, profile in sorted(profiles.items()):
        days = week(folder, profile)
        found = [battery_day.fixed(day, profile.per_joule) for day in days]
        joules, good = sum(day.taken for day in found), sum(day.quality for day in found)
        told[name] = {
            "kj_per_day": round(joules / len(days) / 1000, 2),
            "quality": round(good / sum(map(len, days)), 4),
            "j_per_good_answer": round(joules / good, 1),
        }
        figures = told[name]
        print(
            f"| {name} | {figures['kj_per_day']:.1f} | {figures['quality']:.3f} "
            f"| {figures['j_per_good_answer']:.0f} |"
        )
    return told


def svg(profiles: dict[str, dict[str, float]]) -> str:
    """Expected quality over joules, one point per profile."""
    wide, high, edge = 640, 400, 60
    most_j = 1.15 * max(p["kj_per_day"] for p in profiles.values())
    worst, best = (pick(p["quality"] for p in profiles.values()) for pick in (min, max))
    worst, best = worst - 0.03, best + 0.03
    marks = []
    places: dict[tuple[float, float], list[str]] = defaultdict(list)
    for name, figures in profiles.items():
        places[figures["kj_per_day"], figures["quality"]].append(name)
    for (kilojoules, quality), names in places.items():
        x = edge + kilojoules / most_j * (wide - 2 * edge)
        y = high - edge - (quality - worst) / (best - worst) * (high - 2 * edge)
        marks.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="#26a"/>')
        marks.append(f'<text x="{x + 9:.0f}" y="{y + 4:.0f}">{", ".join(names)}</text>')
    axes = "".join(
        f'<text x="{edge + step / 4 * (wide - 2 * edge):.0f}" y="{high - edge + 18}" '
        f'text-anchor="middle">{most_j * step / 4:.0f}</text>'
        f'<text x="{edge - 8}" y="{high - edge - step / 4 * (high - 2 * edge) + 4:.0f}" '
        f'text-anchor="end">{worst + (best - worst) * step / 4:.2f}</text>'
        for step in range(5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{wide}" height="{high}" fill="white"/>'
        f'<path d="M{edge},{edge} V{high - edge} H{wide - edge}" fill="none" stroke="black"/>'
        f"{axes}{''.join(marks)}"
        f'<text x="{wide / 2}" y="{high - 14}" text-anchor="middle">kJ a day</text>'
        f'<text x="16" y="{edge - 20}">P(good answer), by the size prior</text></svg>\n'
    )


if __name__ == "__main__":
    main()
