"""Joules of queries: reads the meters ten times a second while something is generated.

Owns the timer and the windows. What a meter is, is the adapter's; who took the joules of a window,
`routing/attribution`'s; what a query has taken so far, `runtime/bills`'.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from edgeroute.domain.energy import Metered, Scope
from edgeroute.domain.units import ModelId
from edgeroute.ports import Meters, Runner
from edgeroute.routing.attribution import Window, share
from edgeroute.routing.idleness import Idleness
from edgeroute.runtime.bills import Bill, Bills
from edgeroute.runtime.meanwhile import Meanwhile

_EVERY_S = 0.1
_OPENED_S = 0.002
"""After so long a query's joules are counted; a first token that comes sooner is not kept waiting
for meters, and what it took is within every meter's error."""
_CALM_CORES = 0.1
"""Our processes take less while nothing is loaded or generated."""
_SMOOTHING = 0.8
"""Others' CPU time is told in ticks of 10 ms, too coarse for one window: their share is that of the
last half second or so."""


class CpuSeconds(NamedTuple):
    """CPU seconds so far.

    Attributes:
        ours: Of each of our processes that lives.
        everybody: Of all programs; `None` where that is not told.
    """

    ours: Mapping[int, float]
    everybody: float | None


@dataclass(frozen=True, slots=True)
class _Look:
    """One reading of everything."""

    at: float
    told: Sequence[Metered]
    cpu: CpuSeconds


class Metering:
    """The joules of this machine, shared among its queries.

    Args:
        meters: Of the machine.
        cpu: Reads CPU seconds.
        watts: Of one busy CPU, for a moment in which the meter has nothing to say.
        warm: Models in memory now.
        clock: Monotonic seconds.
        calibrated: Idle watts by what a meter includes, as far as they were measured on purpose.
    """

    def __init__(
        self,
        meters: Meters,
        cpu: Callable[[], CpuSeconds],
        watts: float,
        warm: Callable[[], Collection[ModelId]],
        clock: Callable[[], float],
        calibrated: Mapping[Scope, Idleness] | None = None,
    ) -> None:
        self._meters = meters
        self._cpu = cpu
        self._watts = watts
        self._warm = warm
        self._clock = clock
        self._bills = Bills()
        self._idleness: dict[Scope, Idleness] = defaultdict(Idleness, calibrated or {})
        self._last: _Look | None = None
        self._foreign = _Foreign()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def query(self, runner: Runner) -> Iterator[Bill]:
        """Meter a query while its worker answers it; the caller counts the pieces (`Bill.drew`)."""
        bill = Bill(runner)
        opening = Meanwhile(_OPENED_S, partial(self._open, bill))
        try:
            yield bill
        finally:
            opening.finish()
            self._meters.edge()
            self._look()
            self._bills.close(bill)

    @property
    def generating(self) -> bool:
        """Whether a query is being answered here."""
        return bool(self._bills.pids)

    def _open(self, bill: Bill) -> None:
        self._look()
        self._meters.edge()
        self._bills.open(bill)
        if self._timer is None:
            self._look_later()

    def warmth_w(self) -> dict[ModelId, float]:
        """Watts that each warm model takes for being warm, as far as a meter has shown."""
        warm = set(self._warm())
        watts: dict[ModelId, float] = defaultdict(float)
        for idleness in self._idleness.values():
            for model, taken in idleness.models.items():
                if model in warm:
                    watts[model] += taken
        return dict(watts)

    def look_idle(self) -> None:
        """Read the meters while nothing is generated; does nothing while something is."""
        if not self.generating:
            self._look()

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if self.generating:
            self._look()
            self._look_later()

    def _look(self) -> None:
        """Close the window that is open and begin another."""
        read = self._meters.read(gpu_in_use=bool(self._bills.gpu_pids))
        now = _Look(self._clock(), read, self._cpu())
        last, self._last = self._last, now
        if last is None or now.at <= last.at:
            return
        seconds = now.at - last.at
        ours = {
            pid: max(0.0, spent - last.cpu.ours.get(pid, 0.0))
            for pid, spent in now.cpu.ours.items()
        }
        everybody = self._foreign.everybody(last.cpu, now.cpu, sum(ours.values()))
        before = {(told.source, told.scope): told.joules for told in last.told}
        for number, told in enumerate(now.told):
            then = before.get((told.source, told.scope))
            grown = None if told.joules is None or then is None else told.joules - then
            if grown is not None:
                window = Window(seconds, grown, own=told.own, everybody_s=everybody, workers=ours)
                self._settle(told, window)
            elif number == 0:  # the processor's meter is silent: CPU time stands in
                joules = self._watts * sum(ours.values())
                window = Window(seconds, joules, own=True, workers=ours)
                self._charge(replace(told, quality="model"), window)
        self._bills.end_window()

    def _settle(self, told: Metered, window: Window) -> None:
        if not told.own:  # what counts our own processes counts no idleness
            window = replace(window, idle_w=self._idle_w(told.scope, window))
        if told.scope == "gpu":  # who computes on a GPU takes little CPU time, or waits for it
            workers = dict.fromkeys(self._bills.gpu_pids, 1.0)
            window = replace(window, everybody_s=None, workers=workers)
        self._charge(told, window)

    def _idle_w(self, scope: Scope, window: Window) -> float:
        """What the machine takes idle, learnt from this window too where it was."""
        idleness, warm = self._idleness[scope], self._warm()
        computing = sum((window.workers or {}).values())
        if not self.generating and computing < _CALM_CORES * window.seconds:
            idleness.observe(window.joules / window.seconds, warm)
        return idleness.watts(warm)

    def _charge(self, told: Metered, window: Window) -> None:
        asked = self._bills.pids & (window.workers or {}).keys()
        parts = share(window, asked)
        self._bills.charge(told.scope, parts.processes, window.seconds, told.quality)


@dataclass(slots=True)
class _Foreign:
    """The share of other programs, smoothed."""

    ours: float = 0.0
    all: float = 0.0

    def everybody(self, before: CpuSeconds, now: CpuSeconds, ours: float) -> float | None:
        """CPU seconds of all programs in this window, by their share of the last few."""
        if before.everybody is None or now.everybody is None:
            return None
        self.ours = _SMOOTHING * self.ours + ours
        self.all = _SMOOTHING * self.all + max(0.0, now.everybody - before.everybody)
        return ours * max(1.0, self.all / self.ours) if self.ours > 0 else None
