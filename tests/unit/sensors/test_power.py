"""Batteries and mains: states, units, quirks."""

import errno
from typing import Any

import pytest

from edgeroute.domain.hardware import Power, PowerState
from edgeroute.sensors.power import read_power
from tests.unit.sensors.drawn import Files, Written, merged, supply

SUPPLIES = "/sys/class/power_supply"


def battery(name: str = "BAT0", **values: str | int) -> Files:
    return supply(name, type="Battery", present=1, **values)


def mains(online: int) -> Files:
    return supply("AC", type="Mains", online=online)


def power(*parts: Files) -> Power:
    return read_power(Written(*parts))


DRAW_20_OF_40_WH: dict[str, Any] = {
    "power_now": 20_000_000, "energy_now": 40_000_000, "energy_full": 80_000_000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ([], "absent"),
        ([mains(1)], "absent"),
        ([mains(0), battery(status="Discharging")], "discharging"),
        ([battery(status="Discharging")], "discharging"),
        ([mains(1), battery(status="Discharging")], "plugged_but_discharging"),
        ([mains(1), battery(status="Charging")], "ac"),
        ([mains(0), battery(status="Charging")], "ac"),  # fed by USB-C past the firmware's AC
        ([mains(1), battery(status="Not charging")], "ac"),
        ([mains(0), battery(status="Full")], "discharging"),  # the plug was pulled just now
        ([mains(1), battery(status="Unknown")], "ac"),
        ([mains(0), battery(status="Unknown")], "discharging"),
        ([battery(status="Full")], "ac"),
        ([battery(status="Unknown")], "unknown"),
        ([battery()], "unknown"),
        ([mains(0), supply("ucsi", type="USB", online=2), battery(status="Full")], "ac"),
        ([mains(0), supply("usb", type="USB_C", online=0), battery(status="Full")], "discharging"),
        ([mains(0), supply("usb", type="USB"), battery(status="Unknown")], "unknown"),
        ([mains(1), battery("BAT0", status="Full"), battery("BAT1", status="Charging")], "ac"),
    ],
)
def test_states(parts: list[Files], state: PowerState) -> None:
    assert power(*parts).state == state


def test_a_desktop_with_a_mouse_has_no_battery() -> None:
    mouse = supply("hid-mouse", type="Battery", scope="Device", status="Discharging", capacity=10)
    assert power(mouse) == Power("absent")
    laptop = power(mouse, mains(1), battery(status="Full", capacity=99))
    assert (laptop.state, laptop.percent) == ("ac", 99)


def test_an_empty_bay_is_no_battery() -> None:
    assert power(supply("BAT1", type="Battery", present=0)) == Power("absent")


def test_energy_and_power() -> None:
    drawn = power(mains(0), battery(status="Discharging", **DRAW_20_OF_40_WH))
    assert drawn.percent == pytest.approx(50)
    assert drawn.discharge_w == pytest.approx(20)
    assert drawn.time_left_s == pytest.approx(7200)
    assert drawn.stored_j == pytest.approx(40 * 3600)


def test_charge_and_current_are_multiplied_by_the_voltage() -> None:
    """2 A out of 4 Ah at 12 V; as plain numbers they would pass for 2 W and 4 Wh."""
    drawn = power(
        battery(
            status="Discharging", current_now=2_000_000, voltage_now=12_000_000,
            charge_now=4_000_000, charge_full=5_000_000,
        )
    )  # fmt: skip
    assert drawn.discharge_w == pytest.approx(24)
    assert drawn.percent == pytest.approx(80)
    assert drawn.time_left_s == pytest.approx(7200)


def test_some_drivers_count_downwards() -> None:
    drawn = power(battery(status="Discharging", current_now=-1_000_000, voltage_now=8_000_000))
    assert drawn.discharge_w == pytest.approx(8)


def test_a_draw_of_nought_is_no_measurement() -> None:
    drawn = power(battery(status="Discharging", **{**DRAW_20_OF_40_WH, "power_now": 0}))
    assert (drawn.state, drawn.discharge_w, drawn.time_left_s) == ("discharging", None, None)


def test_a_charging_battery_draws_nothing() -> None:
    drawn = power(mains(1), battery(status="Charging", **DRAW_20_OF_40_WH))
    assert (drawn.discharge_w, drawn.time_left_s) == (None, None)
    assert drawn.percent == pytest.approx(50)


def test_batteries_are_one_by_energy() -> None:
    """A small full one that rests and a large one in use, in different units."""
    small = battery(
        "BAT0", status="Unknown", energy_now=20_000_000, energy_full=20_000_000, power_now=0
    )
    large = battery(
        "BAT1", status="Discharging", charge_now=2_000_000, charge_full=8_000_000,
        voltage_now=10_000_000, current_now=1_000_000,
    )  # fmt: skip
    both = power(mains(0), small, large)
    assert both.percent == pytest.approx(40)  # 20 + 20 of 20 + 80 Wh
    assert both.discharge_w == pytest.approx(10)
    assert both.time_left_s == pytest.approx(4 * 3600)
    assert both.stored_j == pytest.approx(40 * 3600)


def test_a_total_of_which_a_part_is_missing_is_not_told() -> None:
    told = battery("BAT0", status="Discharging", capacity=60, **DRAW_20_OF_40_WH)
    silent = battery("BAT1", status="Discharging", capacity=20)
    both = power(told, silent)
    assert (both.discharge_w, both.time_left_s, both.stored_j) == (None, None, None)
    assert both.percent == pytest.approx(40)  # no energies in common: the mean of their own


def test_a_gauge_a_little_over_its_full_mark() -> None:
    drawn = power(battery(status="Full", energy_now=81_000_000, energy_full=80_000_000))
    assert drawn.percent == 100


def test_a_battery_that_leaves_between_listing_and_reading() -> None:
    tree = Written(
        merged(mains(1), battery(status="Full")), faults={f"{SUPPLIES}/BAT0/type": errno.ENODEV}
    )
    assert read_power(tree) == Power("absent")
    assert tree.gaps == ()


def test_supplies_that_may_not_be_read_are_unknown_not_absent() -> None:
    for path in (SUPPLIES, f"{SUPPLIES}/BAT0/type"):
        tree = Written(battery(status="Full"), faults={path: errno.EACCES})
        assert read_power(tree) == Power("unknown")
        assert [(gap.what, gap.why) for gap in tree.gaps] == [(path, "Permission denied")]


def test_a_driver_without_a_value_now_is_no_gap() -> None:
    tree = Written(
        battery(status="Discharging", capacity=70, **DRAW_20_OF_40_WH),
        faults={f"{SUPPLIES}/BAT0/power_now": errno.ENODATA},
    )
    drawn = read_power(tree)
    assert drawn.discharge_w is None
    assert drawn.percent == pytest.approx(50)
    assert tree.gaps == ()


def test_a_percentage_out_of_range_is_a_gap() -> None:
    tree = Written(battery(status="Full", capacity=255))
    assert read_power(tree).percent is None
    assert [gap.what for gap in tree.gaps] == [f"{SUPPLIES}/BAT0/capacity"]
