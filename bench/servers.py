"""The servers that `bench/engine.py` compares: EdgeRoute, llama-server, llama_cpp.server.

Each is started with the same model file, context, slots, threads and batch, in folders and on
ports of its own, and ended by its own process id.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from llama_server import binary
from places import folders, venv_with

READY_S = 120.0
SAME_SPIN = {"GOMP_SPINCOUNT": "10000"}
"""The wait policy of our workers, given to the peer where both are to have the same."""
_EDGEROUTE = ("-m", "edgeroute.cli.main")
SERVER_PACKAGES = (
    *("fastapi", "pydantic-settings", "sse-starlette", "starlette-context", "uvicorn", "PyYAML"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is served with: `slots` conversations of `context` tokens each."""

    model: Path
    context: int
    slots: int


@dataclass(slots=True)
class Server:
    """A running server.

    Attributes:
        address: Path of a Unix socket, or a port on loopback.
    """

    name: str
    address: str | int
    model: str
    process: subprocess.Popen[bytes]
    folders: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def processes(self) -> list[psutil.Process]:
        """The server and its children."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        """User and system seconds of all of its live processes."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(time.user + time.system for time in times))

    def pss(self) -> int:
        """Bytes, file-backed ones too."""
        return sum(process.memory_full_info().pss for process in self.processes())

    def stop(self) -> None:
        """End it and remove its folders."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.folders is not None:
            shutil.rmtree(self.folders)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def threads() -> int:
    """Cores of this process."""
    return len(os.sched_getaffinity(0))


def _wait_ready(server: Server, path: str) -> Server:
    deadline = time.monotonic() + READY_S
    family = socket.AF_UNIX if isinstance(server.address, str) else socket.AF_INET
    target = server.address if isinstance(server.address, str) else ("127.0.0.1", server.address)
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.name} ended with {server.process.returncode}")
        with socket.socket(family) as attempt:
            try:
                attempt.connect(target)
                attempt.sendall(f"GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n".encode())
                if b" 200 " in attempt.recv(64):
                    return server
            except OSError:
                pass
        time.sleep(0.05)
    server.stop()
    raise SystemExit(f"{server.name} was not ready within {READY_S:.0f} s")


def start_edgeroute(
    shape: Shape,
    others: Mapping[str, Path] | None = None,
    program: Sequence[str] = _EDGEROUTE,
    **config: str,
) -> Server:
    """A daemon that knows the shape's model as `bench`, and `others` by their names.

    Args:
        shape: The model under test.
        others: Further models by id.
        program: What Python runs as the daemon.
        config: Further lines of `config.toml`, such as `memory='{budget = "1GiB"}'`.
    """
    root = Path(tempfile.mkdtemp(prefix="er-"))
    env = folders(root)
    (root / "config").mkdir(mode=0o700)
    lines = [f"context = {shape.context}", f"slots = {shape.slots}"]
    lines += [f"{key} = {value}" for key, value in config.items()]
    (root / "config" / "config.toml").write_text("\n".join(lines) + "\n")
    for name, path in {"bench": shape.model, **(others or {})}.items():
        link = [sys.executable, *_EDGEROUTE, "models", "link", str(path), "--id", name]
        subprocess.run(link, env=env, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [sys.executable, *program, "serve"], env=env, stderr=subprocess.DEVNULL
    )
    address = str(root / "runtime" / "http.sock")
    return _wait_ready(Server("edgeroute", address, "bench", process, root), "/healthz")


def start_llama_server(shape: Shape, env: Mapping[str, str], *more: str) -> Server:
    """The native llama-server with as many slots, `more` options, and its defaults for all else."""
    port = free_port()
    command = [
        *(str(binary()), "-m", str(shape.model), "--host", "127.0.0.1", "--port", str(port)),
        *("-np", str(shape.slots), "-c", str(shape.context * shape.slots), "-ngl", "0"),
        *("-t", str(threads()), "-tb", str(threads()), "-b", "512", "-ub", "512", "--no-webui"),
        *more,
    ]
    process = subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return _wait_ready(Server("llama-server", port, "bench", process), "/health")


def start_xllamacpp(shape: Shape, env: Mapping[str, str]) -> Server:
    """llama-server as a prebuilt wheel has it: stands in where the native one is not built."""
    port = free_port()
    code = (
        "import xllamacpp as x, threading; p = x.CommonParams();"
        f"p.model.path = {str(shape.model)!r}; p.n_parallel = {shape.slots};"
        f"p.n_ctx = {shape.context * shape.slots}; p.n_gpu_layers = 0; p.n_batch = 512;"
        f"p.n_ubatch = 512; p.cpuparams.n_threads = {threads()}; p.port = {port};"
        "p.hostname = '127.0.0.1'; s = x.Server(p); threading.Event().wait()"
    )
    python = venv_with("xllamacpp==2026.10.11549") / "bin" / "python"
    process = subprocess.Popen(
        [str(python), "-c", code],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _wait_ready(Server("xllamacpp", port, "bench", process), "/health")


def start_llama_cpp_server(shape: Shape) -> Server:
    """`python -m llama_cpp.server`: the same engine behind one lock."""
    port = free_port()
    python = venv_with(*SERVER_PACKAGES) / "bin" / "python"
    import llama_cpp  # noqa: PLC0415 - only to find where it lies

    env = {**os.environ, **SAME_SPIN, "PYTHONPATH": str(Path(llama_cpp.__file__).parent.parent)}
    command = [
        *(str(python), "-m", "llama_cpp.server", "--model", str(shape.model)),
        *("--n_ctx", str(shape.context), "--n_threads", str(threads()), "--port", str(port)),
        *("--n_threads_batch", str(threads()), "--interrupt_requests", "false"),
    ]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return _wait_ready(Server("llama_cpp.server", port, "bench", process), "/v1/models")


@contextmanager
def neighbours(count: int, seconds: int = 600) -> Iterator[None]:
    """Other programs that want all of a core each; they stop by themselves after `seconds`."""
    code = f"import time; end = time.time() + {seconds}\nwhile time.time() < end: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
