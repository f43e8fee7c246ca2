"""Where a target runs: in the pool, by a lease, or at a provider, without one."""

from contextlib import AbstractAsyncContextManager

from edgeroute.domain.units import ModelId
from edgeroute.ports import Runner
from edgeroute.runtime.pool import Pool
from edgeroute.runtime.providers import Opened, Providers

Place = Runner | Opened


class Places:
    """Opens targets, wherever they run."""

    def __init__(self, pool: Pool, providers: Providers) -> None:
        self._pool = pool
        self._providers = providers

    def open(
        self, target: ModelId, app: str
    ) -> AbstractAsyncContextManager[Runner] | AbstractAsyncContextManager[Opened]:
        """Hold a target for one request of an app; waits for memory and a load where it needs them.

        Raises:
            EdgeRouteError: See `Pool.lease` and `Providers.open`.
        """
        if target not in self._providers:
            return self._pool.lease(target, app)
        self._pool.refuse_if_closing()
        return self._providers.open(target)

    def doubt(self, target: ModelId) -> None:
        """A provider's target is late: whether anybody is there, is worth a look."""
        self._providers.doubt(target)

    def is_there(self, target: ModelId) -> bool:
        """Whether a provider's target could be reached when that was looked at last."""
        return self._providers.is_there(target)

    def elsewhere(self, target: ModelId) -> bool:
        """Whether a target is a provider's, and not the pool's."""
        return target in self._providers

    def refuse_if_closing(self) -> None:
        """Raise `ShuttingDown` once the daemon drains."""
        self._pool.refuse_if_closing()
