"""Who holds how many bytes: booked when a worker starts, credited when they are back.

Owns the books and their sum. Knows neither states nor time.
"""

from collections.abc import Iterable
from dataclasses import replace

from edgeroute.domain.load import Footprint
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.residency.room import total

_NOTHING = Footprint()


class Ledger:
    """Three books, each by model.

    - live: what workers hold that were started and are not gone;
    - owed: what workers that are gone have not given back yet;
    - lost: what was given up waiting for, credited all the same if it does come back.
    """

    def __init__(self) -> None:
        self._live: dict[ModelId, Footprint] = {}
        self._owed: dict[ModelId, Footprint] = {}
        self._lost: dict[ModelId, Footprint] = {}
        self._total: Footprint | None = _NOTHING

    @property
    def total(self) -> Footprint:
        """The sum of all books."""
        if self._total is None:
            self._total = total(footprint for _, footprint in self.entries())
        return self._total

    def live(self, model: ModelId) -> Footprint:
        """What a model's worker holds."""
        return self._live.get(model, _NOTHING)

    def is_live(self, model: ModelId) -> bool:
        """Whether a model's worker is booked."""
        return model in self._live

    def owes(self, model: ModelId) -> bool:
        """Whether bytes of an ended worker are to come back."""
        return model in self._owed

    def booked(self, model: ModelId) -> Footprint:
        """All that a model holds or has left behind."""
        return total(book[model] for book in self._books if model in book)

    @property
    def owed(self) -> Footprint:
        """What is to come back of workers that are gone."""
        return total(self._owed.values())

    @property
    def lost(self) -> Footprint:
        """What did not come back in time."""
        return total(self._lost.values())

    def debit(self, model: ModelId, footprint: Footprint) -> None:
        """A worker starts, or its bytes have been measured."""
        self._exchange(self.live(model), footprint)
        self._live[model] = footprint

    def leave(self, model: ModelId) -> None:
        """A worker is gone: its file-backed bytes are back, the others are owed."""
        held = self._live.pop(model)
        self._owed[model] = replace(held, file=Bytes(0))
        self._exchange(held, self._owed[model])

    def reclaim(self, model: ModelId) -> None:
        """What was owed is back."""
        self._exchange(self._owed.pop(model), _NOTHING)

    def write_off(self, model: ModelId) -> None:
        """What was owed did not come back in time."""
        missing = (self._lost.get(model, _NOTHING), self._owed.pop(model))
        self._lost[model] = total(missing)
        self._total = None

    def recover(self, model: ModelId) -> bool:
        """What was lost is back; says whether anything was."""
        lost = self._lost.pop(model, None)
        self._total = None
        return lost is not None

    def entries(self) -> Iterable[tuple[ModelId, Footprint]]:
        """Every entry of every book."""
        return (entry for book in self._books for entry in book.items())

    def _exchange(self, gone: Footprint, come: Footprint) -> None:
        """Keep the sum; where GPUs take part it is added up anew when it is asked for."""
        known = self._total
        if known is None or known.gpu or gone.gpu or come.gpu:
            self._total = None
            return
        file, anon = known.file - gone.file + come.file, known.anon - gone.anon + come.anon
        self._total = Footprint(Bytes(file), Bytes(anon))

    @property
    def _books(self) -> tuple[dict[ModelId, Footprint], ...]:
        return self._live, self._owed, self._lost
