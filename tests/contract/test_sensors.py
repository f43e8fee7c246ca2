"""One contract for every sensor: whatever the files say, a noun with sane values, and no raise.

Held by each sensor function over trees in memory, by the whole machine over folders, and by the
real one.
"""

import errno
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeroute.domain.device import UNKNOWN
from edgeroute.domain.energy import Metered
from edgeroute.domain.hardware import (
    Clocks,
    Cpu,
    Gap,
    Gpu,
    Hardware,
    Memory,
    Power,
    Telemetry,
    ThermalZone,
)
from edgeroute.domain.load import Footprint
from edgeroute.ports import Sensors
from edgeroute.sensors import jetson
from edgeroute.sensors.clocks import read_clocks
from edgeroute.sensors.cpu import read_cpu
from edgeroute.sensors.gpu import Gpus
from edgeroute.sensors.machine import Machine
from edgeroute.sensors.memory import process_footprint, read_memory
from edgeroute.sensors.meters import find_meters
from edgeroute.sensors.power import read_power
from edgeroute.sensors.sysfs import Tree
from edgeroute.sensors.thermal import Thermal
from tests.unit.sensors.drawn import MACHINES, Written, draw, merged, rollup

# ---- what holds of every reading ---------------------------------------------------------------


def sane_gaps(gaps: tuple[Gap, ...]) -> None:
    assert all(gap.what and gap.why for gap in gaps)
    assert len({gap.what for gap in gaps}) == len(gaps)


def sane_memory(memory: Memory) -> None:
    assert memory.total >= 0
    assert memory.available >= 0
    assert (memory.cgroup_headroom is None) == (memory.cgroup_limit is None)
    if memory.cgroup_headroom is not None and memory.cgroup_limit is not None:
        assert 0 <= memory.cgroup_headroom <= memory.cgroup_limit
    for share in (memory.psi_some_avg10, memory.psi_full_avg10):
        assert share is None or 0 <= share <= 100


def sane_cpu(cpu: Cpu) -> None:
    assert cpu.model
    assert cpu.architecture
    assert 1 <= cpu.physical <= cpu.logical
    assert cpu.performance
    assert set(cpu.performance) <= set(cpu.allowed)
    assert list(cpu.allowed) == sorted(set(cpu.allowed))
    assert cpu.quota_cores is None or 0 <= cpu.quota_cores < math.inf
    assert 1 <= cpu.threads <= len(cpu.performance)


def sane_power(power: Power) -> None:
    assert power.percent is None or 0 <= power.percent <= 100
    assert power.discharge_w is None or (power.on_battery and 0 < power.discharge_w < math.inf)
    assert power.time_left_s is None or 0 < power.time_left_s < math.inf
    if power.state == "absent":
        assert power == Power("absent")


def sane_thermal(zones: tuple[ThermalZone, ...]) -> None:
    for zone in zones:
        assert zone.name
        assert -60 <= zone.celsius <= 200
        assert zone.critical_c is None or 0 < zone.critical_c <= 200


def sane_gpus(gpus: tuple[Gpu, ...]) -> None:
    assert [gpu.index for gpu in gpus] == list(range(len(gpus)))
    for gpu in gpus:
        assert gpu.name
        assert gpu.awake or gpu == Gpu(gpu.index, gpu.name, awake=False)
        assert not gpu.unified or gpu.total is gpu.free is None


def sane_footprint(footprint: Footprint | None) -> None:
    assert footprint is None or (footprint.file >= 0 and footprint.anon >= 0)


def sane_name(name: str | None) -> None:
    assert name is None or name


def sane_metered(metered: Metered) -> None:
    assert metered.source
    assert metered.joules is None or 0 <= metered.joules < math.inf
    assert metered.own == (metered.quality == "model")


def no_gpus(tree: Tree, *, gpu_in_use: bool) -> dict[str, tuple[int | None, float | None]]:
    assert tree is not None
    assert not gpu_in_use
    return {}


def metered_twice(tree: Tree) -> None:
    """Half a minute apart, the same files; no meter falls."""
    meters = find_meters(tree, no_gpus, lambda: {7: 1.0}, UNKNOWN)
    for meter in meters:
        before, after = meter.read(tree, 0.0), meter.read(tree, 1.0)
        sane_metered(before)
        sane_metered(after)
        assert (after.joules or 0.0) >= (before.joules or 0.0)


def sane_clocks(clocks: Clocks) -> None:
    assert clocks.power_mode is None or clocks.power_mode
    assert clocks.governor is None or clocks.governor
    assert clocks.throttle_events is None or clocks.throttle_events >= 0


def sane_telemetry(telemetry: Telemetry) -> None:
    sane_memory(telemetry.memory)
    sane_power(telemetry.power)
    sane_gpus(telemetry.gpus)
    sane_thermal(telemetry.thermal)
    sane_clocks(telemetry.clocks)
    assert telemetry.suspended_s >= 0
    sane_gaps(telemetry.gaps)


def sane_hardware(hardware: Hardware) -> None:
    sane_cpu(hardware.cpu)
    sane_name(hardware.board)
    sane_name(hardware.jetson)
    sane_gaps(hardware.gaps)


SENSORS: dict[str, Callable[[Tree], None]] = {
    "memory": lambda tree: sane_memory(read_memory(tree)),
    "footprint": lambda tree: sane_footprint(process_footprint(tree, 7)),
    "cpu": lambda tree: sane_cpu(read_cpu(tree)),
    "power": lambda tree: sane_power(read_power(tree)),
    "thermal": lambda tree: sane_thermal(Thermal().read(tree)),
    "gpu": lambda tree: sane_gpus(Gpus(None, lambda: 0.0).read(tree)),
    "clocks": lambda tree: sane_clocks(read_clocks(tree)),
    "meters": metered_twice,
    "board": lambda tree: sane_name(jetson.read_board(tree)),
    "release": lambda tree: sane_name(jetson.read_release(tree)),
}

# ---- trees that say anything -------------------------------------------------------------------

KNOWN = merged(*MACHINES.values(), rollup(Pss=600, Pss_Anon=300, Pss_File=250, SwapPss=9))
PATHS = sorted(KNOWN)
FOLDERS = sorted({str(Path(path).parent) for path in PATHS})
ERRORS = [
    errno.EACCES, errno.EAGAIN, errno.EINVAL, errno.EIO, errno.EISDIR, errno.ENODEV, errno.ENOENT,
    errno.ENOTDIR, errno.ESRCH,
]  # fmt: skip

ODD = st.sampled_from(
    [
        "", "0", "-1", "100", "101", "1e9", "nan", "inf", "max", "0-", "3-1", "0-8191",
        str(1 << 62), "9" * 20, "9" * 5000, "-" + "9" * 19, "0 0", "0 100000", "1 99999999999",
        "Battery", "Mains", "Discharging", "Charging", "critical", "active", "suspended", "on",
        "0x10de", "0x030000", "0::/../..\n", "0::/a/b\n4:memory:/a\n",
        "1 2 3 / / a - cgroup2 c rw\n", "processor: 0\nCPU part: 0xd03\n",
        "processor: 0\nflags:\n\nprocessor: 1\nflags: lm avx2\n", "MemTotal: 1 kB\n",
        "Pss:   1 kB\nAnonymous:  9 kB\n", "total_inactive_file 99999999999\n",
    ]
)  # fmt: skip
CONTENTS = st.one_of(ODD.map(str.encode), st.binary(max_size=60))
CHANGES = st.dictionaries(st.sampled_from(PATHS), CONTENTS | st.none(), max_size=12)
FAULTS = st.dictionaries(st.sampled_from(PATHS + FOLDERS), st.sampled_from(ERRORS), max_size=4)


def changed(machine: str, changes: dict[str, bytes | None]) -> dict[str, bytes]:
    """A machine some of whose files say something else, or are gone."""
    files = {**merged(MACHINES[machine]), **changes}
    return {path: content for path, content in files.items() if content is not None}


@pytest.mark.parametrize("sensor", SENSORS)
@settings(max_examples=150, deadline=None)
@given(machine=st.sampled_from(list(MACHINES)), changes=CHANGES, faults=FAULTS)
def test_a_sensor_holds_whatever_the_files_say(
    sensor: str, machine: str, changes: dict[str, bytes | None], faults: dict[str, int]
) -> None:
    tree = Written(changed(machine, changes), faults=faults)
    SENSORS[sensor](tree)
    sane_gaps(tree.gaps)


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("sensor", SENSORS)
def test_a_sensor_holds_where_every_file_fails(sensor: str, code: int) -> None:
    tree = Written(KNOWN, faults=dict.fromkeys(PATHS + FOLDERS, code))
    SENSORS[sensor](tree)
    sane_gaps(tree.gaps)


# ---- the port ----------------------------------------------------------------------------------


def meters_hold(machine: Machine) -> None:
    meters = machine.meters(lambda: [os.getpid()], UNKNOWN)
    for _ in range(2):
        for metered in (*meters.read(), meters.battery()):
            sane_metered(metered)
        meters.edge()
    sane_gaps(meters.gaps)


def holds(sensors: Sensors, pid: int) -> None:
    """Everything that the port promises, twice: some sensors remember."""
    for _ in range(2):
        told = sensors.telemetry()
        sane_telemetry(told)
        gpus = tuple(sensors.gpus(ours=True))
        sane_telemetry(replace(told, memory=sensors.memory(), gpus=gpus))
        sane_footprint(sensors.footprint(pid))
    for nobody in (-1, 0, 1 << 40):
        assert sensors.footprint(nobody) is None


@pytest.fixture(params=["real", *MACHINES])
def sensors(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    if request.param == "real":
        return Machine()
    return Machine(draw(tmp_path, MACHINES[request.param]))


def test_a_machine_holds(sensors: Machine) -> None:
    sane_hardware(sensors.hardware())
    holds(sensors, os.getpid())
    meters_hold(sensors)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    machine=st.sampled_from(list(MACHINES)),
    changes=CHANGES,
    folders=st.sets(st.sampled_from(PATHS), max_size=3),
)
def test_a_machine_holds_whatever_its_folder_has(
    machine: str, changes: dict[str, bytes | None], folders: set[str]
) -> None:
    files = changed(machine, changes)
    with tempfile.TemporaryDirectory() as folder:
        root = draw(Path(folder), {path: files[path] for path in files.keys() - folders})
        for path in folders:
            (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        holds(Machine(root), 7)
