"""A house of its own for each test: folders, models, a real daemon with real workers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai
import psutil
import pytest

from edgeroute.client import Client
from edgeroute.config import Folders
from edgeroute.domain.features import Task

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "edgeroute.cli.main"]


@dataclass
class House:
    """One daemon's folders under a short path, since a socket's path is bounded."""

    root: Path
    wrapper: Sequence[str] = ()
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        named = {
            f"EDGEROUTE_{name}_DIR": str(self.root / name.lower())
            for name in ("CONFIG", "DATA", "STATE", "RUNTIME")
        }
        self.env = {**os.environ, **named}
        self._explore_nothing()

    @property
    def folders(self) -> Folders:
        return Folders.from_environment(self.env)

    def _explore_nothing(self) -> None:
        """The shipped profiles, but nothing is left to a draw: tests say who answers."""
        own = self.folders.config / "profiles"
        own.mkdir(parents=True)
        for shipped in (ROOT / "profiles").glob("*.toml"):
            text = shipped.read_text().replace("explore = 0.02", "explore = 0.0")
            (own / shipped.name).write_text(text)

    def configure(self, text: str) -> None:
        folder = self.root / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(text)

    def add_echo(self, name: str, quality: float = 0.9, **behaviour: float | str) -> None:
        """An echo model: a real worker process that pretends to be a model, and a good one."""
        folder = self.root / "data" / "models"
        folder.mkdir(parents=True, exist_ok=True)
        scores = [f"{task.value} = {quality}" for task in Task]
        rows = [f"{key} = {json.dumps(value)}" for key, value in behaviour.items()]
        (folder / f"{name}.toml").write_text("\n".join(["[scores]", *scores, "[echo]", *rows]))

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.wrapper, *COMMAND, *arguments],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self) -> psutil.Process:
        return psutil.Process(self.json("serve", "--detach")["pid"])

    def client(self) -> Client:
        return Client(self.folders.http_socket)

    def status(self) -> Any:
        with self.client() as client:
            return client.get("/edgeroute/status")

    def reload(self) -> None:
        """Have the daemon read its configuration and its models' cards again."""
        with self.client() as client:
            client.post("/edgeroute/reload", {})

    def model(self, name: str) -> Any:
        return next(model for model in self.status()["models"] if model["id"] == name)


def workers_of(daemon: psutil.Process) -> list[psutil.Process]:
    return [child for child in daemon.children() if "edgeroute.worker" in child.cmdline()]


def chat(prompt: str, **fields: Any) -> Mapping[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], **fields}


def openai_client(house: House) -> openai.OpenAI:
    transport = httpx2.HTTPTransport(uds=str(house.folders.http_socket))
    return openai.OpenAI(
        base_url="http://edgeroute/v1",
        api_key="unused",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(transport=transport),
    )


@pytest.fixture
def house() -> Iterator[House]:
    root = Path(tempfile.mkdtemp(prefix="er-"))
    built = House(root)
    yield built
    stopped = built.run("stop")
    shutil.rmtree(root)
    assert stopped.returncode == 0, stopped.stderr
