"""What is told of the models: why each is where it is, who goes next, and what that costs."""

from edgeroute.domain.units import ModelId
from edgeroute.residency.demand import Demand, Use
from tests.unit.residency.shell import Shell, spec


def often(shell: Shell, model: str, times: int = 6) -> None:
    for _ in range(times):
        shell.drop(shell.hold(model))
        shell.wait(30)


def test_the_order_of_going_is_that_of_evictions() -> None:
    specs = [spec(name, 200, load_s=load_s) for name, load_s in (("a", 5.0), ("b", 1.0))]
    shell = Shell(*specs, spec("kept", 200, pinned=True), spec("new", 500))
    for model, load_s in (("a", 5.0), ("b", 1.0), ("kept", 1.0)):
        lease = shell.ask(model)
        shell.load(model, load_s=load_s)
        shell.drop(lease)
    often(shell, "a")
    order = [shell[model].goes for model in ("a", "b", "kept", "new")]
    assert order == [2, 1, None, None]
    shell.ask("new")
    assert shell.stopping == {"b"}


def test_a_model_in_use_does_not_go() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    idle = shell["a"]
    assert idle.goes == 1
    lease = shell.hold("a")
    in_use = shell["a"]
    assert (in_use.goes, in_use.why) == (None, "1 run on it")
    shell.drop(lease)


def test_what_loading_costs_others_is_what_they_will_wait_for_who_has_to_go() -> None:
    shell = Shell(spec("busy", 500), spec("big", 800), spec("small", 100), budget=1000)
    shell.warm("busy")
    often(shell, "busy", 12)
    busy = shell["busy"]
    assert busy.chance > 0.5
    assert busy.reload_s == busy.chance * busy.load_s
    assert shell["big"].displaces_s == busy.reload_s
    assert shell["small"].displaces_s == 0.0  # it fits beside it
    assert busy.displaces_s == 0.0


def test_who_has_to_go_is_waited_for_no_longer_than_the_way_to_a_peer_who_serves_it() -> None:
    shell = Shell(spec("busy", 500), spec("big", 800), budget=1000)
    shell.warm("busy")
    often(shell, "busy", 12)
    shell.change_conditions(served={ModelId("busy"): 0.02})
    busy = shell["busy"]
    assert busy.load_s > 0.02
    assert shell["big"].displaces_s == busy.chance * 0.02


def test_nobody_is_displaced_by_what_never_fits() -> None:
    shell = Shell(spec("a", 500), spec("huge", 5000), budget=1000)
    shell.warm("a")
    assert not shell["huge"].fits
    assert shell["huge"].displaces_s == 0.0


def test_why_it_is_where_it_is_in_words() -> None:
    shell = Shell(spec("a"), spec("kept", pinned=True), spec("broken"))
    lease = shell.ask("a")
    assert shell["a"].why == "1 wait for it"
    shell.load("a")
    shell.drop(lease)
    shell.wait(60)
    assert shell["a"].why.startswith("idle for 60.0 s, ")
    shell.warm("kept")
    assert shell["kept"].why == "pinned"
    shell.ask("broken")
    shell.fail("broken", "no such tensor")
    assert shell["broken"].why == "no such tensor; tried again in 5.0 s"


# ---- what was learned before -------------------------------------------------------------------


def test_recalled_demand_is_as_if_the_daemon_had_run_all_the_time() -> None:
    model, other = ModelId("a"), ModelId("b")
    live = Demand()
    live.reuse.midnight = -1e9
    uses = [Use(model, "app", 100.0 * n, 100.0 * n + 5.0) for n in range(20)]
    uses += [Use(other, "app", 100.0 * n + 50.0, 100.0 * n + 60.0) for n in range(20)]
    for use in sorted(uses, key=lambda each: each.asked):
        live.note_ask(use.model, use.app, use.asked)
        live.reuse.note_use(use.model, use.ended)
    recalled = Demand()
    recalled.recall(uses, midnight=-1e9)
    for name in (model, other):
        assert recalled.reuse.chance(name, 2000.0, 60.0) == live.reuse.chance(name, 2000.0, 60.0)
        assert recalled.reuse.rate(name, 2000.0) == live.reuse.rate(name, 2000.0)
    assert not recalled.storms(2000.0)
