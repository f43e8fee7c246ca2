"""The models of the catalog, with what earlier runs measured of each.

Owns what the pool and the roster are told of them, at the start and after a reload, and what is
remembered for the next run.
"""

from collections.abc import Callable
from dataclasses import replace

from edgeroute.catalog import Catalog
from edgeroute.catalog.devices import Recognised
from edgeroute.domain.card import ModelCard
from edgeroute.domain.target import Rates
from edgeroute.domain.units import ModelId
from edgeroute.residency.placement import PlanOptions
from edgeroute.residency.pool import ModelSpec
from edgeroute.routing.estimate import rates_prior
from edgeroute.runtime.footprints import Footprints
from edgeroute.store.journal import SqliteJournal


class Models:
    """Cards and measurements.

    Args:
        catalog: As read at the start.
        known: This machine.
        options: What is wished for where nothing else was calibrated.
        engine: Engine and version; what is measured is valid for it alone.

    Attributes:
        catalog: As last read; a reload replaces it.
        footprints: What loads took.
    """

    def __init__(
        self,
        catalog: Catalog,
        options: PlanOptions,
        known: Recognised,
        journal: SqliteJournal,
        engine: str,
    ) -> None:
        where = f"{engine} on {known.hardware.cpu.model}"
        self.catalog = catalog
        self.footprints = Footprints(journal, journal.footprints(where), where)
        self._options = options
        self._known = known
        self._journal = journal
        self._engine = engine
        self._rates = journal.rates()

    @property
    def ids(self) -> frozenset[ModelId]:
        """All that there are."""
        return frozenset(card.id for card in self.catalog.cards)

    @property
    def pinned(self) -> frozenset[ModelId]:
        """Those that are to stay loaded."""
        return frozenset(card.id for card in self.catalog.cards if card.pinned)

    def specs(self) -> list[ModelSpec]:
        """What the pool must know of each; blocks, for the start and a reload only."""
        calibrated, options = self._journal.threads(self._engine), self._options
        return [
            ModelSpec(
                card,
                replace(options, threads=calibrated.get(card.sha256, options.threads)),
                load_s=self.prior(card).load_s,
                measured=self.footprints.of(card.sha256),
            )
            for card in self.catalog.cards
        ]

    @property
    def measured(self) -> dict[ModelId, Rates]:
        """Rates of those that have answered before."""
        return {
            card.id: self._rates[card.sha256]
            for card in self.catalog.cards
            if card.sha256 in self._rates
        }

    def prior(self, card: ModelCard) -> Rates:
        """Rates of one that has not; one that pretends says how fast it does."""
        rates = rates_prior(card.shape, self._known.hardware.cpu, self._known.device)
        if card.echo is None or not card.echo.tok_s:
            return rates
        return replace(rates, decode_tok_s=card.echo.tok_s)

    def remember(self, rates_of: Callable[[ModelId], Rates]) -> None:
        """Keep the rates that were measured since."""
        for card in self.catalog.cards:
            rates = rates_of(card.id)
            if rates.measured:
                self._rates[card.sha256] = rates
                self._journal.write_rates(card.sha256, rates)
