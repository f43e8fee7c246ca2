"""What asking for a model brings, and models that come and go."""

from edgeroute.domain.load import Footprint
from edgeroute.domain.units import ModelId
from edgeroute.residency.messages import (
    Deny,
    Grant,
    LeaseAsked,
    Loaded,
    ModelSpec,
    Start,
    Stop,
)
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.settings import Settings
from tests.unit.residency.drawn import SMOLLM2, card, mib
from tests.unit.residency.shell import Shell, size, spec

# ---- asking -------------------------------------------------------------------------------------


def test_ten_askers_make_one_start_and_ten_grants() -> None:
    shell = Shell(spec("a"))
    leases = [shell.ask("a") for _ in range(10)]
    assert (shell.count(Start), shell.count(Grant), shell.count(Deny)) == (1, 0, 0)
    shell.load("a")
    assert list(shell.granted) == leases


def test_a_warm_model_is_granted_at_once() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    assert shell.ask("a") in shell.granted
    assert shell.count(Start) == 1


def test_two_models_that_fit_are_both_warm() -> None:
    shell = Shell(spec("a", 500), spec("b", 500))
    shell.warm("a", "b")
    assert shell.ready == {"a", "b"}
    assert shell.count(Stop) == 0


def test_an_unknown_model_is_denied_by_its_name() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("b")
    assert (shell.denied[lease].code, shell.denied[lease].message) == (
        "unknown_model",
        "no model is named 'b'",
    )


def test_asking_twice_is_asking_once() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("a")
    assert shell.tell(LeaseAsked(lease, ModelId("a"))) == []
    shell.load("a")
    assert shell.tell(LeaseAsked(lease, ModelId("a"))) == []
    assert shell["a"].leases == 1


def test_a_waiter_that_left_gets_no_answer() -> None:
    shell = Shell(spec("a"))
    stays, leaves = shell.ask("a"), shell.ask("a")
    shell.drop(leaves)
    shell.load("a")
    assert list(shell.granted) == [stays]
    assert shell.drop(leaves) == []


def test_too_many_waiters_are_told_when_to_come_back() -> None:
    shell = Shell(spec("a", load_s=8.0), settings=Settings(queue_limit=2))
    shell.ask("a"), shell.ask("a")
    shell.wait(3.0)
    denied = shell.denied[shell.ask("a")]
    assert denied.code == "queue_full"
    assert denied.message == "2 requests wait for a; no more may"
    assert denied.retry_after_s == 5.0, "of a load of eight seconds three have passed"


def test_the_time_to_come_back_counts_the_loads_ahead() -> None:
    shell = Shell(
        spec("a", 900, load_s=8.0), spec("b", 900, load_s=5.0), settings=Settings(queue_limit=1)
    )
    shell.ask("a"), shell.ask("b")
    assert shell.denied[shell.ask("b")].retry_after_s == 13.0


def test_a_model_larger_than_the_budget_is_denied_with_both_numbers() -> None:
    shell = Shell(spec("a", 1500))
    denied = shell.denied[shell.ask("a")]
    assert denied.code == "too_large"
    assert "needs 1.5 GiB" in denied.message
    assert "at most 1000.0 MiB can be made free" in denied.message
    assert "raise the memory budget by 500.0 MiB" in denied.message
    assert not shell["a"].fits
    assert shell["a"].needed == mib(1500)


def test_a_model_beside_which_a_pinned_one_leaves_no_room_is_too_large() -> None:
    shell = Shell(spec("pinned", 600, pinned=True), spec("a", 500))
    shell.warm("pinned")
    message = shell.denied[shell.ask("a")].message
    assert "at most 400.0 MiB" in message
    assert message.endswith("; pinned models hold 600.0 MiB")


# ---- models that come and go --------------------------------------------------------------------


def test_a_new_model_can_be_asked_for() -> None:
    shell = Shell(spec("a"))
    shell.change_models(spec("a"), spec("b"))
    shell.warm("b")


def test_a_removed_model_is_gone_when_its_last_lease_is() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    lease = shell.hold("a")
    shell.change_models()
    assert shell.denied[shell.ask("a")].code == "unknown_model"
    assert shell.stopping == set()
    assert shell.state.snapshot(shell.now) == (), "nobody can ask for it"
    shell.drop(lease)
    shell.end("a")
    assert shell.booked == Footprint()
    assert list(shell.state._models) == []


def test_who_waits_for_a_model_that_is_removed_is_told() -> None:
    shell = Shell(spec("a"))
    lease = shell.ask("a")
    shell.change_models()
    assert shell.denied[lease].message == "a was removed"
    assert shell.stopping == {"a"}
    assert shell.tell(Loaded(ModelId("a"), Footprint(), 1.0)) == [], "too late"
    shell.end("a")


def test_lost_bytes_outlive_a_removed_model() -> None:
    shell = Shell(spec("a", 600), spec("b", 600))
    shell.warm("a")
    shell.exit("a")
    shell.change_models(spec("b", 600))
    shell.wait(10)
    assert size(shell.state.lost) == (0, 600)
    assert shell.ask("b") in shell.denied
    shell.reclaim("a")
    assert shell.ask("b") in shell.waiting


def test_a_model_that_comes_back_before_its_bytes_do_is_as_good_as_new() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    shell.exit("a")
    shell.change_models()
    shell.change_models(spec("a"))
    shell.reclaim("a")
    shell.wait(0.5)
    shell.warm("a")
    assert shell.ask("a") in shell.granted


def test_a_replaced_model_is_loaded_anew_when_it_is_idle() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    running = shell.hold("a")
    replaced = ModelSpec(card(SMOLLM2, "a"), PlanOptions(threads=2, context=2048), 3.0)
    shell.change_models(replaced)
    behind = shell.ask("a")
    assert behind in shell.waiting, "a lease on the old file would be wrong"
    shell.drop(running)
    shell.end("a")
    assert shell.starting == {"a"}
    assert shell["a"].context == 2048
    shell.load("a")
    assert behind in shell.granted


def test_a_model_that_was_repaired_is_tried_at_once() -> None:
    shell = Shell(spec("a", 100))
    shell.ask("a")
    shell.fail("a")
    shell.reclaim("a")
    shell.change_models(spec("a", 110))
    shell.ask("a")
    assert shell.starting == {"a"}


def test_a_model_is_unpinned_without_being_loaded_again() -> None:
    shell = Shell(spec("a", 600, pinned=True), spec("b", 600))
    shell.warm("a")
    shell.wait(5)
    shell.change_models(spec("a", 600), spec("b", 600))
    assert shell.ready == {"a"}
    shell.ask("b")
    assert shell.stopping == {"a"}
