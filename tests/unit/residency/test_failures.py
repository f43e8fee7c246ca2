"""Loads that fail, workers that die, events that come late or for nobody."""

import pytest

from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import LeaseId, ModelId
from edgeroute.residency.messages import (
    Exited,
    LeaseDropped,
    Loaded,
    LoadFailed,
    Reclaimed,
    Tick,
    WakeAt,
)
from tests.unit.residency.drawn import mib
from tests.unit.residency.shell import Shell, spec

# ---- failures -----------------------------------------------------------------------------------


def test_a_failed_load_tells_everybody_the_same_and_when_to_try_again() -> None:
    shell = Shell(spec("a"))
    leases = [shell.ask("a"), shell.ask("a")]
    shell.fail("a", "unknown tensor type")
    shell.reclaim("a")
    shell.wait(1.0)
    leases.append(shell.ask("a"))
    answers = [shell.denied[lease] for lease in leases]
    assert {(a.code, a.message) for a in answers} == {("load_failed", "unknown tensor type")}
    assert [a.retry_after_s for a in answers] == [5.0, 5.0, 4.0]
    assert shell.warmth("a") is Warmth.FAILED
    assert shell["a"].retry_in_s == 4.0


def test_a_failed_load_is_tried_again_after_a_back_off_that_doubles() -> None:
    shell = Shell(spec("a"))
    waits = []
    for _ in range(5):
        lease = shell.ask("a")
        shell.fail("a")
        shell.reclaim("a")
        waits.append(shell.denied[lease].retry_after_s)
        assert waits[-1] is not None
        shell.wait(waits[-1])
        assert shell.warmth("a") is Warmth.COLD
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_the_exit_that_follows_a_failed_load_is_no_second_failure() -> None:
    shell = Shell(spec("a"))
    shell.ask("a")
    shell.fail("a")
    assert shell.tell(Exited(ModelId("a"))) == []
    shell.reclaim("a")
    assert shell["a"].retry_in_s == 5.0


def test_a_worker_that_dies_is_started_again_for_those_who_wait() -> None:
    shell = Shell(spec("a"))
    shell.ask("a")
    shell.load("a")
    shell.exit("a")  # its request fails in the shell
    shell.reclaim("a")
    waiting = shell.ask("a")
    assert waiting in shell.waiting
    assert shell.warmth("a") is Warmth.FAILED
    assert shell.wake_at == shell.now + 0.5
    shell.wait(0.5)
    assert shell.starting == {"a"}
    shell.load("a")
    assert waiting in shell.granted


def test_leases_of_a_dead_worker_are_void() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("a")
    shell.load("a")
    shell.exit("a")
    assert shell["a"].leases == 0
    assert shell.tell(LeaseDropped(lease)) == []


def test_who_waits_for_a_load_that_dies_waits_for_the_next() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("a")
    shell.exit("a")
    shell.reclaim("a")
    shell.wait(0.5)
    shell.load("a")
    assert lease in shell.granted


def test_a_worker_that_dies_again_and_again_is_given_up_for_a_while() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("a")
    for backoff in (0.5, 1.0):
        shell.exit("a")
        shell.reclaim("a")
        shell.wait(backoff)
        assert shell.starting == {"a"}
    shell.exit("a")
    assert shell.denied[lease].code == "worker_died"
    assert shell.denied[lease].message == "the worker of a died 3 times in a row"
    assert shell.denied[lease].retry_after_s == 2.0
    shell.reclaim("a")
    assert shell.denied[shell.ask("a")].code == "worker_died"
    shell.wait(2.0)
    shell.ask("a")
    assert shell.starting == {"a"}


def test_a_healthy_minute_makes_up_for_earlier_deaths() -> None:
    shell = Shell(spec("a"))
    for _ in range(2):
        shell.ask("a")
        shell.exit("a")
        shell.reclaim("a")
        shell.wait(30)
    shell.load("a")
    shell.wait(60)
    shell.exit("a")
    shell.reclaim("a")
    lease = shell.ask("a")
    assert shell["a"].retry_in_s == 0.0  # nobody is refused
    shell.wait(0.5)
    assert shell.starting == {"a"}
    assert lease not in shell.denied


def test_a_model_that_failed_holds_nobody_else_up() -> None:
    shell = Shell(spec("a", 900), spec("b", 900))
    shell.ask("a")
    shell.exit("a")
    shell.reclaim("a")
    shell.ask("a"), shell.ask("b")
    assert shell.starting == {"b"}


# ---- events that come late, twice or for nobody -------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        LeaseDropped(LeaseId(99)),
        Loaded(ModelId("a"), Footprint(anon=mib(999)), 1.0),
        Loaded(ModelId("nobody"), Footprint(), 1.0),
        LoadFailed(ModelId("a"), "load_failed", "late"),
        LoadFailed(ModelId("nobody"), "load_failed", "late"),
        Exited(ModelId("cold")),
        Exited(ModelId("nobody")),
        Reclaimed(ModelId("a")),
        Reclaimed(ModelId("cold")),
        Reclaimed(ModelId("nobody")),
        Tick(),
    ],
    ids=str,
)
def test_what_concerns_nobody_changes_nothing(event: Exited) -> None:
    shell = Shell(spec("a"), spec("cold"))
    shell.warm("a")
    shell.hold("a")
    before = shell.state.snapshot(shell.now)
    assert shell.tell(event) == []
    assert shell.state.snapshot(shell.now) == before


def test_a_worker_that_was_told_to_end_may_fail_its_load_instead() -> None:
    shell = Shell(spec("a"))
    shell.ask("a")
    shell.change_models()
    shell.fail("a")
    shell.reclaim("a")
    assert list(shell.state._models) == []


def test_the_alarm_rings_again_where_the_clock_rang_too_early() -> None:
    shell = Shell(spec("a"))
    shell.ask("a")
    shell.exit("a")
    assert shell.wake_at is not None
    assert shell.tell(Tick()) == [WakeAt(shell.wake_at)]


def test_version_grows_with_what_a_roster_shows_and_not_with_leases() -> None:
    shell = Shell(spec("a"))
    versions = [shell.state.version]
    for step in (
        lambda: shell.ask("a"),
        lambda: shell.load("a"),
        lambda: shell.change_budget(900),
        lambda: shell.change_models(spec("a"), spec("b")),
        lambda: shell.exit("a"),
    ):
        step()
        versions.append(shell.state.version)
    assert versions == sorted(set(versions))
    shell.warm("b")
    before = shell.state.version
    shell.drop(shell.hold("b"))
    shell.change_budget(900)
    assert shell.state.version == before


def test_validate_says_what_is_broken() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    shell.state._models[ModelId("a")].waiters[LeaseId(7)] = 0.0
    with pytest.raises(AssertionError, match=r"has waiters and no turn.*takes leases and has"):
        shell.state.validate()
