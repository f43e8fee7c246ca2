"""Thermal zones: gated, dead, critical, replaced."""

import errno

import pytest

from edgeroute.domain.hardware import ThermalZone
from edgeroute.sensors.thermal import Thermal
from tests.unit.sensors.drawn import LAPTOP, ORIN_NANO, Written, zone

ZONES = "/sys/class/thermal"


def test_zones_with_their_critical_points() -> None:
    assert Thermal().read(Written(LAPTOP)) == (
        ThermalZone("acpitz", 45.0, 110.0),
        ThermalZone("x86_pkg_temp", 51.0, 100.0),
    )


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EINVAL])
def test_a_gated_zone_is_left_out_without_a_gap(code: int) -> None:
    tree = Written(
        zone(0, "cv0-thermal", "0"), zone(1, "cpu", "40000"),
        faults={f"{ZONES}/thermal_zone0/temp": code},
    )  # fmt: skip
    assert [zone.name for zone in Thermal().read(tree)] == ["cpu"]
    assert tree.gaps == ()


@pytest.mark.parametrize(
    ("millidegrees", "why"),
    [
        ("-256000", "-256 °C is no temperature"),
        ("-274000", "-274 °C is no temperature"),
        ("999000", "999 °C is no temperature"),
        ("0", "exactly 0 °C"),
        ("warm", "'warm' is not a number"),
    ],
)
def test_what_no_sensor_measures_is_left_out_with_the_reason(millidegrees: str, why: str) -> None:
    tree = Written(zone(0, "broken", millidegrees))
    assert Thermal().read(tree) == ()
    assert [gap.what for gap in tree.gaps] == [f"{ZONES}/thermal_zone0/temp"]
    assert why in tree.gaps[0].why


def test_frost_is_a_temperature() -> None:
    assert Thermal().read(Written(zone(0, "outdoor", "-21500"))) == (ThermalZone("outdoor", -21.5),)


def test_a_jetsons_gated_zone_does_not_hide_the_others() -> None:
    assert Thermal().read(Written(ORIN_NANO)) == (ThermalZone("cpu-thermal", 48.5, 104.0),)


def test_a_critical_point_that_makes_no_sense_is_none() -> None:
    assert Thermal().read(Written(zone(0, "acpitz", "40000", critical=-274))) == (
        ThermalZone("acpitz", 40.0),
    )


def test_critical_points_are_read_once_for_each_zone() -> None:
    thermal = Thermal()
    thermal.read(Written(LAPTOP))
    again = Written(LAPTOP)
    assert thermal.read(again)[0].critical_c == 110.0
    assert not [path for path in again.asked if "trip_point" in path]
    replaced = Written({**LAPTOP, **zone(0, "iwlwifi_1", "41000", critical=90)})
    assert thermal.read(replaced)[0] == ThermalZone("iwlwifi_1", 41.0, 90.0)


def test_cooling_devices_are_not_zones() -> None:
    tree = Written(
        {f"{ZONES}/cooling_device0/type": "Processor", f"{ZONES}/cooling_device0/temp": "1"}
    )
    assert Thermal().read(tree) == ()
