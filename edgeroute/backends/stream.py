"""What a worker has said of one answer and nobody has taken yet.

Owns the meeting of one writer, which never waits, and one reader. Pieces that arrived together
are taken together: a reader that is slower than the worker pays once for many tokens.
"""

import asyncio

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.wire.frames import Finished

Ending = Finished | EdgeRouteError


class Stream:
    """The text of one answer on its way.

    Attributes:
        begun: Whether any text has come.
        ending: How the answer ended; `None` while it runs.
    """

    def __init__(self) -> None:
        self.begun = False
        self.ending: Ending | None = None
        self._pieces: list[str] = []
        self._reader: asyncio.Future[None] | None = None

    def put(self, text: str) -> None:
        """Add a piece."""
        self.begun = True
        self._pieces.append(text)
        self._wake()

    def end(self, how: Ending) -> None:
        """Say how it ended; the first word counts."""
        self.ending = self.ending or how
        self._wake()

    async def take(self) -> str:
        """All text that is there; waits for some, or for the end."""
        if not self._pieces and self.ending is None:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
