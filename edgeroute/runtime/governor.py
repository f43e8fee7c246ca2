"""Gives the cores to the models that compute: looks four times a second, only while one does.

Owns the timer and who computes. The rules are `residency/cores`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from edgeroute.domain.hardware import CpuTimes
from edgeroute.ports import Runner
from edgeroute.residency.cores import Cores, Work

_EVERY_S = 0.25


class Governor:
    """The cores of this machine, shared among its runners.

    Args:
        cores: The rules.
        read: Reads CPU times of everybody and of these processes; `None` where it cannot, then
            neighbours are not felt.
        ours: The daemon's process and all its workers.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        cores: Cores,
        read: Callable[[Iterable[int]], CpuTimes | None],
        ours: Callable[[], Iterable[int]],
        clock: Callable[[], float],
    ) -> None:
        self._cores = cores
        self._read = read
        self._ours = ours
        self._clock = clock
        self._requests: Counter[Runner] = Counter()
        self._before: tuple[float, CpuTimes] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def working(self, runner: Runner) -> Iterator[None]:
        """Count a request as running on a model."""
        self._requests[runner] += 1
        if self._timer is None:
            self._before = self._now()
            self._look_later()
        if self._requests[runner] == 1:  # one more shares the cores, at once
            self._share()
        try:
            yield
        finally:
            self._requests[runner] -= 1
            if not self._requests[runner]:
                del self._requests[runner]

    def forget(self, runner: Runner) -> None:
        """A runner is gone."""
        self._cores.forget(runner.pid)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._requests:  # nothing computes: nothing is looked at until something does
            return
        now, before = self._now(), self._before
        if now is not None and before is not None:
            self._cores.measure(_foreign_cores(before, now))
        self._before = now
        self._share()
        self._look_later()

    def _now(self) -> tuple[float, CpuTimes] | None:
        times = self._read(self._ours())
        return None if times is None else (self._clock(), times)

    def _share(self) -> None:
        runners = {runner.pid: runner for runner in self._requests}
        work = {
            pid: Work(runner.answering, runner.unanswered, runner.steps, runner.plan.threads)
            for pid, runner in runners.items()
        }
        for pid, threads in self._cores.share(work, self._clock()).items():
            if runners[pid].threads != threads:
                runners[pid].use_threads(threads)


def _foreign_cores(before: tuple[float, CpuTimes], now: tuple[float, CpuTimes]) -> float:
    """Cores that other programs used in between; what has just ended counts as one of them."""
    (then_s, earlier), (now_s, later) = before, now
    ours = sum(spent - earlier.processes.get(pid, 0.0) for pid, spent in later.processes.items())
    return (later.everybody - earlier.everybody - ours) / (now_s - then_s)
