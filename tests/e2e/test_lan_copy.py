"""A model comes from a paired machine: no internet, no account, one download for the whole site."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND
from tests.e2e.lan_rig import Machine, linked, network, pair, until

pytestmark = pytest.mark.e2e


def renamed(model: Path, folder: Path) -> Path:
    """The same model by another name in its header: no machine has this file yet."""
    data, key = bytearray(model.read_bytes()), b"general.name"
    data[data.index(key) + len(key) + 4 + 8] ^= 1  # after the value's type and length
    path = folder / "theirs.gguf"
    path.write_bytes(data)
    return path


def killed_half_way(machine: Machine, source: str) -> Path:
    """Pull until something is there, then end the program by force; what it leaves."""
    command = [*machine.house.wrapper, *COMMAND, "pull", source]
    folder = machine.house.folders.data / "pulled"
    with subprocess.Popen(command, env=machine.house.env, stderr=subprocess.DEVNULL) as pulling:
        (partial,) = until(
            lambda: [file for file in folder.rglob("*.partial") if file.stat().st_size]
        )
        pulling.kill()
    return Path(partial)


def test_a_model_is_copied_from_a_peer_and_answers(starter: Path, tmp_path: Path) -> None:
    theirs = renamed(starter, tmp_path)
    with network() as net:
        desk = net.add(name="desk", lan="give_mb_s = 40.0")
        lap = net.add(name="lap")
        desk.house.start()
        desk.house.json("models", "link", str(theirs))
        lap.house.start()
        pair(desk, lap, desk.address)
        until(lambda: linked(lap))

        partial = killed_half_way(lap, "peer:desk/theirs")
        had = partial.stat().st_size
        assert 0 < had < theirs.stat().st_size
        pulled = lap.house.json("pull", "peer:desk/theirs", "--id", "mine")
        assert (pulled["id"], pulled["daemon"]) == ("mine", True)
        assert Path(pulled["path"]).read_bytes() == theirs.read_bytes()
        assert partial.parent == Path(pulled["path"]).parent
        answer = lap.house.json("ask", "--model", "mine", "--max-tokens", "4", "Hello!")
        assert answer["model"] == "mine"

        missing = lap.house.run("pull", "peer:desk/none")
        assert missing.returncode == 2
        assert "it has: " in missing.stderr
        assert "theirs" in missing.stderr
        assert "no paired machine 'attic'" in lap.house.run("pull", "peer:attic/x").stderr
        assert "peer:NAME/MODEL" in lap.house.run("pull", "peer:desk").stderr

        desk.house.run("stop")
        away = lap.house.run("pull", "peer:desk/theirs", "--id", "again")
        assert (away.returncode, "desk cannot be reached" in away.stderr) == (1, True)
        config = desk.house.folders.config / "config.toml"
        config.write_text(config.read_text() + "give = false\n")
        desk.house.start()
        until(lambda: linked(lap))
        assert json.loads(lap.house.run("peers", "--json").stdout)["peers"][0]["models"]
        forbidden = lap.house.run("pull", "peer:desk/theirs", "--id", "again")
        assert forbidden.returncode == 2
        assert "lets nobody copy" in forbidden.stderr
