#!/usr/bin/env python3
"""Whether anything private leaves: a real daemon, a recording server for a cloud, every way out.

    python bench/leak.py [--quick] [--json]

The daemon has one model of its own (the `echo` engine, which it believes to be poor), two clouds
that may see what is public, and a tool that is a program. Every private case of `leak_cases.py` is
sent as if its caller held it to be public, or under the label that makes it private; then again
while the clouds fail, with a detector that crashes, with no room for the audit log, and after the
policy was replaced. What counts:

- cases: private cases sent, all phases together.
- leaks: pairs of a case and a sink that held its tag or its value. Sinks: the clouds (every byte
  they got), the daemon's log, the audit log, /metrics, bodies and headers of errors, environment
  and arguments of the daemon's children, and every file that is left in its folders (journal too).
- public_used_cloud_share: public cases that a cloud answered.
- gate_ms_p50: `Egress.approve` of a 1,000-token chat without its record; sync_ms_p50: the record.

--quick sends a tenth of the cases.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import platform
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from house import House
from leak_cases import EMBED, Body, Case, private_cases, public_cases
from recorder import Cloud

from edgeroute.domain.features import Task
from edgeroute.domain.policy import Policy
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.target import Rates, Target
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.runtime.egress import Composed, Egress, Gatekeepers
from edgeroute.store.audit import AuditLog
from edgeroute.understanding.sensitivity import scan_texts

SERVE = "from edgeroute.cli.main import main; main(['serve'])"
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
CONFIG = """
[[destinations]]
name = "cloud"
url = "{url}/v1"
models = ["gpt-4o"]
capabilities = ["chat", "tools", "json_schema", "logprobs", "choices", "embed"]
context = 1000000
usd_in = 0
usd_out = 0
first_token_s = 2

[[destinations]]
name = "other"
url = "{url}/v1"
models = ["gpt-4o-mini"]
context = 1000000
usd_in = 0
usd_out = 0
first_token_s = 2

[[tools]]
name = "shout"
command = ["tr", "a-z", "A-Z"]
tasks = ["rewrite"]
max_label = "public"
"""
AT_ONCE = 8
_TELLING = 9


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("edgeroute", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


class Watched(House):
    """One daemon, and what it lets be seen.

    Attributes:
        seen: Bytes by sink, of those that are not files.
    """

    def __init__(self, cloud: Cloud) -> None:
        config = CONFIG.format(url=cloud.url)
        super().__init__(config, OPENAI_API_KEY="sk-of-the-environment-1234567890")
        self.cloud = cloud
        self.seen: dict[str, list[bytes]] = {"error": [], "metrics": [], "children": []}
        poor = "\n".join(f"{task.value} = 0.5" for task in Task)
        self.add_model("own", f"[scores]\n{poor}\n[echo]\n")
        self._watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def begin(self, broken: str) -> None:
        """Start it, with code that breaks something first, and watch it."""
        self.start([sys.executable, "-c", broken + SERVE])
        self._wait()
        self._watcher.start()

    def ask(self, method: str, path: str, body: Body | bytes = b"") -> tuple[int, str, bytes]:
        """Status, zone and body; what is no answer is kept as an error."""
        connection = _Unix(self.socket)
        bounded = isinstance(body, bytes) or path == EMBED
        data = (
            body
            if isinstance(body, bytes)
            else json.dumps(body if bounded else {"max_tokens": 4, **body}).encode()
        )
        try:
            connection.request(method, path, data, {"content-type": "application/json"})
            response = connection.getresponse()
            told = response.read()
        finally:
            connection.close()
        if response.status != 200 or b'"error"' in told:
            self.seen["error"].append(f"{response.headers}".encode() + told)
        return response.status, response.headers.get("x-edgeroute-zone") or "", told

    def end(self) -> None:
        """End it, after a last look."""
        self.seen["metrics"].append(self.ask("GET", "/metrics")[2])
        self._watching.set()
        self._watcher.join()
        self.stop()

    def sinks(self) -> dict[str, bytes]:
        """Everything that got out, by where; files by their part of the house."""
        found = {name: b"\n".join(pieces) for name, pieces in self.seen.items()}
        found["cloud"] = b"\n".join(data for _, data in self.cloud.got)
        for path in self.root.rglob("*"):
            if path.is_file():
                name = _sink_of(path)
                found[name] = found.get(name, b"") + path.read_bytes()
        return found

    def _wait(self) -> None:
        for _ in range(600):
            with suppress(OSError):
                told = json.loads(self.ask("GET", "/edgeroute/status")[2])
                if all(provider["reachable"] for provider in told["providers"]):
                    return
            time.sleep(0.1)
        raise SystemExit(self.log.read_text())

    def _watch(self) -> None:
        """What any other process of this user may see of the daemon's children."""
        daemon = psutil.Process(self.pid)
        while not self._watching.wait(0.05):
            with suppress(psutil.Error, OSError):
                for child in daemon.children(recursive=True):
                    for name in ("environ", "cmdline"):
                        self.seen["children"].append(Path(f"/proc/{child.pid}/{name}").read_bytes())


def _sink_of(path: Path) -> str:
    if path.suffix == ".log":
        return "log"
    if path.parent.name == "audit":
        return "audit"
    return "journal" if path.name.startswith("journal") else "saved state"


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


def leaks(at: Watched, cases: Iterable[Case]) -> list[tuple[str, str]]:
    """Kind and sink of every case that got out."""
    sinks = at.sinks()
    return [
        (case.kind, name)
        for case in cases
        for name, data in sinks.items()
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
            for mode in ("500", "reset", "429"):
                self._cloud.mode = mode
                with ThreadPoolExecutor(1) as beside:
                    others = beside.submit(send, at, self._few)
                    self._send(f"while clouds answer {mode}", at, self._some)
                    others.result()
            self._stop(at, self._some)

    def broken(self, name: str, code: str) -> None:
        """Nothing is known to be public, or nothing can be written down: nothing may leave."""
        cases = [*self._some, *self._few]
        with house(self._cloud, code) as at:
            self._send(name, at, cases)
            self._stop(at, cases)

    def after_the_policy_changed(self) -> None:
        with house(self._cloud) as at:
            with ThreadPoolExecutor(1) as beside:
                others = beside.submit(send, at, self.public[20:60])
                at.configure(CONFIG.format(url=self._cloud.url) + '[[rules]]\nnever = "cloud"\n')
                assert at.ask("POST", "/edgeroute/reload")[0] == 200
                self._send("after the policy changed", at, self._few)
                others.result()
            self._stop(at, self._few)

    def _send(self, name: str, at: Watched, cases: list[Case]) -> None:
        zones = send(at, cases)
        self.sent += len(cases)
        print(f"{name:<28} {len(cases):5} private cases: {dict(zones)}", file=sys.stderr)

    def _stop(self, at: Watched, cases: list[Case]) -> None:
        at.end()
        for kind, sink in leaks(at, cases):
            print(f"LEAK  {sink}: {kind}", file=sys.stderr)
            self.found.append((kind, sink))


def run(cloud: Cloud, *, quick: bool) -> dict[str, Any]:
    trial = Trial(cloud, quick=quick)
    share = trial.as_usual()
    trial.while_clouds_fail()
    trial.broken("with a crashing detector", CRASHING)
    trial.broken("without room for a record", FULL)
    trial.after_the_policy_changed()
    return {
        "cases": trial.sent,
        "leaks": len(trial.found),
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
    log.close()
    shutil.rmtree(root)
    alone = statistics.median(taken["gate"])
    both = statistics.median(taken["both"])
    return {"gate_ms_p50": round(alone, 3), "sync_ms_p50": round(both - alone, 3)}


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
    print(f"gate     {figures['gate_ms_p50']} ms, its record {figures['sync_ms_p50']} ms (medians)")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
