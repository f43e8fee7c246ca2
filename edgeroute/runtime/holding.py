"""An answer of which more can be waited for, for so long, without losing what comes later.

Owns the one piece that is asked for ahead. It is drawn by a task of its own only where somebody
will not wait for it any longer: a task per piece is more than a piece costs otherwise.
"""

import asyncio
from collections.abc import AsyncGenerator

from edgeroute.domain.request import Chunk


class Ahead:
    """The pieces of one answer; close it to cancel.

    Args:
        chunks: The answer; it is closed with this.
    """

    def __init__(self, chunks: AsyncGenerator[Chunk, None]) -> None:
        self._chunks = chunks
        self._drawing: asyncio.Task[Chunk | None] | None = None

    async def comes(self, within_s: float) -> bool:
        """Whether the next piece, or the end, is there within so many seconds."""
        if self._drawing is None:
            self._drawing = asyncio.create_task(self._draw(), name="held back")
        done, _ = await asyncio.wait([self._drawing], timeout=within_s)
        return bool(done)

    async def next(self) -> Chunk | None:
        """The next piece, `None` after the last; raises what the answer does."""
        if self._drawing is None:
            return await self._draw()
        chunk = await self._drawing
        self._drawing = None
        return chunk

    async def aclose(self) -> None:
        """Cancel the answer."""
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
        await self._chunks.aclose()

    async def _draw(self) -> Chunk | None:
        return await anext(self._chunks, None)
