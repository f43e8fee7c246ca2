"""All sensors together, and that a drawn machine has nothing of the real one."""

import os
import statistics
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgeroute.domain.hardware import Hardware, Power
from edgeroute.domain.load import Footprint
from edgeroute.domain.units import KIB, MIB, Bytes
from edgeroute.sensors import portable
from edgeroute.sensors.machine import Machine
from tests.unit.sensors.drawn import (
    CONTAINER,
    LAPTOP,
    ORIN_NANO,
    ROCK_5B,
    draw,
    nvidia,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def gaps(hardware: Hardware) -> set[str]:
    return {gap.what for gap in hardware.gaps}


def test_a_laptop_on_battery(tmp_path: Path) -> None:
    machine = Machine(draw(tmp_path, LAPTOP))
    hardware, telemetry = machine.hardware(), machine.telemetry()
    assert hardware.board == "ThinkPad P1 Gen 6"
    assert (hardware.jetson, hardware.unified_memory, hardware.gaps) == (None, False, ())
    assert hardware.cpu.threads == 6
    assert telemetry.memory.available == 20_000 * MIB
    assert telemetry.power.state == "discharging"
    assert telemetry.power.time_left_s == pytest.approx(7200)
    assert [gpu.awake for gpu in telemetry.gpus] == [False]
    assert [zone.celsius for zone in telemetry.thermal] == [45, 51]
    assert telemetry.gaps == ()


def test_a_jetson(tmp_path: Path) -> None:
    machine = Machine(draw(tmp_path, ORIN_NANO))
    hardware, telemetry = machine.hardware(), machine.telemetry()
    assert (hardware.jetson, hardware.unified_memory) == ("R36.4.3", True)
    assert gaps(hardware) == {"/proc/pressure/memory"}
    assert telemetry.power == Power("absent")
    assert [(gpu.unified, gpu.total) for gpu in telemetry.gpus] == [(True, None)]


def test_a_board_with_big_and_little_cores(tmp_path: Path) -> None:
    hardware = Machine(draw(tmp_path, ROCK_5B)).hardware()
    assert (hardware.board, hardware.cpu.threads) == ("Radxa ROCK 5B", 4)


def test_a_container(tmp_path: Path) -> None:
    machine = Machine(draw(tmp_path, CONTAINER))
    assert machine.hardware().cpu.quota_cores == 1.5
    assert machine.telemetry().memory.cgroup_headroom == 2048 * MIB


def test_a_missing_pressure_file_is_told_once_not_every_few_seconds(tmp_path: Path) -> None:
    machine = Machine(draw(tmp_path, ROCK_5B))
    assert "/proc/pressure/memory" in gaps(machine.hardware())
    assert machine.telemetry().gaps == ()


def test_footprint_of_a_drawn_process(tmp_path: Path) -> None:
    rollup = {"/proc/7/smaps_rollup": "Pss:  9 kB\nPss_Anon:  5 kB\nPss_File:  4 kB\n"}
    machine = Machine(draw(tmp_path, rollup))
    assert machine.footprint(7) == Footprint(Bytes(4 * KIB), Bytes(5 * KIB))
    assert machine.footprint(os.getpid()) is None


def test_a_folder_has_nothing_of_the_real_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("psutil", "pynvml"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it would raise
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: pytest.fail("asked the real machine"))
    machine = Machine(draw(tmp_path, nvidia("0000:01:00", "active")))
    hardware, telemetry = machine.hardware(), machine.telemetry()
    assert (hardware.board, hardware.cpu.model, hardware.cpu.logical) == (None, "unknown", 1)
    assert (telemetry.memory.total, telemetry.power.state) == (0, "absent")
    assert (telemetry.gpus[0].name, telemetry.gpus[0].total) == ("NVIDIA GPU 0000:01:00.0", None)
    assert telemetry.thermal == ()
    assert {"/proc/cpuinfo", "board name"} <= gaps(hardware)


@linux
def test_the_real_machine_agrees_with_psutil() -> None:
    machine = Machine()
    memory = machine.telemetry().memory
    assert memory.total == psutil.virtual_memory().total
    assert memory.available == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert machine.hardware().cpu.logical == psutil.cpu_count()
    own = machine.footprint(os.getpid())
    assert own is not None
    assert 0 < own.ram <= psutil.Process().memory_info().rss + psutil.swap_memory().used


@linux
def test_a_reading_is_cheap_enough_for_polling() -> None:
    machine = Machine()
    machine.telemetry()  # the first may load the driver's library
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        machine.telemetry()
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.005


def test_without_proc_psutil_tells_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback of macOS, on whatever machine runs the tests."""
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    machine = Machine()
    hardware, telemetry = machine.hardware(), machine.telemetry()
    assert hardware.cpu.logical == os.cpu_count()
    assert hardware.cpu.threads >= 1
    assert gaps(hardware) >= {"board name", "which cores are big"}
    assert telemetry.memory.total == psutil.virtual_memory().total
    assert {gap.what for gap in telemetry.gaps} >= {"GPUs", "temperatures"}


@pytest.mark.parametrize(
    ("plugged", "seconds", "power"),
    [
        (True, -2, Power("ac", percent=80)),
        (False, 3600, Power("discharging", percent=80, time_left_s=3600)),
        (False, -1, Power("discharging", percent=80)),
        (None, -1, Power("unknown", percent=80)),
    ],
)
def test_a_battery_as_psutil_tells_it(
    monkeypatch: pytest.MonkeyPatch,
    plugged: bool | None,  # noqa: FBT001
    seconds: int,
    power: Power,
) -> None:
    battery = psutil._ntuples.sbattery(percent=80, secsleft=seconds, power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery)
    assert portable.read_telemetry().power == power
