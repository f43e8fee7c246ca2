"""What the installed llama.cpp is, told by its files: the daemon itself never loads it.

Imported into the daemon, the library would bring its threads and, in a CUDA build, a context that
keeps a laptop's GPU awake.
"""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_OFFLOADING = ("cuda", "hip", "metal", "musa", "sycl", "vulkan")
"""Backends of ggml that compute on a GPU; each is a library of its own."""


def engine_name() -> str:
    """Engine and version, as workers say it of themselves; measured footprints are valid for it."""
    return f"llama-cpp-python {version('llama-cpp-python')}"


def library_folder() -> Path:
    """Where the installed llama.cpp keeps its libraries."""
    found = find_spec("llama_cpp")
    assert found is not None  # noqa: S101 - a dependency of ours
    assert found.origin is not None  # noqa: S101 - a package on disk
    return Path(found.origin).parent / "lib"


def offloads(libraries: Path) -> bool:
    """Whether a build can put layers on a GPU. One that cannot refuses a plan that does."""
    return any(any(libraries.glob(f"*ggml-{kind}*")) for kind in _OFFLOADING)
