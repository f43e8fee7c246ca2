"""What other programs hold is found where they keep it, under the names they give it."""

import hashlib
import json
from pathlib import Path

import pytest

from edgeroute.catalog.scanning import Found, found_models
from tests.unit.wire.gguf_files import split, write_gguf


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def model_at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_gguf(path)


def add_to_ollama(store: Path, *name: str, layers: object | None = None) -> Found:
    source = model_at(store / "new")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(exist_ok=True)
    source.rename(blob)
    manifest = store / "manifests" / "registry.example" / Path(*name)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    model = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    template = {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:0"}
    manifest.write_text(json.dumps({"layers": layers or [template, model]}))
    return Found("Ollama", "", blob, digest)


def test_ollamas_models_have_its_names_and_hashes(home: Path) -> None:
    store = home / ".ollama/models"
    held = add_to_ollama(store, "library", "llama3.2", "3b")
    add_to_ollama(store, "library", "phi4", "latest")
    add_to_ollama(store, "someone", "theirs", "q4")
    found = list(found_models(home, {}))
    assert found == [
        held._replace(name="llama3.2-3b"),
        held._replace(name="phi4"),
        held._replace(name="someone-theirs-q4"),
    ]


def test_the_variable_moves_ollamas_store(home: Path, tmp_path: Path) -> None:
    held = add_to_ollama(tmp_path / "disk", "library", "phi4", "latest")
    add_to_ollama(home / ".ollama/models", "library", "older", "latest")
    assert list(found_models(home, {"OLLAMA_MODELS": str(tmp_path / "disk")})) == [
        held._replace(name="phi4")
    ]


@pytest.mark.parametrize(
    "layers",
    [
        [{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:0"}],
        [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}],
        [{"mediaType": 7}],
        "none",
    ],
)
def test_a_manifest_without_a_model_is_passed_over(home: Path, layers: object) -> None:
    add_to_ollama(home / ".ollama/models", "library", "odd", "latest", layers=layers)
    assert list(found_models(home, {})) == []


def test_lm_studio_and_llama_cpp_hold_files(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    home.mkdir()
    (home / ".lmstudio-home-pointer").write_text(f"{moved}\n")
    first = model_at(moved / "models/publisher/repo/A-Q4.gguf")
    second = model_at(home / ".lmstudio/models/publisher/repo/B-Q4.gguf")
    third = model_at(home / ".cache/llama.cpp/owner_repo_C.gguf")
    model_at(moved / "models/publisher/repo/mmproj-A.gguf")
    assert list(found_models(home, {})) == [
        Found("LM Studio", "A-Q4", first),
        Found("LM Studio", "B-Q4", second),
        Found("llama.cpp", "owner_repo_C", third),
    ]


def test_hub_downloads_are_named_by_their_snapshot(home: Path) -> None:
    snapshot = home / ".cache/huggingface/hub/models--owner--repo/snapshots/abc"
    snapshot.mkdir(parents=True)
    blobs = snapshot.parent.parent / "blobs"
    blob = model_at(blobs / ("a" * 64))
    (snapshot / "m.gguf").symlink_to(blob)
    assert list(found_models(home, {})) == [
        Found("Hugging Face", "m", snapshot / "m.gguf", "a" * 64)
    ]
    assert list(found_models(home, {"HF_HOME": str(home / "none")})) == []


def test_a_split_model_is_found_once_and_without_a_hash(home: Path, tmp_path: Path) -> None:
    snapshot = home / ".cache/huggingface/hub/models--owner--repo/snapshots/abc/Q4"
    snapshot.mkdir(parents=True)
    parts = split(model_at(tmp_path / "m.gguf"), snapshot, 3)
    for number, part in enumerate(parts):
        blob = part.rename(tmp_path / (str(number) * 64))
        part.symlink_to(blob)
    assert list(found_models(home, {})) == [Found("Hugging Face", "m", parts[0])]
