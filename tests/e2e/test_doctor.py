"""`edgeroute doctor` on drawn machines: a folder stands for one, and nothing else leaks in."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import COMMAND
from tests.unit.sensors.drawn import LAPTOP, ORIN_NANO, draw

pytestmark = pytest.mark.e2e


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(root: Path) -> Any:
    done = doctor("--root", str(root), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_laptop_on_battery(tmp_path: Path) -> None:
    facts = told(draw(tmp_path, LAPTOP))
    assert len(facts["hardware"]["cpu"]["performance"]) < len(facts["hardware"]["cpu"]["allowed"])
    assert facts["telemetry"]["power"]["state"] == "discharging"
    assert facts["telemetry"]["clocks"]["power_mode"] == "low-power"
    meters = {meter["scope"]: meter for meter in facts["energy"]["meters"]}
    assert meters["package"]["quality"] == "counter"
    assert meters["battery"]["quality"] == "integrated"
    words = doctor("--root", str(tmp_path)).stdout
    assert "performance of" in words
    assert "discharging" in words
    assert "the processor, counted: intel-rapl:0" in words


def test_a_jetson_shares_its_memory_and_says_what_it_does_not_tell(tmp_path: Path) -> None:
    facts = told(draw(tmp_path, ORIN_NANO))
    assert facts["hardware"]["unified_memory"] is True
    assert facts["hardware"]["jetson"]
    (gpu,) = facts["telemetry"]["gpus"]
    assert (gpu["unified"], gpu["total"]) == (True, None)
    rails = facts["energy"]["meters"][0]
    assert (rails["source"], rails["scope"]) == ("VDD_IN", "board")


def test_an_empty_folder_is_all_gaps_and_no_crash(tmp_path: Path) -> None:
    facts = told(tmp_path)
    assert facts["hardware"]["gaps"] or facts["telemetry"]["gaps"]
    assert facts["telemetry"]["gpus"] == []


def test_this_machine_has_a_cpu_and_memory() -> None:
    facts = json.loads(doctor("--json").stdout)
    assert facts["hardware"]["cpu"]["allowed"]
    assert 0 < facts["telemetry"]["memory"]["available"] <= facts["telemetry"]["memory"]["total"]


def test_a_root_that_is_no_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    done = doctor("--root", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "not a folder" in done.stderr
