"""What loads really take changes what is booked, now and next time."""

from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.domain.target import Warmth
from edgeroute.residency.messages import ModelSpec, Start, Stop
from tests.unit.residency.drawn import QWEN_BIG, card, mib
from tests.unit.residency.shell import OPTIONS, Shell, spec

NO_MEMORY = "out_of_memory"


def plans(shell: Shell) -> list[LoadPlan]:
    return [each.plan for each in shell.log if isinstance(each, Start)]


# ---- growing ----------------------------------------------------------------------------------


def test_what_a_worker_grows_is_booked_now_and_next_time() -> None:
    shell = Shell(spec("a", 100, file=50))
    shell.warm("a")
    shell.measure("a", file=60, anon=45)  # one grew, the other is no less than it was
    assert shell.booked == Footprint(mib(60), mib(50))
    shell.change_budget(10)
    shell.end("a")
    shell.change_budget(1000)
    shell.ask("a")
    assert shell.booked == Footprint(mib(60), mib(50))


def test_growing_over_the_budget_puts_the_idle_out() -> None:
    shell = Shell(spec("a", 400), spec("b", 400))
    shell.warm("a", "b")
    lease = shell.hold("b")
    shell.measure("b", file=0, anon=700)
    assert shell.stopping == {"a"}
    shell.drop(lease)


def test_who_does_not_serve_is_not_measured() -> None:
    shell = Shell(spec("a"))
    shell.measure("a", file=900, anon=900)  # a late word of a worker that is gone
    shell.measure("never", file=900, anon=900)
    assert shell.booked == Footprint()
    assert shell["a"].needed == mib(100)


# ---- memory that runs out -----------------------------------------------------------------------


def of_qwen(name: str = "big") -> ModelSpec:
    return ModelSpec(card(QWEN_BIG, name), OPTIONS, load_s=2.0)


def test_out_of_memory_is_tried_once_more_and_smaller_for_all_who_wait() -> None:
    shell = Shell(of_qwen(), budget=4000)
    first, second = shell.ask("big"), shell.ask("big")
    shell.fail("big", code=NO_MEMORY)
    assert not shell.denied
    shell.reclaim("big")
    before, after = plans(shell)
    assert (before.slots, before.context) == (4, 4096)
    assert (after.slots, after.context) == (2, 4096)
    shell.load("big")
    assert shell.granted.keys() == {first, second}


def test_the_smaller_plan_is_remembered() -> None:
    shell = Shell(of_qwen(), budget=4000)
    lease = shell.ask("big")
    shell.fail("big", code=NO_MEMORY)
    shell.reclaim("big")
    shell.load("big")
    shell.drop(lease)
    shell.change_budget(10)
    shell.end("big")
    shell.change_budget(4000)
    shell.ask("big")
    assert plans(shell)[-1].slots == 2
    told = shell.state.learned(plans(shell)[0])
    assert told is not None
    assert told.ram > mib(4000)


def test_with_more_memory_the_larger_plan_is_tried_again_and_believed_when_it_works() -> None:
    shell = Shell(of_qwen(), budget=4000)
    shell.ask("big")
    shell.fail("big", code=NO_MEMORY)
    shell.change_budget(9000)
    shell.reclaim("big")
    assert [plan.slots for plan in plans(shell)] == [4, 4]
    shell.load("big", Footprint(mib(515), mib(1205)))
    assert shell["big"].needed <= mib(1.5 * 1720)


def test_a_second_failure_is_told_to_all_who_wait_and_backs_off() -> None:
    shell = Shell(of_qwen(), budget=4000)
    leases = [shell.ask("big") for _ in range(3)]
    for _ in range(2):
        shell.fail("big", "no memory", code=NO_MEMORY)
        shell.reclaim("big")
    assert {lease: shell.denied[lease].message for lease in leases} == dict.fromkeys(
        leases, "no memory"
    )
    assert shell.warmth("big") is Warmth.FAILED
    assert shell.booked == Footprint()


def test_with_nothing_smaller_the_first_failure_is_the_last() -> None:
    shell = Shell(of_qwen(), budget=1200)
    lease = shell.ask("big")
    (plan,) = plans(shell)
    assert (plan.slots, plan.context) == (1, 1024)
    shell.fail("big", "no memory", code=NO_MEMORY)
    assert shell.denied[lease].message == "no memory"


def test_other_failures_are_not_tried_again() -> None:
    shell = Shell(of_qwen(), budget=4000)
    lease = shell.ask("big")
    shell.fail("big", "truncated")
    assert shell.denied[lease].message == "truncated"
    assert len(plans(shell)) == 1


def test_whom_nobody_waits_for_any_more_is_not_tried_again() -> None:
    shell = Shell(of_qwen(), budget=4000)
    shell.drop(shell.ask("big"))
    shell.fail("big", code=NO_MEMORY)
    shell.reclaim("big")
    assert len(plans(shell)) == 1
    assert shell.count(Stop) == 0
    assert shell.warmth("big") is Warmth.COLD
