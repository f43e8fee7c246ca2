"""The models of the catalog, with what earlier runs measured of each.

Owns what the pool and the roster are told of them, at the start and after a reload, and what is
remembered for the next run.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from edgeroute.catalog import Catalog
from edgeroute.catalog.devices import Recognised
from edgeroute.domain.calibration import Calibration
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
        catalog: As last read.
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
        self._calibrated = journal.calibrations(engine)

    @property
    def ids(self) -> frozenset[ModelId]:
        """All that there are."""
        return frozenset(card.id for card in self.catalog.cards)

    @property
    def pinned(self) -> frozenset[ModelId]:
        """Those that are to stay loaded."""
        return frozenset(card.id for card in self.catalog.cards if card.pinned)

    def specs(self) -> list[ModelSpec]:
        """What the pool must know of each."""
        return [
            ModelSpec(
                card,
                replace(self._options, threads=self._threads(card)),
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

    def read_again(self, catalog: Catalog) -> None:
        """Take a new catalog, and what was calibrated since; blocks."""
        self.catalog = catalog
        self._calibrated = self._journal.calibrations(self._engine)

    def calibrations(self, sha256: str) -> Sequence[Calibration]:
        """What was measured on purpose of a model."""
        return self._calibrated.get(sha256, ())

    def calibrated(self, card: ModelCard) -> Calibration | None:
        """The same, as the model is served."""
        return next((row for row in self.calibrations(card.sha256) if row.chosen), None)

    def prior(self, card: ModelCard) -> Rates:
        """Rates of one that has not: as calibrated, else as such a model should do.

        One that pretends says how fast it does.
        """
        rates = rates_prior(card.shape, self._known.hardware.cpu, self._known.device)
        found = self.calibrated(card)
        if found is not None:
            return Rates(rates.load_s, found.prefill_tok_s, found.decode_tok_s, found.watts)
        if card.echo is None or not card.echo.tok_s:
            return rates
        return replace(rates, decode_tok_s=card.echo.tok_s)

    def _threads(self, card: ModelCard) -> int:
        found = self.calibrated(card)
        return self._options.threads if found is None else found.threads

    def remember(self, rates_of: Callable[[ModelId], Rates]) -> None:
        """Keep the rates that were measured since."""
        for card in self.catalog.cards:
            rates = rates_of(card.id)
            if rates.measured:
                self._rates[card.sha256] = rates
                self._journal.write_rates(card.sha256, rates)
