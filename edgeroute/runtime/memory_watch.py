"""The memory alone, looked at more often than the rest where models hold some of it.

Owns the timer. What is read, and what follows from it, is the pool's. A look takes 0.2 ms, and asks
no GPU where the engine cannot use one.
"""

import asyncio

from edgeroute.runtime.pool import Pool
from edgeroute.runtime.sessions import Sessions


async def watch_memory(pool: Pool, sessions: Sessions) -> None:
    """Look until cancelled; others who want memory get it before the kernel ends somebody."""
    while True:
        await asyncio.sleep(pool.glance_s())
        pool.refresh_budget()
        sessions.trim()
        await pool.measure()
