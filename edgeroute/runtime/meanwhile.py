"""Work that the next step does not need: done as soon as everybody waits for somebody else.

What is written down of a request, and what a meter shows at its beginning, need not be there
before a target is asked. It takes a tenth of what a first token costs here; a model takes longer
than that to read its prompt.
"""

import asyncio
from collections.abc import Callable


class Meanwhile:
    """One piece of work, done at the loop's next turn; made in a running loop.

    Args:
        work: Done exactly once. What it raises in its turn is the loop's to tell.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._done = False
        self._turn = asyncio.get_running_loop().call_soon(self.finish)

    def finish(self) -> None:
        """Do it now, unless it was done."""
        if not self._done:
            self._done = True
            self._turn.cancel()
            self._work()
