"""`edgeroute doctor` on drawn machines: a folder stands for one, and nothing else leaks in."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgeroute.cli.main import main
from tests.e2e.conftest import COMMAND
from tests.unit.sensors.drawn import (
    AGX_ORIN,
    CONTAINER,
    LAPTOP,
    ORIN_NANO,
    RASPBERRY_PI_5,
    ROCK_5B,
    RYZEN_LAPTOP,
    XAVIER_NX,
    Files,
    draw,
    merged,
    powercap,
    supply,
)

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


def supply_of(status: str, **line: int) -> Files:
    """A battery that tells charge and current, which it counts downwards, and a plug."""
    battery = supply(
        "BAT1",
        type="Battery",
        status=status,
        charge_now=2_000_000,
        charge_full=4_000_000,
        current_now=-1_500_000,
        voltage_now=12_000_000,
    )
    return merged(battery, supply("AC", type="Mains", **line)) if line else battery


def without(files: Files, part: str) -> Files:
    return {path: text for path, text in files.items() if part not in path}


QUIET_LAPTOP = without(LAPTOP, "power_supply")
CPU_TIME = ("package", "model")


@pytest.mark.parametrize(
    ("files", "device", "meter", "state"),
    [
        (ORIN_NANO, "jetson-orin-nano", ("VDD_IN", "board", "integrated"), "absent"),
        (
            AGX_ORIN,
            "jetson-agx-orin",
            ("VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0+VDDQ_VDD2_1V8AO", "board", "integrated"),
            "absent",
        ),
        (XAVIER_NX, "unknown", ("VDD_IN", "board", "integrated"), "absent"),
        (RASPBERRY_PI_5, "raspberry-pi-5", (None, *CPU_TIME), "absent"),
        (RYZEN_LAPTOP, "x86-laptop", ("intel-rapl:0", "package", "counter"), "ac"),
        (ROCK_5B, "unknown", (None, *CPU_TIME), "absent"),
        (CONTAINER, "unknown", (None, *CPU_TIME), "absent"),
        (LAPTOP, "x86-laptop", ("intel-rapl:0", "package", "counter"), "discharging"),
        (
            merged(QUIET_LAPTOP, powercap("2", "package-1", 7), supply_of("Charging", online=1)),
            "x86-laptop",
            ("intel-rapl:0+intel-rapl:2", "package", "counter"),
            "ac",
        ),
        (
            merged(QUIET_LAPTOP, supply_of("Discharging", online=1)),
            "x86-laptop",
            ("intel-rapl:0", "package", "counter"),
            "plugged_but_discharging",
        ),
        (
            merged(without(QUIET_LAPTOP, "powercap"), supply_of("Unknown")),
            "x86-laptop",
            (None, *CPU_TIME),
            "unknown",
        ),
    ],
)
def test_each_board_is_told_with_its_meter_and_its_supply(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: Files,
    device: str,
    meter: tuple[str | None, str, str],
    state: str,
) -> None:
    assert main(["doctor", "--root", str(draw(tmp_path, files)), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["device"]["name"] == device
    source, scope, quality = meter
    first = facts["energy"]["meters"][0]
    assert source in {None, first["source"]}
    assert (first["scope"], first["quality"]) == (scope, quality)
    power = facts["telemetry"]["power"]
    assert power["state"] == state
    if state == "plugged_but_discharging":
        assert power["discharge_w"] == pytest.approx(18.0)
        assert power["time_left_s"] == pytest.approx(3600 * 24 / 18)


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
