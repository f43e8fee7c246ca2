"""The governor's timer over a virtual clock: what is told to whom, and when nothing is."""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack

import pytest

from edgeroute.domain.hardware import CpuTimes
from edgeroute.domain.load import LoadPlan, ThreadCounts
from edgeroute.domain.units import ModelId
from edgeroute.residency.cores import Cores
from edgeroute.runtime.governor import Governor
from tests.fakes import FakeRunner

pytestmark = pytest.mark.looptime

DAEMON = 1


class Machine:
    """Two cores whose use the test sets, in cores."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ours: dict[int, float] = {DAEMON: 0.1}
        self.foreign = 0.0
        self.readings = 0
        self.tells = True
        self._at = self.loop.time()
        self._spent: dict[int, float] = {}
        self._all = 0.0
        self.governor = Governor(Cores(2, 2), self.read, lambda: self.ours, self.loop.time)

    def read(self, pids: Iterable[int]) -> CpuTimes | None:
        self.readings += 1
        lasted, self._at = self.loop.time() - self._at, self.loop.time()
        for pid, cores in self.ours.items():
            self._spent[pid] = self._spent.get(pid, 0.0) + cores * lasted
        self._all += (sum(self.ours.values()) + self.foreign) * lasted
        return CpuTimes(self._all, {p: self._spent[p] for p in pids}) if self.tells else None

    def runner(self) -> FakeRunner:
        runner = FakeRunner(LoadPlan(ModelId("m"), "", context=64, slots=2, threads=2))
        self.ours[runner.pid] = 1.8
        return runner


async def test_beside_a_neighbour_one_thread_and_afterwards_two_each_told_once() -> None:
    machine = Machine()
    runner = machine.runner()
    with machine.governor.working(runner):
        await asyncio.sleep(5)
        assert runner.told_threads == []  # its own 1.8 cores and the daemon's are no neighbours
        machine.foreign = 1.5
        await asyncio.sleep(5)
        machine.foreign = 0.0
        await asyncio.sleep(5)
    assert runner.told_threads == [ThreadCounts(1, 2), ThreadCounts(2, 2)]


async def test_nothing_is_read_while_nothing_computes() -> None:
    machine = Machine()
    runner = machine.runner()
    with machine.governor.working(runner), machine.governor.working(runner):
        await asyncio.sleep(2.1)
    assert machine.readings == 1 + 8
    await asyncio.sleep(3600)
    assert machine.readings == 9
    with machine.governor.working(runner):
        await asyncio.sleep(1.1)
    assert machine.readings == 9 + 1 + 4


async def test_two_models_share_the_cores_from_the_first_moment() -> None:
    machine = Machine()
    first, second = machine.runner(), machine.runner()
    with machine.governor.working(first):
        with machine.governor.working(second):
            assert first.threads == second.threads == ThreadCounts(1, 1)
        await asyncio.sleep(0.3)
        assert first.threads == ThreadCounts(2, 2)
    with machine.governor.working(second):
        assert second.threads == ThreadCounts(2, 2)


async def test_a_worker_that_ends_between_two_readings_is_no_neighbour_for_long() -> None:
    machine = Machine()
    runner, other = machine.runner(), machine.runner()
    machine.ours[other.pid] = 0.1
    with machine.governor.working(runner):
        await asyncio.sleep(100.1)
        del machine.ours[other.pid]
        await asyncio.sleep(5)
    assert runner.told_threads == []


async def test_where_the_machine_does_not_tell_the_cores_are_shared_all_the_same() -> None:
    machine = Machine()
    machine.tells = False
    machine.foreign = 2.0
    first, second = machine.runner(), machine.runner()
    with ExitStack() as working:
        working.enter_context(machine.governor.working(first))
        await asyncio.sleep(2)
        assert first.told_threads == []
        working.enter_context(machine.governor.working(second))
        assert first.threads == ThreadCounts(1, 1)
