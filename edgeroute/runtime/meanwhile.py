"""Work that the next step does not need: done while whoever was asked computes, or at the end.

What is written down of a request, and what a meter shows at its beginning, need not be there before
a target is asked, nor when its first token comes. Where a process that is sent something shares the
sender's core it begins only once the sender sleeps, so work of a quarter of a millisecond that was
done at once stood in the way of a first token of half of one.
"""

import asyncio
from collections.abc import Callable


class Meanwhile:
    """One piece of work, done in a while; made in a running loop.

    Args:
        within_s: Seconds after which it is done, unless it was asked for before.
        work: Done exactly once. What it raises in its turn is the loop's to tell.
    """

    def __init__(self, within_s: float, work: Callable[[], None]) -> None:
        self._work = work
        self._done = False
        self._turn = asyncio.get_running_loop().call_later(within_s, self.finish)

    def finish(self) -> None:
        """Do it now, unless it was done."""
        if not self._done:
            self._done = True
            self._turn.cancel()
            self._work()
