"""Model files that other programs of this machine already hold: Ollama, LM Studio, llama.cpp, hubs.

Owns where they keep them and how they name them. Nothing is copied or changed; what those programs
delete is listed as unavailable from then on.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.wire.parts import parts_of, stem_of

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HASH = re.compile(r"[0-9a-f]{64}")
_MODEL_LAYER = "application/vnd.ollama.image.model"
_OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""The home of the user that Ollama's own installer makes."""
_MAX_MANIFEST = 1 << 20
_NO_MODEL = re.compile(r"mmproj|ggml-vocab", re.IGNORECASE)
"""Projectors and bare vocabularies lie beside the models that they belong to."""


class Found(NamedTuple):
    """A model file of another program.

    Attributes:
        program: Whose it is.
        name: What that program calls it.
        sha256: Where that program names files by their hash, which it checked.
    """

    program: str
    name: str
    path: Path
    sha256: str | None = None


class _Layer(msgspec.Struct):
    mediaType: str  # noqa: N815 - as the manifest has it
    digest: str


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


def found_models(home: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Found]:
    """Every model file of the programs known here, program by program, by name.

    Args:
        home: The user's home folder.
        environment: `OLLAMA_MODELS`, `LLAMA_CACHE`, `HF_HOME`, `HF_HUB_CACHE` move the folders.
    """
    yield from _ollama(home, environment)
    yield from _lm_studio(home)
    yield from _llama_cpp(home, environment)
    yield from _hub_cache(home, environment)


def _ollama(home: Path, environment: Mapping[str, str]) -> Iterator[Found]:
    """Manifests at `manifests/HOST/NAMESPACE/MODEL/TAG` name their blobs by hash."""
    own = environment.get("OLLAMA_MODELS")
    stores = [Path(own)] if own else [home / ".ollama/models", _OLLAMA_SERVICE]
    for store in stores:
        for file in sorted((store / "manifests").glob("*/*/*/*")):
            digest = _model_digest(file)
            if digest is not None:
                namespace, model, tag = file.parts[-3:]
                names = [] if namespace == "library" else [namespace]
                names += [model] if tag == "latest" else [model, tag]
                yield Found("Ollama", "-".join(names), store / "blobs" / f"sha256-{digest}", digest)


def _model_digest(manifest: Path) -> str | None:
    """The hash of a manifest's model; `None` for what has none, such as one that runs elsewhere."""
    try:
        if not manifest.is_file() or manifest.stat().st_size > _MAX_MANIFEST:
            return None
        layers = msgspec.json.decode(manifest.read_bytes(), type=_Manifest).layers
    except (OSError, msgspec.DecodeError):
        return None
    models = [layer.digest for layer in layers if layer.mediaType == _MODEL_LAYER]
    digest = _DIGEST.fullmatch(models[0]) if models else None
    return digest[1] if digest else None


def _lm_studio(home: Path) -> Iterator[Found]:
    """Files at `PUBLISHER/REPOSITORY/FILE`; the home folder itself may have been moved."""
    pointer = home / ".lmstudio-home-pointer"
    moved = [Path(pointer.read_text("utf-8").strip())] if pointer.is_file() else []
    for folder in dict.fromkeys([*moved, home / ".lmstudio", home / ".cache/lm-studio"]):
        yield from _files("LM Studio", folder / "models", "*/*/*.gguf")


def _llama_cpp(home: Path, environment: Mapping[str, str]) -> Iterator[Found]:
    own = environment.get("LLAMA_CACHE")
    caches = [Path(own)] if own else [home / ".cache/llama.cpp", home / "Library/Caches/llama.cpp"]
    for cache in caches:
        yield from _files("llama.cpp", cache, "*.gguf")


def _hub_cache(home: Path, environment: Mapping[str, str]) -> Iterator[Found]:
    """Snapshots link to blobs, which large files name by their hash."""
    cache = Path(environment.get("HF_HOME") or home / ".cache/huggingface") / "hub"
    cache = Path(environment.get("HF_HUB_CACHE") or cache)
    for found in _files("Hugging Face", cache, "models--*/snapshots/*/**/*.gguf"):
        blob = found.path.resolve().name
        whole = found.path.stem == found.name  # the blob of a part says nothing of the others
        yield found._replace(sha256=blob if whole and _HASH.fullmatch(blob) else None)


def _files(program: str, folder: Path, pattern: str) -> Iterator[Found]:
    """Model files, split ones once, by their first part."""
    for path in sorted(folder.glob(pattern)):
        if not _NO_MODEL.search(path.name) and _is_first(path):
            yield Found(program, stem_of(path), path)


def _is_first(path: Path) -> bool:
    try:
        return path == parts_of(path)[0]
    except InvalidModelFile:  # listed, so that linking it says what is wrong
        return True
