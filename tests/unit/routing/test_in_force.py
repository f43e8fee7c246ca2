"""Which profile is in force, and how steadily."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.hardware import Clocks, Gpu, Memory, Power, Telemetry, ThermalZone
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile, When
from edgeroute.domain.units import Bytes
from edgeroute.routing.in_force import Standing, Watch, in_force, marks

PROFILES = {
    "balanced": Profile("balanced", ""),
    "saver": Profile(
        "saver", "", per_joule=0.004, applies=(When(on_battery=True, below=30), When(hot=True))
    ),
    "battery": Profile("battery", "", applies=(When(on_battery=True),)),
    "mail": Profile("mail", "", max_load_s=3.0, applies=(When(app="mail"),)),
    "private": Profile("private", "", farthest=Zone.DEVICE, max_load_s=5.0),
    "sharing": Profile(
        "sharing", "", battery_share=0.1, battery_until="18:00", joules_per_hour=900.0
    ),
    "hot": Profile("hot", "", battery_share=0.2, joules_per_hour=300.0, applies=(When(hot=True),)),
}


def told(power: Power = Power("ac"), **more: object) -> Telemetry:
    return replace(Telemetry(Memory(Bytes(1), Bytes(1)), power), **more)  # type: ignore[arg-type]


def on_battery(percent: float) -> Telemetry:
    return told(Power("discharging", percent))


def chosen(standing: Standing, app: str = "default", configured: str = "balanced") -> str:
    return in_force(PROFILES, configured, standing, app)[0].name


def test_the_configured_one_where_none_applies() -> None:
    assert in_force(PROFILES, "balanced", Standing(), "a") == (
        PROFILES["balanced"],
        "as configured",
    )


def test_the_most_conditions_win_and_say_why() -> None:
    low = Standing(on_battery=True, percent=22, below=frozenset({30}))
    profile, reason = in_force(PROFILES, "balanced", low, "default")
    assert (profile.name, reason) == ("saver", "on battery and charge below 30% at 22%")
    assert chosen(Standing(on_battery=True)) == "battery"
    assert chosen(Standing(hot=True)) == "hot"


def test_an_app_has_its_own() -> None:
    assert chosen(Standing(), app="mail") == "mail"


@given(
    configured=st.sampled_from(list(PROFILES)),
    standing=st.builds(
        Standing, st.booleans(), st.just(20.0), st.just(frozenset({30.0})), st.booleans()
    ),
    app=st.sampled_from(["mail", "default"]),
)
def test_no_profile_that_applies_by_itself_loosens_a_limit(
    configured: str, standing: Standing, app: str
) -> None:
    profile, _ = in_force(PROFILES, configured, standing, app)
    base = PROFILES[configured]
    assert profile.farthest <= base.farthest
    if base.max_load_s is not None:
        assert profile.max_load_s is not None
        assert profile.max_load_s <= base.max_load_s
    if base.joules_per_hour is not None:
        assert (profile.joules_per_hour or 1e9) <= base.joules_per_hour
    if base.battery_share is not None:
        assert (profile.battery_share or 1.0) <= base.battery_share
    if configured == "sharing":
        assert profile.battery_until == "18:00"


def test_a_mark_is_left_only_well_above_it() -> None:
    watch = Watch(marks(PROFILES))
    below = [
        30 in watch.observe(on_battery(percent), None, 0.0).below
        for percent in (31, 30, 29.5, 31, 34.9, 35, 31)
    ]
    assert below == [False, False, True, True, True, False, False]


def test_a_loose_plug_does_not_flicker() -> None:
    watch = Watch(())
    states = [
        watch.observe(told() if number % 2 else on_battery(50), None, 5.0 * number).on_battery
        for number in range(20)
    ]
    assert states == [True] * 20
    held = [watch.observe(told(), None, 100.0 + 5 * number).on_battery for number in range(3)]
    assert held == [True, False, False]  # it has been in since 95 s


def test_an_unknown_supply_changes_nothing() -> None:
    watch = Watch(())
    watch.observe(on_battery(50), None, 0.0)
    assert watch.observe(told(Power("unknown")), None, 60.0).on_battery


def zone(celsius: float) -> Telemetry:
    return told(thermal=(ThermalZone("cpu", celsius, 100.0),))


def test_heat_is_left_only_when_it_has_been_cool_for_a_while() -> None:
    watch = Watch(())
    hot = [
        watch.observe(zone(celsius), None, now).hot
        for celsius, now in ((89, 0), (91, 5), (88, 10), (84, 15), (84, 70), (84, 75))
    ]
    assert hot == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("telemetry", "speed"),
    [
        (told(clocks=Clocks(slowed=True)), None),
        (told(gpus=(Gpu(0, "g", slowed=True),)), None),
        (zone(88), 0.6),  # warm, and slower than it should be
    ],
)
def test_what_is_slowed_is_hot(telemetry: Telemetry, speed: float | None) -> None:
    assert Watch(()).observe(telemetry, speed, 0.0).hot


def test_slowness_alone_is_not_heat() -> None:
    """Neighbours slow a model down as well."""
    assert not Watch(()).observe(zone(60), 0.3, 0.0).hot
    assert not Watch(()).observe(told(), 0.3, 0.0).hot


def test_throttle_events_count_while_they_grow() -> None:
    watch = Watch(())
    events = [3, 3, 5, 5]
    hot = [
        watch.observe(told(clocks=Clocks(throttle_events=count)), None, 100.0 * number).hot
        for number, count in enumerate(events)
    ]
    assert hot[:3] == [False, False, True]


def test_after_a_sleep_nothing_of_before_lingers() -> None:
    """Unplugged, hot and below a mark with its hysteresis; then it wakes at a plug, cool."""
    watch = Watch([30.0])
    before = told(Power("discharging", 29), clocks=Clocks(slowed=True), suspended_s=5.0)
    for now in (0.0, 20.0):
        standing = watch.observe(before, None, now)
    assert (standing.on_battery, standing.hot, standing.below) == (True, True, frozenset({30.0}))
    awake = watch.observe(told(Power("ac", 32), suspended_s=5.4), None, 21.0)
    assert (awake.on_battery, awake.hot, awake.below) == (
        True,
        True,
        frozenset({30.0}),
    )  # clocks waver
    woken = watch.observe(told(Power("ac", 32), suspended_s=3605.0), None, 22.0)
    assert woken == Standing(on_battery=False, percent=32)
