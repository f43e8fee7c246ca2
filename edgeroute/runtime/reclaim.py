"""Waits until the memory of a GPU that a worker has freed is seen to be free."""

import asyncio
from collections.abc import Callable, Sequence

from edgeroute.ports import MachineMemory

_EVERY_S = 0.25
_READINGS = 240
_SLACK = 0.05
"""Share of a model's GPU bytes that others may have taken meanwhile."""


async def gpu_is_back(
    machine: MachineMemory,
    before: Sequence[int | None],
    held: Sequence[int],
    gives_up: Callable[[], bool],
) -> bool:
    """Whether all of it has come back, within a minute; it reappears late, or never.

    Args:
        machine: Says what is free.
        before: Free bytes of each GPU when the worker was started.
        held: What it held of each.
        gives_up: Asked before each look.
    """
    for _ in range(_READINGS):
        if gives_up():
            return False
        back = zip(machine.gpu_free(), before, held, strict=False)
        if all(now is None or was is None or now >= was - size * _SLACK for now, was, size in back):
            return True
        await asyncio.sleep(_EVERY_S)
    return False
