"""A hedge: where the first target is late with its first token, a second one is asked besides.

Owns the race: who speaks first answers, and whoever else was asked is let go.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.runtime.asking import Asking

OUTRUN = "outrun"
"""Told as the error of who was asked and not waited for."""
_AGAIN_S: Final = 0.05
"""Between two tries to ask somebody besides: half of what a look at a silent peer takes."""


async def first_to_speak(
    first: Asking,
    late_s: float,
    seconds: Iterator[Asking | None],
    begin: Callable[[Asking], Coroutine[None, None, None]],
) -> Asking:
    """Begin with the first, after `late_s` with a second too, and return who has begun to answer.

    Args:
        first: Who was chosen.
        late_s: Seconds after which its first piece is late.
        seconds: Whom to ask besides; `None` while that is not allowed, nothing where it never is.
        begin: Asks, and waits for the first piece.

    Raises:
        EdgeRouteError: All failed; what the first one did.
    """
    running = {asyncio.ensure_future(begin(first)): first}
    failures: dict[Asking, EdgeRouteError] = {}
    try:
        done, _ = await asyncio.wait(running, timeout=late_s)
        if not done and (other := await _second(running, seconds)) is not None:
            running[asyncio.ensure_future(begin(other))] = other
        while running:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                asking = running.pop(task)
                try:
                    task.result()
                except EdgeRouteError as error:
                    failures[asking] = error
                else:
                    return asking
    finally:
        await _let_go(running)
    raise failures[first]


async def _second(
    running: dict[asyncio.Task[None], Asking], seconds: Iterator[Asking | None]
) -> Asking | None:
    """Whoever may be asked besides before the first has spoken, or failed."""
    for other in seconds:
        if other is not None:
            return other
        done, _ = await asyncio.wait(running, timeout=_AGAIN_S)
        if done:
            return None
    return None


async def _let_go(running: dict[asyncio.Task[None], Asking]) -> None:
    """End whoever is asked for nothing, also who spoke at the same moment."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for asking in running.values():
        asking.error = OUTRUN
        await asking.end(None, None, None)
