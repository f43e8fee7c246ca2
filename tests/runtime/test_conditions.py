"""What power, profile and time of day mean for idle models."""

import asyncio
import time

import pytest

from edgeroute.domain.hardware import Power, PowerState
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.residency.messages import ConditionsChanged
from edgeroute.runtime.conditions import Conditions
from edgeroute.runtime.pool import Pool
from tests.runtime.conftest import build_line, card

pytestmark = pytest.mark.looptime

PROFILE = Profile("p", "", idle_release_s=600.0, idle_release_battery_s=30.0)


class Told(Pool):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[ConditionsChanged] = []

    def change_conditions(self, conditions: ConditionsChanged) -> None:
        self.told.append(conditions)


@pytest.mark.parametrize(
    ("power", "prewarms", "release_s"),
    [
        ("absent", True, 600.0),
        ("ac", True, 600.0),
        ("discharging", False, 30.0),
        ("plugged_but_discharging", False, 30.0),
        ("unknown", False, 600.0),
    ],
)
def test_power_decides_on_guesses_and_on_how_long_the_idle_stay(
    power: PowerState,
    prewarms: bool,  # noqa: FBT001
    release_s: float,
) -> None:
    pool = Told()
    Conditions(pool, lambda: 0.0, lambda: 0.0).update(Power(power), PROFILE, {}, {})
    (told,) = pool.told
    assert (told.may_prewarm, told.idle_release_s) == (prewarms, release_s)


def test_a_profile_may_forbid_guesses() -> None:
    pool = Told()
    modest = Profile("p", "", prewarm=False)
    Conditions(pool, lambda: 0.0, lambda: 0.0).update(Power("ac"), modest, {}, {})
    assert not pool.told[0].may_prewarm


def test_it_tells_changes_alone() -> None:
    pool, now = Told(), [0.0]
    conditions = Conditions(pool, lambda: now[0], lambda: 1e9 + now[0])
    for power in ("ac", "ac", "discharging", "discharging", "ac"):
        conditions.update(Power(power), PROFILE, {}, {})
        now[0] += 5.0
    assert [told.may_prewarm for told in pool.told] == [True, False, True]


def test_midnight_moves_with_a_night_that_the_clock_did_not_see() -> None:
    pool, now, wall = Told(), [50.0], [1_700_000_000.0]
    conditions = Conditions(pool, lambda: now[0], lambda: wall[0])
    conditions.update(Power("ac"), PROFILE, {}, {})
    now[0] += 10.0
    wall[0] += 10.0 + 8 * 3600  # suspended for a night
    conditions.update(Power("ac"), PROFILE, {}, {})
    before, after = pool.told
    assert before.midnight - after.midnight == pytest.approx(8 * 3600)
    local = time.localtime(wall[0])
    seconds = local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec
    assert (now[0] - after.midnight) % 86_400 == pytest.approx(seconds)


async def test_on_battery_an_idle_model_is_gone_soon() -> None:
    line = build_line(card("m", EchoBehaviour(), 0.9))
    conditions = Conditions(line.pool, asyncio.get_running_loop().time, lambda: 0.0)
    conditions.update(Power("discharging"), PROFILE, {}, {})
    await line.ask("hello")
    await asyncio.sleep(29)
    assert line.pool.snapshot()[0].warmth is Warmth.WARM
    await asyncio.sleep(2)
    assert line.pool.snapshot()[0].warmth is Warmth.COLD
    await line.pool.close()


async def test_a_model_that_is_to_be_warm_is_loaded_before_anybody_asks() -> None:
    broken = card("broken", EchoBehaviour(fail_load="no such tensor"), 0.5)
    line = build_line(card("m", EchoBehaviour(), 0.9), broken)
    line.pool.warm([line.roster.current().ids[1], line.roster.current().ids[0]])
    await asyncio.sleep(1)
    assert [status.warmth for status in line.pool.snapshot()] == [Warmth.WARM, Warmth.FAILED]
    await line.pool.close()


async def test_memory_is_looked_at_more_often_where_there_is_something_to_give_back() -> None:
    line = build_line(card("m", EchoBehaviour(), 0.9))
    nothing = line.pool.glance_s()
    await line.ask("hello")
    warm = line.pool.glance_s()
    line.memory.withheld = Bytes(1)
    assert nothing > warm > line.pool.glance_s()
    await line.pool.close()


def test_warmth_costs_seconds_on_battery_alone() -> None:
    """A joule is worth a quarter of a second here; what is under 50 mW is nothing."""
    profile = Profile("p", "", per_joule=0.005, per_second=0.02)
    idle_w = {ModelId("gpu"): 8.04, ModelId("cpu"): 0.04}
    told = []
    for power in ("ac", "discharging"):
        pool = Told()
        Conditions(pool, lambda: 0.0, lambda: 0.0).update(Power(power), profile, idle_w, {})
        told.append(pool.told[0].warmth)
    assert told == [{}, {"gpu": pytest.approx(2.0)}]
    timeless, pool = Profile("p", "", per_second=0.0), Told()
    Conditions(pool, lambda: 0.0, lambda: 0.0).update(Power("discharging"), timeless, idle_w, {})
    assert pool.told[0].warmth == {}


def test_what_peers_serve_is_told_roughly_and_only_where_they_may_be_asked() -> None:
    pool = Told()
    conditions = Conditions(pool, lambda: 0.0, lambda: 0.0)
    for seconds in (0.0231, 0.0234, 0.0009):
        conditions.update(Power("ac"), PROFILE, {}, {ModelId("m"): seconds})
    assert [told.served for told in pool.told] == [{"m": 0.02}, {"m": 0.01}]
    conditions.update(Power("ac"), Profile("p", "", farthest=Zone.DEVICE), {}, {ModelId("m"): 0.02})
    assert pool.told[-1].served == {}
