"""Who is served in which order when memory does not suffice for all."""

from edgeroute.residency.messages import Start
from edgeroute.residency.settings import Settings
from tests.unit.residency.shell import Shell, spec


def busy_shell(*names: str) -> Shell:
    """A leased model that fills the memory, and others of the same size."""
    shell = Shell(spec("busy", 900), *(spec(name, 900) for name in names))
    shell.warm("busy")
    return shell


def test_the_model_comes_next_for_which_most_have_waited() -> None:
    shell = busy_shell("one", "many")
    running = shell.hold("busy")
    shell.ask("one")
    shell.wait(1)
    waiting = [shell.ask("many") for _ in range(3)]
    shell.wait(3)
    shell.drop(running)
    shell.end("busy")
    assert shell.starting == {"many"}, "nine seconds of waiting against four"
    shell.load("many")
    assert set(waiting) <= shell.granted.keys(), "one load serves all who have gathered"


def test_who_has_waited_too_long_comes_before_a_crowd() -> None:
    shell = busy_shell("one", "many")
    running = shell.hold("busy")
    shell.ask("one")
    shell.wait(4)
    for _ in range(9):
        shell.ask("many")
    shell.wait(Settings().max_wait_s - 4)
    shell.drop(running)
    shell.end("busy")
    assert shell.starting == {"one"}


def test_a_small_model_passes_a_large_one_within_the_starvation_bound() -> None:
    shell = Shell(spec("busy", 900), spec("large", 900), spec("small", 100, load_s=0.1))
    shell.warm("busy")
    shell.hold("busy")
    shell.ask("large"), shell.ask("small")
    assert shell.starting == {"small"}


def swap(shell: Shell, *models: str) -> None:
    """Each model is asked for and drives out the one before."""
    for model in models:
        shell.wait(3)
        lease = shell.ask(model)
        for other in sorted(shell.stopping):
            shell.end(other)
        shell.load(model)
        shell.drop(lease)


def test_in_a_swap_storm_a_claim_waits_until_it_has_paid() -> None:
    shell = Shell(spec("a", 900), spec("b", 900, load_s=2.0), spec("c", 900))
    swap(shell, *"abcabc")
    running = shell.hold("c")
    shell.ask("b")
    shell.wait(Settings().max_wait_s)
    assert shell.ask("c") in shell.granted, "no claim yet: it would undo the load of c"
    assert shell.wake_at == shell.now - Settings().max_wait_s + Settings().storm_patience
    shell.wait(Settings().storm_patience)
    behind = shell.ask("c")
    assert behind in shell.waiting
    assert running in shell.granted


def test_a_storm_is_over_when_nobody_swaps_any_more() -> None:
    shell = Shell(spec("a", 900), spec("b", 900), spec("c", 900))
    swap(shell, *"abcabc")
    shell.wait(600)
    shell.hold("c")
    shell.ask("b")
    shell.wait(Settings().max_wait_s)
    assert shell.ask("c") in shell.waiting


def test_of_three_in_a_circle_two_stay_and_one_is_swapped() -> None:
    """A B C A B C with room for two: LRU loads every time, Belady every second time."""
    shell = Shell(spec("a", 450), spec("b", 450), spec("c", 450))
    for model in "abc" * 30:
        shell.wait(3)
        lease = shell.ask(model)
        for other in sorted(shell.stopping):
            shell.end(other)
        if model in shell.starting:
            shell.load(model)
        shell.drop(lease)
    assert shell.count(Start) <= 0.6 * 90, "with what it takes to learn the circle"
