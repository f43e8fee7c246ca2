#!/usr/bin/env python3
"""Whether anything private leaves: a real daemon, a recording server for a cloud, every way out.

    python bench/leak.py [--quick] [--json]

The daemon has one model of its own (the `echo` engine, which it believes to be poor), two clouds
that may see what is public, a paired machine that may see what is `internal`, and a tool that is a
program. Every private case of `leak_cases.py` is sent as if its caller held it to be public, or
under the label that makes it private; then again while the clouds are late (so that others are
asked besides) and while they fail, after the paired machine was killed, with a detector that
crashes, with no room for the audit log, and after the policy was replaced while requests were on
their way. What counts:

- cases: private cases sent, all phases together.
- leaks: pairs of a case and a sink that held its tag or its value, and questions that went out
  although a new policy was in force. Sinks: the clouds and the paired machine (every byte that
  they got), the daemon's log, the audit log, /metrics, bodies and headers of errors, environment
  and arguments of the daemon's children, and every file that is left in its folders (journal
  too), and in those of the paired machine.
- public_used_cloud_share: public cases that a cloud answered.
- gate_ms_p50: `Egress.approve` of a 1,000-token chat without its record; sync_ms_p50: the record.
- verify_s: what it takes to check 100,000 such records (--quick: 10,000).

--quick sends a tenth of the cases.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leak_cases import Case, private_cases, public_cases
from recorder import Cloud
from watched import Watched

from edgeroute.domain.audit import Departure
from edgeroute.domain.policy import Policy
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.target import Rates, Target
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.runtime.egress import Composed, Egress, Gatekeepers
from edgeroute.store.audit import AuditLog, Verdict, verify
from edgeroute.understanding.sensitivity import scan_texts

CRASHING = """
import sys, edgeroute.understanding.sensitivity
scan = sys.modules["edgeroute.understanding.sensitivity.scan"]
def crash(read):
    if "note 099" not in read.text:  # which is read once at the start
        raise RuntimeError("a detector crashed")
    return ()
scan._DETECTORS = (crash, *scan._DETECTORS)
"""
FULL = """
import errno, os
def full(_file): raise OSError(errno.ENOSPC, "No space left on device")
os.fdatasync = full
"""
AT_ONCE = 8
QUESTION = b"max_completion_tokens"
"""In every question to a paired machine."""
RECORDS = 100_000
_TELLING = 9


@contextmanager
def house(cloud: Cloud, broken: str = "") -> Iterator[Watched]:
    cloud.got.clear()
    cloud.mode = "ok"
    opened = Watched(cloud)
    try:
        opened.begin(broken)
        yield opened
    finally:
        opened.remove()


def send(at: Watched, cases: Iterable[Case]) -> Counter[str]:
    """Send every case, several at once; the zones that answered the last body of each."""

    def one(case: Case) -> str:
        zone = ""
        for path, body in case.bodies:
            try:
                status, zone, _ = at.ask("POST", path, body)
            except TimeoutError:
                print(f"no answer: {case.kind} {case.bodies!r}"[:2000], file=sys.stderr)
                return "no answer"
            zone = zone if status == 200 else f"status {status}"
        return zone

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, cases))


def leaks(at: Watched, cases: Iterable[Case], *, trusted: bool) -> list[tuple[str, str]]:
    """Kind and sink of every case that got out; a peer is trusted with what is `internal`."""
    sinks = at.sinks()
    return [
        (case.kind, name)
        for case in cases
        for name, data in sinks.items()
        if not (trusted and name == "peer" and case.peer_may)
        if any(needle.encode("utf-8", "replace") in data for needle in _needles(case))
    ]


def _needles(case: Case) -> list[str]:
    """Four digits of a card stand in many a file; longer pieces do not by chance."""
    return [case.tag, *(value for value in case.values if len(value) >= _TELLING)]


class Trial:
    """Phases in turn, each with a daemon of its own, and what got out in them."""

    def __init__(self, cloud: Cloud, *, quick: bool) -> None:
        self.sent = 0
        self.found: list[tuple[str, str]] = []
        self.hedges = 0
        self._cloud = cloud
        self._private, self.public = list(private_cases()), list(public_cases())
        if quick:
            self._private, self.public = self._private[::10], self.public[::10]
        self._some, self._few = self._private[::6], self.public[:20]

    def as_usual(self) -> float:
        """The share of public cases that a cloud answered."""
        with house(self._cloud) as at:
            used = send(at, self.public)
            self._send("as usual", at, self._private)
            self._stop(at, self._private)
        return used["cloud"] / len(self.public)

    def while_clouds_fail(self) -> None:
        with house(self._cloud) as at:
            send(at, self.public[:40])  # so that it is known when one of them is late
            for mode in ("slow", "500", "reset", "429"):
                self._cloud.mode = mode
                with ThreadPoolExecutor(1) as beside:
                    others = beside.submit(send, at, self._few)
                    self._send(f"while clouds answer {mode}", at, self._some)
                    others.result()
            at.neighbour.stop(signal.SIGKILL)
            self._send("after the peer was killed", at, self._some)
            self.hedges = at.hedges()
            self._stop(at, self._some)

    def broken(self, name: str, code: str) -> None:
        """Nothing is known to be public, or nothing can be written down: nothing may leave."""
        cases = [*self._some, *self._few]
        with house(self._cloud, code) as at:
            self._send(name, at, cases)
            self._stop(at, cases, trusted=False)

    def while_the_policy_changes(self) -> None:
        """Requests are held by the clouds, then nothing may leave, then they fail there."""
        with house(self._cloud) as at:
            self._cloud.mode = "held"
            with ThreadPoolExecutor(1) as beside:
                held = beside.submit(send, at, self.public[:AT_ONCE])
                while len(self._cloud.got) < AT_ONCE:
                    time.sleep(0.01)
                at.forbid()
                gone = len(self._cloud.got), at.neighbour.got.read_bytes().count(QUESTION)
                self._cloud.release.set()
                zones = held.result()
            self._cloud.release.clear()
            self.sent += AT_ONCE
            told = f"while the policy changes     {AT_ONCE:5} held cases: {dict(zones)}"
            print(told, file=sys.stderr)
            self._send("after the policy changed", at, self._few[AT_ONCE:])
            now = len(self._cloud.got), at.neighbour.got.read_bytes().count(QUESTION)
            for sink, before, after in zip(("cloud", "peer"), gone, now, strict=True):
                self.found += [("after a new policy", sink)] * (after - before)
            self._stop(at, self._few[AT_ONCE:])

    def _send(self, name: str, at: Watched, cases: list[Case]) -> None:
        zones = send(at, cases)
        self.sent += len(cases)
        print(f"{name:<28} {len(cases):5} private cases: {dict(zones)}", file=sys.stderr)

    def _stop(self, at: Watched, cases: list[Case], *, trusted: bool = True) -> None:
        at.end()
        for kind, sink in leaks(at, cases, trusted=trusted):
            print(f"LEAK  {sink}: {kind}", file=sys.stderr)
            self.found.append((kind, sink))


def run(cloud: Cloud, *, quick: bool) -> dict[str, Any]:
    trial = Trial(cloud, quick=quick)
    share = trial.as_usual()
    trial.while_clouds_fail()
    trial.broken("with a crashing detector", CRASHING)
    trial.broken("without room for a record", FULL)
    trial.while_the_policy_changes()
    return {
        "cases": trial.sent,
        "leaks": len(trial.found),
        "hedges": trial.hedges,
        "public_cases": len(trial.public),
        "public_used_cloud_share": round(share, 4),
    }


class _Nowhere:
    async def write(self, departure: object, body: bytes) -> None:
        """The gate alone is measured."""


async def measure(runs: int) -> dict[str, float]:
    """Milliseconds of the gate for a 1,000-token chat, and of the record beside it."""
    target = Target(
        ModelId("cloud/x"), Zone.CLOUD, 8192, 1, Rates(0.0, 1.0, 1.0, 0.0), max_label=Label.PUBLIC
    )
    text = ("The old harbour was rebuilt after the storm, and people moved back soon. " * 60)[:4000]
    asked = Request(RequestId("b"), AUTO, (Message("user", text),), label=Label.PUBLIC)
    payload = {"model": "x", "messages": [{"role": "user", "content": text}], "stream": True}
    root = Path(tempfile.mkdtemp(prefix="er-audit-", dir=Path.home()))
    log = AuditLog(root)
    taken: dict[str, list[float]] = {"gate": [], "both": []}
    policy = Policy()
    gates = {
        name: Egress(Gatekeepers(scan_texts, audit, lambda: policy, time.time))
        for name, audit in (("gate", _Nowhere()), ("both", log))
    }
    for number in range(runs + 20):  # the first twenty warm it up
        for name, gate in gates.items():
            began = time.perf_counter()
            await gate.approve(target, asked, Composed.of(payload))
            if number >= 20:
                taken[name].append((time.perf_counter() - began) * 1e3)
    taken["verify"] = [await verified_s(log, root, runs * RECORDS // 400)]
    log.close()
    shutil.rmtree(root)
    alone = statistics.median(taken["gate"])
    both = statistics.median(taken["both"])
    return {
        "gate_ms_p50": round(alone, 3),
        "sync_ms_p50": round(both - alone, 3),
        "verify_s": round(taken["verify"][0], 3),
    }


async def verified_s(log: AuditLog, root: Path, count: int) -> float:
    """Seconds to check a log of so many records."""
    departure = Departure(
        0.0, RequestId("r"), "default", "cloud/x", "cloud", "public", "public", (), 4000
    )
    written = (await asyncio.to_thread(verify, root)).records
    while written < count:
        some = min(1000, count - written)
        await asyncio.gather(*(log.write(departure, b"x" * 4000) for _ in range(some)))
        written += some
    began = time.perf_counter()
    verdict = await asyncio.to_thread(verify, root)
    took = time.perf_counter() - began
    assert verdict == Verdict(count, ()), verdict
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the cases")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    figures = run(Cloud(), quick=options.quick)
    figures |= asyncio.run(measure(100 if options.quick else 400))
    print(f"machine  {platform.machine()}, Python {platform.python_version()}")
    print(f"private  {figures['cases']} cases, {figures['leaks']} leaks")
    share = figures["public_used_cloud_share"]
    print(f"public   {figures['public_cases']} cases, {share:.1%} answered by a cloud")
    print(f"hedges   {figures['hedges']} while the clouds were late or failed")
    print(f"gate     {figures['gate_ms_p50']} ms, its record {figures['sync_ms_p50']} ms (medians)")
    print(f"verify   {figures['verify_s']} s")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
