"""`pull` and `models scan` as a user runs them, against a hub and stores on this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import House
from tests.file_server import FileServer, serving
from tests.unit.wire.gguf_files import split

pytestmark = pytest.mark.e2e
ROUTE = "/owner/repo/resolve/main"


@pytest.fixture
def hub(house: House) -> Iterator[FileServer]:
    with serving(FileServer()) as server:
        house.env.update(HF_ENDPOINT=server.url, HF_HOME=str(house.root / "hub"), HF_TOKEN="")
        yield server


def test_a_split_model_is_pulled_after_a_cut_and_answers(
    house: House, hub: FileServer, starter: Path
) -> None:
    (house.root / "parts").mkdir()
    parts = split(starter, house.root / "parts", 2)
    hub.files = {f"{ROUTE}/{part.name}": part.read_bytes() for part in parts}
    house.start()
    source = f"hf:owner/repo/{parts[0].name}"
    hub.cut_after = 1_000_000
    cut = house.run("pull", source, "--id", "pulled")
    assert cut.returncode == 1
    assert "goes on where it stopped" in cut.stderr
    hub.cut_after = None
    pulled = house.json("pull", source, "--id", "pulled")
    assert (pulled["id"], pulled["daemon"]) == ("pulled", True)
    ranges = [asked for path, asked in hub.asked if path.endswith(".gguf")]
    assert ranges == [None, "bytes=1000000-", None]
    answer = house.json("ask", "--model", "pulled", "--max-tokens", "4", "Hello!")
    assert answer["model"] == "pulled"
    assert answer["text"]


def test_a_hub_without_the_file_says_so(house: House, hub: FileServer) -> None:
    missing = house.run("pull", "hf:owner/repo/none.gguf")
    assert missing.returncode == 2
    assert "owner/repo" in missing.stderr
    odd = house.run("pull", "hf:owner")
    assert "write hf:OWNER/REPO/FILE.gguf" in odd.stderr
    hub.url = ""
    house.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
    offline = house.run("pull", "hf:owner/repo/none.gguf")
    assert (offline.returncode, "cannot be reached" in offline.stderr) == (1, True)


def test_the_starter_is_checked_and_a_stranger_refused(house: House) -> None:
    assert house.json("pull", "smollm2-135m-instruct")["id"] == "smollm2-135m-instruct"
    unknown = house.run("pull", "no-such-model")
    assert unknown.returncode == 2
    assert "neither a file nor a model" in unknown.stderr


def test_ollamas_models_appear_after_a_scan(house: House, starter: Path, tmp_path: Path) -> None:
    store = tmp_path / ".ollama/models"
    digest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    (store / "blobs").mkdir(parents=True)
    (store / "blobs" / f"sha256-{digest}").symlink_to(starter)
    broken = "0" * 64
    (store / "blobs" / f"sha256-{broken}").write_bytes(b"GGUF")
    manifests = store / "manifests/registry.example/library"
    for name, of in (("smollm2", digest), ("broken", broken)):
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{of}"}
        (manifests / name).mkdir(parents=True)
        (manifests / name / "135m").write_text(json.dumps({"layers": [layer]}))
    house.env["HOME"] = str(tmp_path)
    house.start()
    told = house.json("models", "scan")
    assert [each["id"] for each in told["linked"]] == ["smollm2-135m"]
    assert [each["name"] for each in told["skipped"]] == ["broken-135m"]
    assert house.json("models", "scan")["known"] == 1
    answer = house.json("ask", "--model", "smollm2-135m", "--max-tokens", "4", "Hello!")
    assert answer["model"] == "smollm2-135m"
    shutil.rmtree(store)
    (gone,) = house.json("models")["unavailable"]
    assert gone["id"] == "smollm2-135m"
