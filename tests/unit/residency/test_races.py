"""Races that peers' users have reported, each as one story.

ollama#10359, #10948; llama.cpp#21678, #28443, #28698; llama-swap#612; gpustack#2412, #2443;
lemonade#3483.
"""

from edgeroute.domain.load import Footprint
from edgeroute.residency.messages import Start, Stop
from edgeroute.residency.settings import Settings
from tests.unit.residency.drawn import mib
from tests.unit.residency.shell import Shell, spec


def test_the_only_victim_is_still_loading() -> None:
    shell = Shell(spec("loading", 900), spec("wanted", 900))
    first = shell.ask("loading")
    second = shell.ask("wanted")
    assert shell.count(Stop) == 0
    shell.load("loading")
    assert first in shell.granted
    shell.wait(Settings().max_wait_s)
    assert shell.stopping == set(), "its request runs"
    shell.drop(first)
    shell.end("loading")
    shell.load("wanted")
    assert second in shell.granted


def test_two_wait_for_one_place() -> None:
    shell = Shell(spec("old", 900), spec("a", 900), spec("b", 900))
    shell.warm("old")
    shell.wait(5)
    shell.ask("a"), shell.ask("b")
    shell.end("old")
    assert len(shell.starting) == 1, "the place is one model's alone"


def test_a_request_arrives_as_its_model_is_handed_over() -> None:
    shell = Shell(spec("a", 900), spec("b", 900))
    shell.warm("a")
    shell.wait(5)
    for_b = shell.ask("b")
    assert shell.stopping == {"a"}
    for_a = shell.ask("a")
    assert for_a in shell.waiting, "it is ending, whatever still runs of it"
    shell.end("a")
    shell.load("b")
    assert for_b in shell.granted
    shell.drop(for_b)
    shell.wait(5)
    shell.end("b")
    shell.load("a")
    assert for_a in shell.granted


def test_a_streaming_answer_is_not_cut_off_for_anybody() -> None:
    shell = Shell(spec("streaming", 900), spec("wanted", 900))
    shell.warm("streaming")
    shell.hold("streaming")
    shell.ask("wanted")
    for _ in range(100):
        shell.wait(60)
    assert shell.count(Stop) == 0


def test_memory_of_a_worker_that_ignores_its_end_is_not_given_away() -> None:
    shell = Shell(spec("deaf", 900), spec("wanted", 900))
    shell.warm("deaf")
    shell.wait(5)
    shell.ask("wanted")
    for _ in range(100):
        shell.wait(60)
    assert shell.stopping == {"deaf"}
    assert shell.count(Stop) == 1
    assert shell.starting == set()
    shell.end("deaf")
    assert shell.starting == {"wanted"}


def test_memory_that_never_comes_back_is_not_lent_again() -> None:
    shell = Shell(spec("a", 600), spec("b", 600), spec("small", 300))
    shell.warm("a")
    shell.wait(5)
    lost = shell.ask("b")
    shell.exit("a")
    shell.wait(Settings().reclaim_deadline_s)
    assert "at most 400.0 MiB" in shell.denied[lost].message
    shell.ask("small")
    assert shell.starting == {"small"}


def test_the_budget_is_cut_to_half_while_all_are_leased() -> None:
    shell = Shell(spec("a", 450), spec("b", 450))
    shell.warm("a", "b")
    leases = {name: shell.hold(name) for name in ("a", "b")}
    shell.change_budget(500)
    assert shell.stopping == set()
    assert shell.ask("a") in shell.granted, "it holds what it holds"
    shell.drop(leases["b"])
    shell.change_budget(500)
    assert shell.stopping == {"b"}
    shell.end("b")
    assert shell.booked.ram <= shell.budget.ram


def test_a_clock_that_jumps_over_a_night_evicts_nobody_who_is_used() -> None:
    shell = Shell(spec("a", 450), spec("b", 450), spec("c", 450))
    shell.warm("a", "b")
    held = shell.hold("a")
    waiting = shell.ask("c")
    assert shell.stopping == set(), "b has just become warm"
    shell.wait(8 * 3600)
    assert shell.stopping == {"b"}
    shell.end("b")
    shell.load("c", load_s=1.0)
    assert {held, waiting} <= shell.granted.keys()


def test_a_load_that_fails_leaves_nothing_booked_and_tells_everybody_the_same() -> None:
    shell = Shell(spec("a", 900), spec("b", 900))
    leases = [shell.ask("a") for _ in range(10)]
    assert shell.count(Start) == 1
    shell.fail("a", "truncated file")
    shell.reclaim("a")
    assert {shell.denied[lease].message for lease in leases} == {"truncated file"}
    assert shell.booked == Footprint()
    assert shell.state.held.ram == mib(0)
    shell.ask("b")
    assert shell.starting == {"b"}
