"""What becomes of models that nobody uses: guesses, and release after a while."""

import pytest

from edgeroute.domain.target import Warmth
from edgeroute.domain.units import ModelId
from edgeroute.residency.demand import Demand
from edgeroute.residency.messages import ConditionsChanged, Start
from edgeroute.residency.settings import Settings
from tests.unit.residency.shell import Shell, spec

QUIET_S = Settings().quiet_s


def settle(shell: Shell, seconds: float) -> None:
    """Time passes; every alarm rings and everything that is to be done is done at once."""
    until = shell.now + seconds
    while True:
        for model in sorted(shell.stopping):
            shell.end(model)
        for model in sorted(shell.starting):
            shell.load(model)
        if shell.wake_at is None or shell.wake_at > until:
            break
        shell.wait(shell.wake_at - shell.now)
    shell.wait(until - shell.now)


def use(shell: Shell, model: str, app: str = "") -> None:
    """A request that is answered at once, warm or not."""
    lease = shell.ask(model, app)
    settle(shell, 0.0)
    settle(shell, 0.0)
    shell.drop(lease)


def learn(shell: Shell, first: str, then: str, times: int = 8) -> None:
    """One is always followed by the other half a minute later."""
    for _ in range(times):
        use(shell, first)
        settle(shell, 30.0)
        use(shell, then)
        settle(shell, 3000.0)


def mail_shell() -> Shell:
    """`translate` follows `mail`; `other` fills the memory meanwhile."""
    shell = Shell(spec("mail", 100), spec("translate", 800, load_s=5.0), spec("other", 800))
    learn(shell, "mail", "translate")
    use(shell, "other")
    settle(shell, QUIET_S)
    assert shell.ready == {"mail", "other"}
    return shell


# ---- guesses ------------------------------------------------------------------------------------


def test_what_follows_is_loaded_before_it_is_asked_for() -> None:
    shell = mail_shell()
    shell.change_conditions(on_ac=True)
    use(shell, "mail")
    settle(shell, 5.0)
    assert shell.ready == {"mail", "translate"}
    assert shell.guesses == {"translate"}
    assert shell.ask("translate") in shell.granted
    guesses = shell.state.guesses
    assert (guesses.loads, guesses.used, guesses.wasted_bytes) == (1, 1, 0)


def test_what_a_peer_serves_is_not_loaded_on_a_guess() -> None:
    shell = mail_shell()
    shell.change_conditions(on_ac=True, served={ModelId("translate"): 0.01})
    use(shell, "mail")
    settle(shell, 5.0)
    assert shell.ready == {"mail", "other"}
    shell.change_conditions(on_ac=True)  # the peer has gone
    settle(shell, 1.0)
    assert shell.ready == {"mail", "translate"}


def test_on_battery_nothing_is_guessed() -> None:
    shell = mail_shell()
    use(shell, "mail")
    settle(shell, 5.0)
    assert shell.ready == {"mail", "other"}
    assert shell.state.guesses.loads == 0


def test_a_model_that_was_used_a_moment_ago_goes_for_no_guess() -> None:
    shell = mail_shell()
    shell.change_conditions(on_ac=True)
    use(shell, "other")
    use(shell, "mail")
    settle(shell, 5.0)
    assert "other" in shell.ready


def guessing() -> Shell:
    """`translate` is being loaded on a guess."""
    shell = mail_shell()
    shell.change_conditions(on_ac=True)
    use(shell, "mail")
    shell.end("other")
    assert shell.starting == shell.guesses == {"translate"}
    return shell


def test_a_guess_is_given_up_the_moment_that_somebody_waits_for_another_load() -> None:
    shell = guessing()
    shell.wait(1.0)
    waiting = shell.ask("other")
    assert shell.stopping == {"translate"}
    shell.end("translate")
    assert shell.starting == {"other"}
    shell.load("other")
    assert waiting in shell.granted
    size = shell.specs[ModelId("translate")].card.shape.file_bytes
    assert shell.state.guesses.wasted_bytes == size, "its load takes a second"


def test_a_guess_that_is_given_up_is_no_eviction_to_regret() -> None:
    shell = guessing()
    before = shell.state._demand._evicted[ModelId("translate")]
    shell.ask("other")
    assert shell.stopping == {"translate"}
    assert shell.state._demand._evicted[ModelId("translate")] == before


def test_a_guess_that_is_asked_for_while_it_loads_is_as_any_other_load() -> None:
    shell = guessing()
    waiting = shell.ask("translate")
    behind = shell.ask("other")
    assert shell.stopping == set(), "it is promised now"
    shell.load("translate")
    assert waiting in shell.granted
    assert behind in shell.waiting


def test_a_guess_that_does_not_load_is_tried_no_more_until_it_may() -> None:
    shell = guessing()
    shell.fail("translate")
    shell.reclaim("translate")
    assert shell.warmth("translate") is Warmth.FAILED
    assert "translate" not in shell.starting
    assert shell.state.guesses.used == 0


def test_a_guess_that_nobody_asked_for_is_charged_when_it_goes() -> None:
    shell = guessing()
    shell.load("translate")
    shell.wait(QUIET_S)
    shell.ask("other")
    shell.end("translate")
    size = shell.specs[ModelId("translate")].card.shape.file_bytes
    assert shell.state.guesses.wasted_bytes == size


def test_a_model_is_loaded_in_time_for_its_hour() -> None:
    day = 86_400.0
    shell = Shell(spec("early", 800), spec("late", 800))
    shell.now = 5 * day
    for _ in range(4):
        settle(shell, 9 * 3600.0)
        use(shell, "early")
        settle(shell, 10 * 3600.0)
        use(shell, "late")
        settle(shell, 5 * 3600.0)
    shell.change_conditions(on_ac=True)
    settle(shell, 8.9 * 3600.0)
    assert shell.ready == {"early"}


def test_nothing_is_guessed_of_models_that_nobody_ever_asked_for() -> None:
    shell = Shell(*(spec(f"m{i:02d}", 10) for i in range(50)))
    shell.change_conditions(on_ac=True)
    use(shell, "m00")
    settle(shell, 3600.0)
    assert shell.count(Start) == 1


# ---- release ------------------------------------------------------------------------------------


def test_an_idle_model_is_ended_after_the_time_of_the_profile() -> None:
    shell = Shell(spec("a"), spec("pinned", pinned=True), spec("leased"))
    shell.warm("a", "pinned", "leased")
    shell.wait(1.0)  # no alarm of the loads is left
    shell.drop(shell.hold("a"))
    shell.hold("leased")
    shell.change_conditions(idle_release_s=60.0)
    assert shell.wake_at == shell.now + 60.0
    shell.wait(59.0)
    assert shell.stopping == set()
    shell.wait(1.0)
    assert shell.stopping == {"a"}


def test_use_puts_the_release_off() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    shell.change_conditions(idle_release_s=60.0)
    shell.wait(30.0)
    shell.drop(shell.hold("a"))
    shell.wait(30.0)
    assert shell.stopping == set()
    assert shell.wake_at == shell.now + 30.0
    shell.wait(30.0)
    assert shell.stopping == {"a"}


def test_a_shorter_time_counts_at_once() -> None:
    shell = Shell(spec("a"))
    shell.warm("a")
    shell.wait(100.0)
    shell.change_conditions(idle_release_s=60.0)
    assert shell.stopping == {"a"}


# ---- warmth that costs ------------------------------------------------------------------------


def test_a_model_goes_once_its_warmth_costs_more_than_it_saves() -> None:
    shell = Shell(spec("dear"), spec("free"), spec("pinned", pinned=True))
    shell.warm("dear", "free", "pinned")
    for model in ("dear", "free", "pinned"):
        shell.drop(shell.hold(model))
    shell.tell(
        ConditionsChanged(may_prewarm=False, warmth={ModelId("dear"): 0.05, ModelId("pinned"): 9.0})
    )
    shell.wait(20.0)
    assert shell.stopping == set()  # whoever reads the answer may ask again
    for _ in range(40):
        shell.wait(15.0)
    assert shell.stopping == {"dear"}


def test_a_model_that_is_used_often_enough_is_worth_its_warmth() -> None:
    shell = Shell(spec("dear"))
    shell.warm("dear")
    shell.tell(ConditionsChanged(may_prewarm=False, warmth={ModelId("dear"): 0.001}))
    for _ in range(20):
        shell.drop(shell.hold("dear"))
        shell.wait(31.0)
    assert shell.stopping == set()


def test_who_takes_watts_makes_room_first() -> None:
    """Both are as likely to be asked for; the meter says which one costs."""
    demand = Demand()
    for model in ("a", "b"):
        demand.note_ask(ModelId(model), "", 0.0)
    before = demand.worth(ModelId("a"), 2.0, 60.0)
    assert before == demand.worth(ModelId("b"), 2.0, 60.0)
    demand.warmth = {ModelId("b"): 0.01}
    assert demand.worth(ModelId("b"), 2.0, 60.0) == pytest.approx(before - 0.01)
    assert demand.worth(ModelId("a"), 2.0, 60.0) == before


# ---- models that a peer has as well -----------------------------------------------------------


@pytest.mark.parametrize("served", ["a", "b"])
def test_what_a_peer_serves_makes_room_first(served: str) -> None:
    shell = Shell(spec("a", 400), spec("b", 400), spec("new", 800))
    for model in ("a", "b"):
        use(shell, model)
        settle(shell, 1.0)
    settle(shell, QUIET_S)
    shell.change_conditions(served={ModelId(served): 0.02})
    shell.change_budget(1300)
    shell.ask("new")
    assert shell.stopping == {served}


def test_who_is_served_by_a_peer_is_missed_for_the_way_there() -> None:
    demand = Demand()
    demand.note_ask(ModelId("a"), "", 0.0)
    rate = demand.reuse.rate(ModelId("a"), 60.0)
    assert demand.worth(ModelId("a"), 8.0, 60.0) == pytest.approx(rate * 10.0)
    demand.served = {ModelId("a"): 0.5}
    assert demand.worth(ModelId("a"), 8.0, 60.0) == pytest.approx(rate * 0.5)
    assert demand.missed_s(ModelId("a"), 0.1) == 0.1  # it is quicker here, cold as it is
