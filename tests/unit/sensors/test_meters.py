"""Which meters a machine has, what they include, and what they say over time."""

import errno

import pytest

from edgeroute.domain.device import UNKNOWN
from edgeroute.domain.energy import Metered
from edgeroute.domain.hardware import Power
from edgeroute.sensors.clocks import read_clocks
from edgeroute.sensors.ina3221 import find_rails
from edgeroute.sensors.meters import BatteryMeter, CpuTimeMeter, Meter, find_meters
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import (
    AGX_ORIN,
    CONTAINER,
    LAPTOP,
    MACHINES,
    ORIN_NANO,
    RASPBERRY_PI_5,
    RYZEN_LAPTOP,
    XAVIER_NX,
    Files,
    Written,
    ina3221,
    merged,
    powercap,
)

ZONES = "/sys/class/powercap"
MONITOR = "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"


def no_gpus(tree: Tree, *, gpu_in_use: bool) -> dict[str, tuple[int | None, float | None]]:
    assert tree is not None
    assert not gpu_in_use
    return {}


def found(tree: Written) -> tuple[Meter, ...]:
    return find_meters(tree, no_gpus, lambda: {7: 0.0}, UNKNOWN)


def first(files: Files) -> tuple[Meter, Written]:
    tree = Written(files)
    return found(tree)[0], tree


def over(meter: Meter, tree: Written, *times: float) -> Metered:
    for now in times:
        told = meter.read(tree, now)
    return told


@pytest.mark.parametrize(
    ("files", "source", "watts"),
    [
        (ORIN_NANO, "VDD_IN", 6.0),
        (AGX_ORIN, "VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0+VDDQ_VDD2_1V8AO", 16.4),
        (XAVIER_NX, "VDD_IN", 4.2),
    ],
)
def test_the_rails_of_a_jetson(files: Files, source: str, watts: float) -> None:
    meter, tree = first(files)
    told = over(meter, tree, 10.0, 10.1, 12.0)
    assert (told.source, told.scope, told.quality) == (source, "board", "integrated")
    assert told.joules == pytest.approx(2 * watts)
    assert len(found(tree)) == 1  # its GPU is in it


def test_every_rail_is_called_what_it_is() -> None:
    """`VDD_CPU_GPU_CV` is one rail of the processor, the GPU and the vision engines together."""
    labels = [rail.label for rail in find_rails(Written(ORIN_NANO))]
    assert labels == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]


def test_channels_that_are_not_connected_are_no_rails() -> None:
    labels = [rail.label for rail in find_rails(Written(AGX_ORIN))]
    assert "NC" not in labels
    assert len(labels) == 4


def test_a_rail_that_is_gated_for_a_moment_is_bridged_and_told() -> None:
    meter, tree = first(ORIN_NANO)
    over(meter, tree, 0.0)
    tree.faults = {f"{MONITOR}/curr1_input": errno.EAGAIN}
    assert meter.read(tree, 0.1).joules is None
    tree.faults = {}
    assert over(meter, tree, 0.2).joules == pytest.approx(1.2)
    assert tree.gaps == ()


def test_a_monitor_that_nobody_may_read_is_a_gap_and_no_meter() -> None:
    tree = Written(ORIN_NANO, faults={f"{MONITOR}/curr1_input": errno.EACCES})
    assert found(tree)[0].read(tree, 0.0).quality == "model"
    assert [gap.why for gap in tree.gaps] == ["Permission denied"]


def test_part_of_the_rails_is_no_total() -> None:
    tree = Written(AGX_ORIN, faults={f"{MONITOR}/in1_input": errno.EIO})
    assert found(tree)[0].read(tree, 0.0).quality == "model"


def counted(package: int, platform: int | None) -> Files:
    limit = 262_143_328_850
    parts = [powercap("0", "package-0", package, limit), powercap("0:0", "core", 1, limit)]
    return merged(*parts, *[powercap("1", "psys", platform, limit)] * (platform is not None))


@pytest.mark.parametrize(
    ("platform", "scope", "joules"),
    [
        ((1_000_000, 4_000_000, 14_000_000), "board", 10.0),
        ((1_000_000, 1_000_000, 1_000_000), "package", 4.0),  # it is there and stands still
        ((None, None, None), "package", 4.0),
    ],
)
def test_the_platform_counts_where_it_moves(
    platform: tuple[int | None, ...], scope: str, joules: float
) -> None:
    packages = (1_000_000, 3_000_000, 7_000_000)
    readings = [merged(counted(*both)) for both in zip(packages, platform, strict=True)]
    tree = Written(readings[0])
    meter, _ = found(tree)
    told = []
    for now, files in enumerate(readings):
        tree.files = files
        told.append(meter.read(tree, float(now)))
    assert (told[2].scope, told[2].quality) == (scope, "counter")
    assert (told[2].joules or 0) - (told[1].joules or 0) == pytest.approx(joules)


def test_a_package_counter_that_wraps() -> None:
    tree = Written(powercap("0", "package-0", 900, 999))
    (meter, _) = found(tree)
    meter.read(tree, 0.0)
    tree.files = merged(powercap("0", "package-0", 100, 999))
    assert meter.read(tree, 1.0).joules == pytest.approx(200e-6)


def test_an_amd_processor_counts_its_package_and_wraps_after_an_hour() -> None:
    meter, tree = first(RYZEN_LAPTOP)
    meter.read(tree, 0.0)
    tree.files = merged(RYZEN_LAPTOP, powercap("0", "package-0", 5_000_000, 65_532_610_987))
    told = meter.read(tree, 60.0)
    assert (told.source, told.scope, told.quality) == ("intel-rapl:0", "package", "counter")
    assert told.joules == pytest.approx(0.610_988 + 5.0)
    assert tree.gaps == ()


def test_a_platform_counter_that_wraps() -> None:
    limit = 262_143_328_850
    readings = [(0, limit - 9_000_000), (4_000_000, limit - 1_000_000), (8_000_000, 5_000_000)]
    tree = Written(counted(*readings[0]))
    meter, told = found(tree)[0], []
    for now, both in enumerate(readings):
        tree.files = merged(counted(*both))
        told.append(meter.read(tree, float(now)))
    assert told[2].scope == "board"
    assert (told[2].joules or 0) - (told[1].joules or 0) == pytest.approx(6.0, abs=1e-5)


def test_a_package_that_is_shown_twice_counts_once() -> None:
    """Recent Intel laptops show `intel-rapl-mmio:0` too, by another way to the same counter."""
    again = {
        path.replace("intel-rapl:", "intel-rapl-mmio:"): text
        for path, text in powercap("0", "package-0", 7).items()
    }
    meter, tree = first(merged(powercap("0", "package-0", 7), again))
    meter.read(tree, 0.0)
    for path in [path for path in tree.files if path.endswith("energy_uj")]:
        tree.files[path] = b"1000007"
    told = meter.read(tree, 1.0)
    assert told.source == "intel-rapl:0"
    assert told.joules == pytest.approx(1.0)


def test_counters_for_root_alone_are_said_to_be_and_a_model_stands_in() -> None:
    tree = Written(
        LAPTOP,
        faults={f"{ZONES}/intel-rapl:{n}/energy_uj": errno.EACCES for n in ("0", "0:0", "1")},
    )
    told = found(tree)[0].read(tree, 0.0)
    assert (told.quality, told.own) == ("model", True)
    assert f"{ZONES}/intel-rapl:0/energy_uj" in {gap.what for gap in tree.gaps}


@pytest.mark.parametrize("files", [RASPBERRY_PI_5, CONTAINER])
def test_without_a_counter_cpu_time_stands_in_and_says_so(files: Files) -> None:
    spent = {7: 100.0, 8: 3.0}
    meter = CpuTimeMeter(lambda: spent, 5.0)
    tree = Written(files)
    meter.read(tree, 0.0)
    spent.update({7: 101.0, 9: 0.5})
    del spent[8]
    assert meter.read(tree, 1.0).joules == pytest.approx(5 * (103 + 1 + 0.5))
    assert meter.read(tree, 1.0).quality == "model"


def test_nothing_is_never_told_as_nought() -> None:
    for files in MACHINES.values():
        told = CpuTimeMeter(dict, 5.0).read(Written(files), 0.0)
        assert told.joules is None


def test_a_battery_gives_while_it_discharges() -> None:
    power = Power("discharging", 50.0, discharge_w=20.0)
    meter = BatteryMeter(lambda: power)
    tree = Written()
    assert over(meter, tree, 0.0, 5.0, 10.0).joules == pytest.approx(200)
    power = Power("ac", 60.0)
    assert meter.read(tree, 15.0).joules == pytest.approx(200)
    power = Power("discharging", 50.0)  # the gauge does not tell watts any more
    assert meter.read(tree, 20.0).joules is None
    power = Power("absent")  # taken out while we ran
    assert meter.read(tree, 25.0).joules is None


def test_a_monitor_without_current_is_not_there() -> None:
    tree = Written(ina3221("1-0040", 1, ("VDD_IN", 5000, 0)))
    assert over(found(tree)[0], tree, 0.0, 10.0).joules == 0.0  # it says that nothing flows


# ---- clocks -----------------------------------------------------------------------------------


def test_power_modes() -> None:
    assert read_clocks(Written(ORIN_NANO)).power_mode == "25W"
    laptop = read_clocks(Written(LAPTOP))
    assert (laptop.power_mode, laptop.governor) == ("low-power", "powersave")
    assert laptop.throttle_events == 3
    unnamed = Written({"/var/lib/nvpmodel/status": "pmode:0003\n"})
    assert read_clocks(unnamed).power_mode == "3"


def test_a_raspberry_pi_says_that_it_is_slowed() -> None:
    assert read_clocks(Written(RASPBERRY_PI_5)).slowed is True
    path = "/sys/devices/platform/soc/soc:firmware/get_throttled"
    past = Written({path: "50000\n"})  # it was, since it was started
    assert read_clocks(past).slowed is False
    broken = Written({path: "?\n"})
    assert read_clocks(broken).slowed is None
    assert [gap.what for gap in broken.gaps] == [path]
