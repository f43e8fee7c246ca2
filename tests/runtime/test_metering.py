"""Joules of queries over a virtual clock: who is billed, and how often meters are read."""

import asyncio

import msgspec
import pytest

from edgeroute.domain.energy import Energy, Spent
from edgeroute.domain.hardware import Clocks, Memory, Power, Telemetry
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.outcome import Attempt, Outcome
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.routing.consumption import Lengths, predict
from edgeroute.runtime.consumption import Consumptions
from edgeroute.runtime.metering import CpuSeconds, Metering
from tests.fakes import FakeMeters, FakeRunner
from tests.runtime.conftest import RATES, Line, asking, build_line, card, text_of

pytestmark = pytest.mark.looptime

DAEMON = 1
STEP_S = 0.02
UNREAD_J = 0.05
"""Of a query or two: the 2 ms until the meters are read, at 12 W."""


class Machine:
    """A board of two cores: 2 W idle, 10 W more while a model computes."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.meters = FakeMeters(self.loop.time)
        self.warm: list[ModelId] = []
        self.cores: dict[int, float] = {DAEMON: 0.0}
        self.foreign = 0.0
        self.readings = 0
        self._spent: dict[int, float] = {}
        self._all = 0.0
        self._at = self.loop.time()
        self.metering = Metering(self.meters, self.cpu, 5.0, lambda: self.warm, self.loop.time)

    def cpu(self) -> CpuSeconds:
        self.readings += 1
        lasted, self._at = self.loop.time() - self._at, self.loop.time()
        for pid, cores in self.cores.items():
            self._spent[pid] = self._spent.get(pid, 0.0) + cores * lasted
        self._all += (sum(self.cores.values()) + self.foreign) * lasted
        return CpuSeconds(dict(self._spent), self._all)

    def runner(self, cores: float = 2.0) -> FakeRunner:
        runner = FakeRunner(LoadPlan(ModelId("m"), "", context=64, slots=2, threads=2))
        self.cores[runner.pid] = cores
        return runner

    async def stand_idle(self) -> None:
        for _ in range(100):
            self.metering.look_idle()
            await asyncio.sleep(5)
        self.metering.look_idle()


async def test_what_warmth_takes_is_the_warm_models_alone() -> None:
    machine = Machine()
    await machine.stand_idle()
    assert machine.metering.warmth_w() == {}
    machine.warm, machine.meters.busy = [ModelId("m")], True  # it keeps a GPU awake
    await machine.stand_idle()
    assert machine.metering.warmth_w() == {"m": pytest.approx(10.0, rel=0.1)}
    machine.warm = []
    assert machine.metering.warmth_w() == {}


async def test_a_query_pays_for_what_is_above_idleness() -> None:
    machine = Machine()
    await machine.stand_idle()
    runner = machine.runner()
    machine.meters.busy = True
    with machine.metering.query(runner) as bill:
        await asyncio.sleep(0.5)
        bill.drew(0.5)  # the prompt
        for _ in range(100):
            await asyncio.sleep(STEP_S)
            bill.drew(STEP_S)
    assert bill.prefill_j == pytest.approx(5.0, abs=UNREAD_J)
    assert bill.decode_j == pytest.approx(20.0, abs=UNREAD_J)
    assert bill.energy.quality == "counter"
    assert machine.meters.edges == 2


async def test_meters_are_read_ten_times_a_second_and_not_at_all_without_a_query() -> None:
    machine = Machine()
    with machine.metering.query(machine.runner()):
        await asyncio.sleep(10)
    during, machine.readings = machine.readings, 0
    await asyncio.sleep(100)
    assert 95 <= during <= 105
    assert machine.readings <= 1


async def test_two_queries_at_once_share_by_what_was_computed_for_them() -> None:
    machine = Machine()
    runner = machine.runner()
    machine.meters.busy = True
    with machine.metering.query(runner) as one, machine.metering.query(runner) as two:
        for number in range(100):
            await asyncio.sleep(STEP_S)
            together = number % 2 == 1
            one.drew(STEP_S / 2 if together else STEP_S)
            if together:
                two.drew(STEP_S / 2)
        one.drew(0.0, last=True)
        two.drew(0.0, last=True)
    assert one.energy.joules == pytest.approx(18.0, rel=0.02)
    assert one.energy.joules + two.energy.joules == pytest.approx(24.0, abs=UNREAD_J)


async def test_a_long_prompt_pays_for_its_batch_and_who_draws_beside_it_for_his_steps() -> None:
    machine = Machine()
    runner = machine.runner()
    machine.meters.busy = True
    with machine.metering.query(runner) as drawing, machine.metering.query(runner) as reading:
        for _ in range(4):
            for _ in range(7):
                await asyncio.sleep(STEP_S)
                drawing.drew(STEP_S)
            await asyncio.sleep(1.33)  # neither ends where a window does
        reading.drew(4 * 1.33, last=True)
        drawing.drew(0.0, last=True)
    assert reading.prefill_j == pytest.approx(12 * 4 * 1.33, abs=UNREAD_J)
    assert drawing.energy.joules == pytest.approx(12 * 4 * 7 * STEP_S, abs=UNREAD_J)


async def test_who_leaves_before_the_end_pays_a_part_of_what_nobody_has_claimed() -> None:
    machine = Machine()
    runner = machine.runner()
    machine.meters.busy = True
    with machine.metering.query(runner) as staying:
        with machine.metering.query(runner) as leaving:
            await asyncio.sleep(1.0)  # in which the worker read both prompts, and said nothing
        staying.drew(0.5)
        await asyncio.sleep(0.5)
        staying.drew(0.5, last=True)
    assert leaving.prefill_j == pytest.approx(6.0, abs=UNREAD_J)
    assert staying.prefill_j + staying.decode_j == pytest.approx(12.0, abs=UNREAD_J)


async def test_neighbours_pay_for_themselves() -> None:
    machine = Machine()
    machine.foreign = 2.0
    runner = machine.runner(cores=1.0)
    machine.meters.busy = True
    with machine.metering.query(runner) as bill:
        await asyncio.sleep(3)
    assert bill.energy.joules == pytest.approx(12.0, abs=UNREAD_J)


async def test_a_meter_that_falls_silent_is_replaced_by_cpu_time_and_told_so() -> None:
    machine = Machine()
    with machine.metering.query(machine.runner()) as bill:
        machine.meters.silent = True
        await asyncio.sleep(1)
    assert bill.energy.quality == "model"
    assert bill.energy.joules == pytest.approx(10.0, abs=UNREAD_J)


async def test_what_was_counted_in_a_sleep_is_no_idleness() -> None:
    machine = Machine()
    await machine.stand_idle()
    machine.meters.busy = True
    await asyncio.sleep(3600)
    machine.meters.silent = True  # as meters are once after a sleep
    machine.metering.look_idle()
    machine.meters.silent = False
    with machine.metering.query(machine.runner()) as bill:
        await asyncio.sleep(0.5)
    assert bill.prefill_j == pytest.approx(5.0, abs=UNREAD_J)


# ---- in the line ------------------------------------------------------------------------------


async def outcome_of(line: Line, prompt: str) -> Outcome:
    async with line.dispatcher.answer(asking(prompt)) as answer:
        await text_of(answer)
        return answer.outcome()


async def test_an_answer_tells_its_joules_and_the_next_is_predicted_by_them() -> None:
    line = build_line(card("m", EchoBehaviour(load_s=1.0, tok_s=50.0), 0.9))
    line.meters.busy = True
    words = "one two three four five six seven eight nine ten"
    outcome = await outcome_of(line, words)
    spent = outcome.spent
    assert spent is not None
    assert spent.device.joules == pytest.approx(12 * 0.2, rel=0.1)  # ten words at 50 a second
    assert spent.system == spent.device
    assert spent.prefill_j + spent.decode_j == pytest.approx(spent.device.joules)
    for _ in range(20):
        await outcome_of(line, words)
    energy = line.roster.current().targets[0].energy
    assert energy is not None
    assert energy.quality == "counter"
    assert predict(energy, Lengths(10, 10)).joules == pytest.approx(2.4, rel=0.1)
    assert msgspec.json.decode(line.journal.outcomes.popitem()[1], type=Outcome).spent is not None
    await line.pool.close()


async def test_what_a_failed_attempt_took_is_paid_for_too() -> None:
    line = build_line(
        card("good", EchoBehaviour(load_s=1.0, tok_s=10.0, die_at_token=0), 0.9),
        card("fair", EchoBehaviour(load_s=1.0, tok_s=10.0), 0.7),
    )
    line.meters.busy = True
    outcome = await outcome_of(line, "one two three four five")
    assert outcome.target == "fair"
    assert outcome.spent is not None
    assert line.journal.consumption == {}  # nothing is learnt of a mixture
    await line.pool.close()


def test_each_power_mode_and_supply_has_a_fit_of_its_own() -> None:
    kept: dict[str, bytes] = {}
    consumptions = Consumptions(kept, kept.__setitem__, "engine")
    mains = Telemetry(Memory(Bytes(1), Bytes(1)), Power("ac"), clocks=Clocks(power_mode="25W"))
    battery = Telemetry(Memory(Bytes(1), Bytes(1)), Power("discharging"))
    consumptions.set_conditions(mains)
    consumptions.learn("sha", RATES, metered(20.0))
    assert consumptions.rates("sha") is not None
    assert consumptions.set_conditions(battery)
    assert consumptions.rates("sha") is None
    consumptions.set_conditions(mains)
    later = Consumptions(kept, kept.__setitem__, "engine")
    later.set_conditions(mains)
    assert later.rates("sha") == consumptions.rates("sha")


def test_what_another_version_has_learnt_is_learnt_anew() -> None:
    kept = {"sha.engine.any.mains": b'{"theta": [1.0, 2.0, 3.0]}'}
    consumptions = Consumptions(kept, lambda _key, _fit: None, "engine")
    consumptions.set_conditions(Telemetry(Memory(Bytes(1), Bytes(1)), Power("ac")))
    assert consumptions.rates("sha") is None


def metered(joules: float) -> Outcome:
    energy = Energy(joules, joules, joules, "counter")
    return Outcome(
        "stop", ModelId("m"), (Attempt(ModelId("m"), None, 0.0),), 1.0, 10, 10,
        spent=Spent(energy, energy, 0.0, joules),
    )  # fmt: skip
