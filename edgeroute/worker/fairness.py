"""Equal shares of a worker between apps: virtual time, as in start-time fair queueing.

Each app has an account of the tokens that were decoded for it; who has the least goes next. An
app that comes back from a pause starts where the busy ones are, so a pause earns nothing, and an
app that asks for long answers pays for them before they are drawn. Pure.
"""

from collections import Counter


class FairShare:
    """The accounts of all apps that have something queued or running, and of debtors."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._present: Counter[str] = Counter()

    def enter(self, app: str) -> None:
        """Note that a sequence of an app has come."""
        if not self._present[app]:
            self._used[app] = max(self._used.get(app, 0), self._least())
        self._present[app] += 1

    def leave(self, app: str) -> None:
        """Note that one has gone; accounts that no longer say anything are closed."""
        self._present[app] -= 1
        if self._present[app]:
            return
        del self._present[app]
        if not self._present:
            self._used.clear()
            return
        least = self._least()
        for idle in self._used.keys() - self._present.keys():
            if self._used[idle] <= least:
                del self._used[idle]

    def charge(self, app: str, tokens: int) -> None:
        """Put tokens on the account of an app that is present; negative ones are given back."""
        self._used[app] += tokens

    def used(self, app: str) -> int:
        """The account of an app that is present."""
        return self._used[app]

    @property
    def accounts(self) -> int:
        """How many accounts are open."""
        return len(self._used)

    def _least(self) -> int:
        return min((self._used[app] for app in self._present if app in self._used), default=0)
