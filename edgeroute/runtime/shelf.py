"""Which models' files paired machines may copy.

Owns the rules: the owner may forbid it, a machine on battery gives nothing, and what is not a file
of this machine's own is not there.
"""

from collections.abc import Callable, Sequence
from typing import Final

from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import Forbidden, NoTarget, UnknownModel
from edgeroute.runtime.telemetry import TelemetryFeed

_NAMED: Final = 20


class Shelf:
    """The models that stand here to be copied.

    Args:
        cards: The models of this machine's own.
        telemetry: Knows whether the machine is on battery.
        give: Whether anything may be copied at all.
    """

    def __init__(
        self, cards: Callable[[], Sequence[ModelCard]], telemetry: TelemetryFeed, *, give: bool
    ) -> None:
        self._cards = cards
        self._telemetry = telemetry
        self._give = give

    @property
    def names(self) -> frozenset[str]:
        """What the models of this machine's own are called."""
        return frozenset(card.id for card in self._cards())

    def held(self, model: str) -> ModelCard:
        """A model that may be copied now. Called from any thread.

        Raises:
            Forbidden: The owner lets nobody copy.
            NoTarget: The machine is on battery.
            UnknownModel: There is none; says which there are.
        """
        if not self._give:
            raise Forbidden(
                "its owner lets nobody copy its models",
                hint="in its config.toml: [lan] give = true",
            )
        if self._telemetry.now.power.on_battery:
            raise NoTarget("it is on battery", hint="plug it in")
        there = {str(card.id): card for card in self._cards() if card.path}
        found = there.get(model)
        if found is None:
            names = ", ".join(sorted(there)[:_NAMED])
            raise UnknownModel(f"it has no model {model!r}", hint=f"it has: {names or 'none'}")
        return found
