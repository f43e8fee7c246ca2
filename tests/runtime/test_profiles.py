"""Profiles while the daemon runs: switches, and a budget that raises the price of joules."""

import logging

import pytest

from edgeroute.domain.decision import Decision, Estimate, Ranked, Term
from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.hardware import Memory, Power, Telemetry
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile, When
from edgeroute.domain.request import Message, Priority, Request
from edgeroute.domain.units import Bytes, Joules, ModelId, RequestId, Usd
from edgeroute.runtime.profiles import Profiles

SAVER = Profile("saver", "", per_joule=0.004, applies=(When(on_battery=True, below=30),))
HOUR_S = 3600.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(power: Power) -> Telemetry:
    return Telemetry(Memory(Bytes(1), Bytes(1)), power)


def asking(profile: str | None = None, priority: Priority = "interactive") -> Request:
    return Request(
        RequestId("r"), "auto", (Message("user", "?"),), profile=profile, priority=priority
    )


def test_a_switch_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    profiles = Profiles(
        {"balanced": Profile("balanced", ""), "saver": SAVER}, "balanced", Clock(), Clock()
    )
    assert profiles.observe(told(Power("discharging", 50)), None) is None
    switch = profiles.observe(told(Power("discharging", 29)), None)
    assert switch is not None
    assert (switch.before, switch.after) == ("balanced", "saver")
    assert "profile saver instead of balanced: on battery and charge below 30%" in caplog.text
    profile, reason = profiles.of(asking())
    assert (profile.name, reason) == ("saver", "on battery and charge below 30% at 29%")
    assert profiles.of(asking("balanced")) == (Profile("balanced", ""), "asked for")


def test_an_unknown_profile_is_refused() -> None:
    profiles = Profiles({"balanced": Profile("balanced", "")}, "balanced", Clock(), Clock())
    with pytest.raises(InvalidRequest, match="no profile 'bogus'"):
        profiles.of(asking("bogus"))


def choice(clock: Clock, profiles: Profiles) -> float:
    """Decide between 100 J for .9 and 10 J for .5, as often as it comes; joules chosen."""
    per_joule = profiles.of(asking())[0].per_joule
    ranked = [
        Ranked(
            ModelId(name), Zone.DEVICE, quality - per_joule * joules,
            (Term("quality", quality), Term("energy", -per_joule * joules)),
            Estimate(quality, 0.0, 0.0, Joules(joules), Usd(0.0)),
        )
        for name, quality, joules in (("good", 0.9, 100.0), ("cheap", 0.5, 10.0))
    ]  # fmt: skip
    ranked.sort(key=lambda each: -each.utility)
    profiles.decided(Decision(tuple(ranked), ""), "interactive")
    taken = ranked[0].estimate.device_joules
    profiles.spent(taken)
    clock.now += 60.0
    return taken


def test_a_budget_is_kept_and_used() -> None:
    """Sixty requests an hour, which would take 6 kJ; 2 kJ are allowed."""
    budgeted = Profile("balanced", "", per_joule=0.0003, joules_per_hour=2000.0)
    clock = Clock()
    profiles = Profiles({"balanced": budgeted}, "balanced", clock, clock)
    taken = [choice(clock, profiles) for _ in range(60 * 48)]
    last = sum(taken[-60 * 24 :]) / 24
    assert last == pytest.approx(2000, rel=0.1)
    assert min(taken) == 10.0  # the cheapest still answers


def test_without_a_budget_the_weight_is_the_profiles() -> None:
    clock = Clock()
    profiles = Profiles({"balanced": Profile("balanced", "")}, "balanced", clock, clock)
    assert {choice(clock, profiles) for _ in range(200)} == {100.0}


def test_background_work_pays_more_where_joules_are_short() -> None:
    budgeted = Profile("balanced", "", per_joule=0.0003, joules_per_hour=100.0)
    clock = Clock()
    profiles = Profiles({"balanced": budgeted}, "balanced", clock, clock)
    for _ in range(200):
        choice(clock, profiles)
    background = profiles.of(asking(priority="background"))[0].per_joule
    assert background == pytest.approx(2 * profiles.of(asking())[0].per_joule)


def test_a_share_of_the_battery_is_kept_and_told() -> None:
    """Forty requests until six, which would take 4 kJ; a tenth of 20 kJ is theirs."""
    shared = Profile("balanced", "", per_joule=0.0003, battery_share=0.1, battery_until="18:00")
    clock = Clock()
    clock.now = 17 * HOUR_S
    profiles = Profiles({"balanced": shared}, "balanced", clock, clock)
    assert profiles.left() == ()
    assert profiles.of(asking()) == (shared, "as configured")
    profiles.observe(told(Power("discharging", stored_j=20_000.0)), None)
    (left,) = profiles.left()
    assert (left.of, left.joules, left.ends_in_s) == ("battery", 2000.0, HOUR_S)
    _, reason = profiles.of(asking())
    assert reason == (
        "as configured; 2,000 J of the battery's charge are left for models for 60 min 0 s"
    )
    taken = [choice(clock, profiles) for _ in range(40)]
    assert sum(taken) <= 2000
    assert {10.0, 100.0} == set(taken)


def test_a_share_of_the_battery_holds_in_a_profile_that_applies_by_itself_too() -> None:
    shared = Profile("balanced", "", battery_share=0.1)
    clock = Clock()
    profiles = Profiles({"balanced": shared, "saver": SAVER}, "balanced", clock, clock)
    profiles.observe(told(Power("discharging", 20, stored_j=20_000.0)), None)
    assert profiles.in_force == "saver"
    profiles.spent(500.0)
    (left,) = profiles.left()
    assert left.joules == 1500.0
