"""A daemon beside recording neighbours, and everything that it lets be seen."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
from house import House
from leak_cases import EMBED, Body
from recorder import Cloud, Neighbour, lan
from servers import free_port

from edgeroute.domain.features import Task

SERVE = "from edgeroute.cli.main import main; main(['serve'])"
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
        super().__init__(OPENAI_API_KEY="sk-of-the-environment-1234567890")
        self._config = CONFIG.format(url=cloud.url) + lan(free_port(), "watched")
        self.configure(self._config)
        self.cloud = cloud
        self.neighbour = Neighbour(free_port(), _quality(0.7))
        self.seen: dict[str, list[bytes]] = {"error": [], "metrics": [], "children": []}
        self.add_model("own", f"[scores]\n{_quality(0.5)}\n[echo]\n")
        self._watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def begin(self, broken: str) -> None:
        """Start it, with code that breaks something first, pair it, and watch it."""
        self.neighbour.begin()
        self.start([sys.executable, "-c", broken + SERVE])
        self._pair()
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
        self.neighbour.stop()

    def sinks(self) -> dict[str, bytes]:
        """Everything that got out, by where; files by their part of the house."""
        found = {name: b"\n".join(pieces) for name, pieces in self.seen.items()}
        found["cloud"] = b"\n".join(data for _, data in self.cloud.got)
        found["peer"] = self.neighbour.got.read_bytes()
        for root, whose in ((self.root, ""), (self.neighbour.root, "a peer's ")):
            for path in root.rglob("*"):
                if path.is_file():
                    name = whose + _sink_of(path)
                    found[name] = found.get(name, b"") + path.read_bytes()
        return found

    def remove(self) -> None:
        """End both, where they run, and forget everything."""
        self.neighbour.remove()
        super().remove()

    def hedges(self) -> int:
        """How often two were asked and one was not waited for."""
        told = self.ask("GET", "/metrics")[2].decode()
        found = re.findall(r'edgeroute_failed_attempts_total\{code="outrun".*\} (\d+)', told)
        return sum(map(int, found))

    def forbid(self) -> None:
        """Replace the policy by one under which nothing may leave."""
        self.configure(self._config + '[[rules]]\nnever = ["cloud", "peer"]\n')
        assert self.ask("POST", "/edgeroute/reload")[0] == 200

    def _pair(self) -> None:
        shown = _Unix(self.neighbour.socket)
        shown.request("POST", "/edgeroute/pairing/open", b"{}")
        code = json.loads(shown.getresponse().read())["code"]
        shown.close()
        where = f"127.0.0.1:{self.neighbour.port}"
        typed = {"code": code, "address": where, "max_label": "internal"}
        assert self.ask("POST", "/edgeroute/pair", json.dumps(typed).encode())[0] == 200

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


def _quality(p_ok: float) -> str:
    """Of all tasks, as a card says it."""
    return "\n".join(f"{task.value} = {p_ok}" for task in Task)
