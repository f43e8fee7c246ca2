"""A machine that has slept: what is seen of it, and that counters go on from what they say then."""

import sys
import time
from pathlib import Path

import pytest

from edgeroute.domain.device import UNKNOWN
from edgeroute.domain.hardware import Power
from edgeroute.sensors.machine import Machine, Meters
from edgeroute.sensors.meters import BatteryMeter, find_meters
from edgeroute.sensors.sleep import Waking, elapsed_s, suspended_s
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import ORIN_NANO, Files, draw, powercap

LIMIT = 262_143_328_850


def counted(joules: float) -> Files:
    return powercap("0", "package-0", round(joules * 1e6), LIMIT)


class Laptop:
    """A drawn machine that sleeps when it is told to."""

    def __init__(self, root: Path, files: Files, *, gpu_mj: int = 0) -> None:
        self.root = draw(root, files)
        self.slept_s = 30.0
        self.now = 0.0
        self.gpu_mj = gpu_mj
        tree = Tree(self.root)
        found = find_meters(tree, self.gpus, lambda: {7: 0.0}, UNKNOWN)
        self.meters = Meters(
            self.root,
            found,
            BatteryMeter(lambda: Power("absent")),
            lambda: self.now,
            lambda: self.slept_s,
            (),
        )

    def gpus(self, tree: Tree, *, gpu_in_use: bool) -> dict[str, tuple[int | None, float | None]]:
        assert not tree.real
        assert not gpu_in_use
        return {"0000:01:00.0": (self.gpu_mj, None)} if self.gpu_mj else {}

    def read(self, **at: float) -> dict[str, float | None]:
        self.now += at.get("after_s", 1.0)
        return {told.scope: told.joules for told in self.meters.read()}


def test_a_counter_that_began_anew_in_a_sleep_is_not_believed_to_have_wrapped(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, counted(200_000.0), gpu_mj=9_000_000)
    laptop.read()
    draw(tmp_path, counted(200_010.0))
    laptop.gpu_mj += 5_000
    assert laptop.read() == pytest.approx({"package": 10.0, "gpu": 5.0})
    laptop.slept_s += 3600
    draw(tmp_path, counted(1.0))
    laptop.gpu_mj = 1_000
    assert laptop.read() == {"package": None, "gpu": None}  # nobody knows what it took
    draw(tmp_path, counted(3.0))
    laptop.gpu_mj = 2_500
    assert laptop.read() == pytest.approx({"package": 12.0, "gpu": 6.5})


def test_what_a_board_drew_while_it_slept_is_not_made_up(tmp_path: Path) -> None:
    board = Laptop(tmp_path, ORIN_NANO)
    board.read()
    before = board.read()["board"]
    assert before
    board.slept_s += 3600  # the clock of the readings stands meanwhile
    assert board.read(after_s=8.0)["board"] is None
    assert board.read(after_s=1.0)["board"] == pytest.approx(before + 6.0)


def test_a_waver_of_the_clocks_is_no_sleep_and_a_sleep_is_told_once() -> None:
    waking = Waking(3.0)
    assert [waking.noticed(at) for at in (3.2, 3603.2, 3603.3)] == [False, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="needs CLOCK_BOOTTIME")
def test_this_machine_tells_both_clocks() -> None:
    before = time.monotonic()
    assert elapsed_s() >= before
    assert suspended_s() >= 0
    assert Machine().telemetry().suspended_s == pytest.approx(suspended_s(), abs=1.0)
