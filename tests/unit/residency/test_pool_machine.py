"""The pool under anything that can happen: a shell that carries out instructions late, in any
order, with failures, deaths, budgets that change and a clock that jumps.

After every event the pool validates itself and the shell checks what it may be told (see `Shell`).
At the end everything is carried out to the last, and nobody must be left waiting.
"""

from dataclasses import replace
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import GIB, Bytes, LeaseId, ModelId
from edgeroute.residency.messages import Exited, Loaded, ModelSpec, Reclaimed, Tick
from edgeroute.residency.room import total
from edgeroute.residency.settings import Settings
from tests.unit.residency.drawn import LLAMA_3B, SMOLLM2, card, gpu, mib
from tests.unit.residency.shell import OPTIONS, Shell, spec

SMALL, LARGE, PINNED, FILES = (
    spec("small", 200, load_s=0.5),
    spec("large", 900, load_s=5.0),
    spec("pinned", 150, pinned=True),
    spec("files", 500, file=400, load_s=2.0),
)
ON_GPU = ModelSpec(card(SMOLLM2, "on-gpu"), OPTIONS, 1.0)
"""881 MiB on the GPU, 280 MiB of RAM."""
ON_GPU_TOO = ModelSpec(card(LLAMA_3B, "on-gpu-too"), OPTIONS, 3.0)
"""2.6 to 4.1 GiB on the GPU, 680 MiB of RAM."""
EVERYTHING = (SMALL, LARGE, PINNED, FILES, ON_GPU, ON_GPU_TOO)
NAMES = [each.id for each in EVERYTHING]
BY_NAME: dict[str, ModelSpec] = {each.id: each for each in EVERYTHING}
BY_NAME["resized"] = spec("small", 190)
SETTINGS = Settings(queue_limit=4)


def one_of(source: str) -> Any:
    """One of the models or leases in a collection of the shell."""
    return st.runner().flatmap(
        lambda machine: st.sampled_from(sorted(getattr(machine.shell, source)))
    )


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shell = Shell(
            *EVERYTHING, budget=1200, vram=(4300,), gpus=(gpu(0, 5 * GIB),), settings=SETTINGS
        )

    # ---- people ---------------------------------------------------------------------------------

    @rule(model=st.sampled_from([*NAMES, ModelId("nobody")]))
    def ask(self, model: ModelId) -> None:
        self.shell.ask(model)

    @precondition(lambda self: self.shell.granted)
    @rule(lease=one_of("granted"))
    def finish(self, lease: LeaseId) -> None:
        self.shell.drop(lease)

    @precondition(lambda self: self.shell.waiting)
    @rule(lease=one_of("waiting"))
    def give_up_waiting(self, lease: LeaseId) -> None:
        self.shell.drop(lease)
        assert not any(getattr(each, "lease", None) == lease for each in self.shell.tell(Tick()))

    # ---- workers --------------------------------------------------------------------------------

    @precondition(lambda self: self.shell.starting)
    @rule(model=one_of("starting"), more=st.sampled_from([-20, 0, 0, 0, 60]))
    def become_ready(self, model: ModelId, more: int) -> None:
        live = self.shell.state._models.ledger.live(model)
        self.shell.load(model, replace(live, anon=Bytes(live.anon + mib(more))))

    @precondition(lambda self: self.shell.starting)
    @rule(model=one_of("starting"))
    def fail_to_load(self, model: ModelId) -> None:
        self.shell.fail(model)

    @precondition(lambda self: self.shell.starting | self.shell.ready)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.shell.exit(data.draw(st.sampled_from(sorted(self.shell.starting | self.shell.ready))))

    @precondition(lambda self: self.shell.stopping)
    @rule(model=one_of("stopping"))
    def end(self, model: ModelId) -> None:
        self.shell.exit(model)

    @precondition(lambda self: +self.shell.owing)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.shell.reclaim(data.draw(st.sampled_from(sorted(+self.shell.owing))))

    # ---- the machine ----------------------------------------------------------------------------

    @rule(ram=st.integers(100, 1500), vram=st.sampled_from([0, 900, 3000, 4300]))
    def other_programs_come_and_go(self, ram: int, vram: int) -> None:
        self.shell.change_budget(ram, vram)

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 2.0, 7.0, 11.0, 70.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.shell.wait(seconds)

    @precondition(lambda self: self.shell.wake_at is not None)
    @rule()
    def the_alarm_rings(self) -> None:
        assert self.shell.wake_at is not None
        self.shell.wait(self.shell.wake_at - self.shell.now)

    @rule(on_ac=st.booleans(), idle_release_s=st.sampled_from([None, None, 5.0, 300.0]))
    def the_machine_stands_differently(
        self,
        *,
        on_ac: bool,
        idle_release_s: float | None,
    ) -> None:
        self.shell.change_conditions(on_ac=on_ac, idle_release_s=idle_release_s)

    @rule(models=st.lists(st.sampled_from(["small", "large", "files"]), min_size=1, max_size=6))
    def somebody_works_by_habit(self, models: list[str]) -> None:
        """Requests that are answered at once, so that there is something to learn and to guess."""
        for name in models:
            self.shell.now += 20.0
            lease = self.shell.ask(name)
            self.shell.drop(lease)

    @rule(models=st.lists(st.sampled_from([*NAMES, "resized"]), unique=True))
    def models_change(self, models: list[str]) -> None:
        specs = {BY_NAME[name].id: BY_NAME[name] for name in models}
        self.shell.change_models(*specs.values())

    # ---- noise ----------------------------------------------------------------------------------

    @rule(model=st.sampled_from([*NAMES, ModelId("nobody")]), kind=st.integers(0, 3))
    def something_is_told_twice_or_late(self, model: ModelId, kind: int) -> None:
        shell = self.shell
        if model in shell.starting | shell.ready | shell.stopping:
            return  # it would be true of the worker that there is
        if kind == 0:
            assert self._quiet(shell.tell(Exited(model)))
        elif kind == 1:
            assert self._quiet(shell.tell(Loaded(model, Footprint(anon=mib(1)), 0.1)))
        elif kind == 2 and not shell.owing[model]:
            assert self._quiet(shell.tell(Reclaimed(model)))
        else:
            assert self._quiet(shell.tell(Tick()))

    @staticmethod
    def _quiet(instructions: list[Any]) -> bool:
        return not [each for each in instructions if type(each).__name__ != "WakeAt"]

    # ---- what holds -----------------------------------------------------------------------------

    @invariant()
    def the_pool_and_the_shell_agree(self) -> None:
        shell = self.shell
        by_warmth: dict[Warmth, set[ModelId]] = {warmth: set() for warmth in Warmth}
        for status in shell.state.snapshot(shell.now):
            by_warmth[status.warmth].add(status.model)
            assert status.leases == list(shell.granted.values()).count(status.model)
            assert status.waiting == list(shell.waiting.values()).count(status.model)
            assert status.waiting <= SETTINGS.queue_limit
        known = set(shell.specs)
        assert by_warmth[Warmth.LOADING] == shell.starting & known
        assert by_warmth[Warmth.WARM] == shell.ready & known
        assert by_warmth[Warmth.DRAINING] == shell.stopping & known
        assert by_warmth[Warmth.RECLAIMING] <= set(+shell.owing)

    @invariant()
    def what_is_held_is_what_is_booked_but_for_loads(self) -> None:
        ledger = self.shell.state._models.ledger
        loading = [ledger.live(model) for model in self.shell.starting]
        assert total([self.shell.state.held, *loading]) == ledger.total

    def teardown(self) -> None:
        """Everybody gets an answer once everything is carried out."""
        shell = self.shell
        shell.change_budget(1200, 4300)
        for _ in range(400):
            if not shell.waiting:
                break
            if shell.stopping:
                shell.end(min(shell.stopping))
            elif +shell.owing:
                shell.reclaim(min(+shell.owing))
            elif shell.starting:
                shell.load(min(shell.starting))
            elif shell.granted:
                shell.drop(min(shell.granted))
            else:
                assert shell.wake_at is not None, "somebody waits and no alarm is set"
                shell.wait(max(0.0, shell.wake_at - shell.now))
        assert not shell.waiting, "somebody starves"


TestPool = PoolMachine.TestCase
TestPool.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
