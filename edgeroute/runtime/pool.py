"""Carries out what `residency/pool` decides: starts and stops workers, grants leases.

Owns the running workers and the waiting leases. Every event goes through `_tell`, which reads the
state, changes it and applies its instructions without an await in between: hence no lock.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from edgeroute.domain.errors import (
    EdgeRouteError,
    LoadFailed,
    NoTarget,
    Overloaded,
    ShuttingDown,
    UnknownModel,
    WorkerDied,
)
from edgeroute.domain.load import Budget, Footprint, LoadPlan
from edgeroute.domain.units import LeaseId, ModelId, format_bytes
from edgeroute.ports import Backend, Runner
from edgeroute.residency.messages import (
    BudgetChanged,
    Deny,
    DenyCode,
    Event,
    Exited,
    Grant,
    Instruction,
    LeaseAsked,
    LeaseDropped,
    Loaded,
    ModelsChanged,
    Reclaimed,
    Start,
    Stop,
    Tick,
    WakeAt,
)
from edgeroute.residency.messages import LoadFailed as LoadFailedEvent
from edgeroute.residency.pool import ModelSpec, ModelStatus, PoolState

_ERRORS: dict[DenyCode, type[EdgeRouteError]] = {
    "unknown_model": UnknownModel,
    "too_large": NoTarget,
    "queue_full": Overloaded,
    "load_failed": LoadFailed,
    "worker_died": WorkerDied,
}

_log = logging.getLogger(__name__)

_GRACE_S = 5.0
"""Seconds that a worker has to go by itself; one that decodes notices the end of file within one
graph node."""


_RECLAIM_EVERY_S = 0.25
_RECLAIM_READINGS = 240
_RECLAIM_SLACK = 0.05
"""Share of a model's GPU bytes that others may have taken meanwhile."""


class MemoryReader(Protocol):
    """Reads what memory there is."""

    def budget(self, held: Footprint) -> Budget:
        """What all models together may hold now, given what they hold."""
        ...

    def gpu_free(self) -> Sequence[int | None]:
        """Free bytes of each GPU; `None` where it cannot be read."""
        ...


class Pool:
    """The models of this machine, warm or not.

    Args:
        state: The pure state machine; nobody else holds it.
        backend: Brings models into memory.
        machine: Reads budgets and the GPUs' free memory.
        clock: Monotonic seconds.
        on_loaded: Told of every load with its plan and runner, so that it can be remembered.

    Attributes:
        progress: Share loaded, 0..1, of every model that is loading.
    """

    def __init__(
        self,
        state: PoolState,
        backend: Backend,
        machine: MemoryReader,
        clock: Callable[[], float],
        on_loaded: Callable[[LoadPlan, Runner], None],
    ) -> None:
        self.progress: dict[ModelId, float] = {}
        self._state = state
        self._backend = backend
        self._machine = machine
        self._clock = clock
        self._on_loaded = on_loaded
        self._runners: dict[ModelId, Runner] = {}
        self._waiting: dict[LeaseId, asyncio.Future[Runner]] = {}
        self._tasks: dict[ModelId, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._reclaims: set[asyncio.Task[None]] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._ids = itertools.count(1)
        self._closing = False

    @asynccontextmanager
    async def lease(self, model: ModelId) -> AsyncGenerator[Runner, None]:
        """Hold a model warm; waits for memory and for the load.

        Raises:
            UnknownModel, NoTarget, Overloaded, LoadFailed, WorkerDied: The pool denied the lease;
                the message says why and `retry_after_s` when it may be granted.
            ShuttingDown: The daemon is draining.
        """
        if self._closing:
            raise ShuttingDown("the daemon is stopping")
        runner = self._runners.get(model)
        if runner is not None and runner.exited.done():
            self._note_exit(model, runner)  # its callback has not had its turn yet
        if model not in self._runners:
            self.refresh_budget()  # a decision about memory deserves a fresh reading
        lease = LeaseId(next(self._ids))
        self._waiting[lease] = asyncio.get_running_loop().create_future()
        granted = self._waiting[lease]
        self._tell(LeaseAsked(lease, model))
        try:
            yield await granted
        finally:
            self._waiting.pop(lease, None)
            self._tell(LeaseDropped(lease))

    def refresh_budget(self) -> None:
        """Read the memory of the machine and tell the state."""
        self._tell(BudgetChanged(self._machine.budget(self._state.held)))

    def replace_models(self, specs: Iterable[ModelSpec]) -> None:
        """Models were linked or unlinked."""
        self._tell(ModelsChanged(tuple(specs)))

    def snapshot(self) -> tuple[ModelStatus, ...]:
        """Every model and how it stands."""
        return self._state.snapshot(self._clock())

    @property
    def budget(self) -> Budget:
        """What all models together may hold, as last read."""
        return self._state.budget

    @property
    def version(self) -> int:
        """Grows whenever a snapshot would differ in more than leases and times."""
        return self._state.version

    async def close(self) -> None:
        """Deny who waits and end every worker; returns when their processes are gone."""
        self._closing = True
        if self._wake is not None:
            self._wake.cancel()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ShuttingDown("the daemon is stopping"))
        for model in list(self._tasks):
            self._stop(model)
        await asyncio.gather(*self._ending, return_exceptions=True)
        for reclaim in self._reclaims:
            reclaim.cancel()

    def _tell(self, event: Event) -> None:
        for instruction in self._state.handle(event, self._clock()):
            self._apply(instruction)

    def _apply(self, instruction: Instruction) -> None:
        match instruction:
            case Start(plan=plan):
                task = asyncio.create_task(self._run(plan), name=f"run {plan.model}")
                self._tasks[plan.model] = task
            case Stop(model=model):
                self._stop(model)
            case Grant(lease=lease, model=model):
                self._answer(lease, self._runners[model])
            case Deny():
                error = _ERRORS[instruction.code]
                self._answer(
                    instruction.lease,
                    error(instruction.message, retry_after_s=instruction.retry_after_s),
                )
            case WakeAt(at=at):
                if self._wake is not None:
                    self._wake.cancel()
                delay = max(0.0, at - self._clock())
                self._wake = asyncio.get_running_loop().call_later(delay, self._tell, Tick())

    def _answer(self, lease: LeaseId, answer: Runner | EdgeRouteError) -> None:
        waiting = self._waiting.pop(lease, None)
        if waiting is None or waiting.done():  # the asker has gone; its LeaseDropped follows
            return
        if isinstance(answer, EdgeRouteError):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def _stop(self, model: ModelId) -> None:
        """Cancel the task of a model, once: a second time would cut its ending short."""
        task = self._tasks.pop(model, None)
        if task is not None:
            _keep(task, self._ending)
            task.cancel()

    async def _run(self, plan: LoadPlan) -> None:
        """One worker from start to end; cancelling it is how it is stopped."""
        model = plan.model
        free_before = self._machine.gpu_free()
        runner: Runner | None = None
        try:
            runner = await self._load(plan)
            if runner is not None:
                await asyncio.shield(runner.exited)
        finally:
            if runner is None:
                self._tell(Exited(model))
            else:
                await runner.stop(_GRACE_S)
                self._note_exit(model, runner)
            if self._tasks.get(model) is asyncio.current_task():
                del self._tasks[model]
            if runner is not None and any(runner.footprint.gpu):
                held = runner.footprint.gpu
                _keep(
                    asyncio.create_task(self._reclaim_gpu(model, free_before, held)), self._reclaims
                )
            else:  # RAM is back once the process has been waited for
                self._tell(Reclaimed(model))

    async def _load(self, plan: LoadPlan) -> Runner | None:
        model = plan.model
        self.progress[model] = 0.0
        try:
            runner = await self._backend.start(
                plan, lambda share: self.progress.__setitem__(model, share)
            )
        except EdgeRouteError as error:
            _log.warning("%s", error.message)
            self._tell(LoadFailedEvent(model, error.code, error.message))
            return None
        finally:
            del self.progress[model]
        self._runners[model] = runner
        # A callback, not this task: it must be known before a request that failed with the
        # process asks for its next lease.
        runner.exited.add_done_callback(lambda _ended: self._note_exit(model, runner))
        self._on_loaded(plan, runner)
        size = format_bytes(runner.footprint.ram)
        _log.info("%s: loaded in %.1f s, holds %s", model, runner.load_s, size)
        self._tell(Loaded(model, runner.footprint, runner.load_s))
        self.refresh_budget()  # the last one was read while this model was being loaded
        return runner

    def _note_exit(self, model: ModelId, runner: Runner) -> None:
        if self._runners.get(model) is runner:
            del self._runners[model]
            asked = model not in self._tasks
            how = _log.info if asked else _log.warning
            how("%s: the worker %s", model, runner.exited.result())
            self._tell(Exited(model))

    async def _reclaim_gpu(
        self, model: ModelId, free_before: Sequence[int | None], held: Sequence[int]
    ) -> None:
        """Wait until freed GPU memory is seen to be free; it reappears late, or never."""
        for _ in range(_RECLAIM_READINGS):
            back = zip(self._machine.gpu_free(), free_before, held, strict=False)
            if all(
                now is None or was is None or now >= was - size * _RECLAIM_SLACK
                for now, was, size in back
            ):
                self._tell(Reclaimed(model))
                return
            await asyncio.sleep(_RECLAIM_EVERY_S)


def _keep(task: asyncio.Task[None], kept: set[asyncio.Task[None]]) -> None:
    """Hold a task until it is done, since the loop itself does not."""
    kept.add(task)
    task.add_done_callback(kept.discard)
