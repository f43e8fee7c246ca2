"""Budgets of what is asked a second time: repeats of one target, and hedges.

Owns one allowance per destination, so that who fails is not asked much more often for it, and the
first-token times that say when one is late.
"""

from collections import defaultdict
from collections.abc import Callable

from edgeroute.domain.units import ModelId
from edgeroute.routing.patience import Allowance, FirstTokens, pause_s

_REPEATS = 0.1
_REPEATS_SAVED = 10.0
_HEDGES = 0.05
_HEDGES_SAVED = 2.0


class SecondTries:
    """The budgets of this daemon.

    Args:
        draw: Random numbers, 0..1.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._repeats: dict[ModelId, Allowance] = defaultdict(
            lambda: Allowance(_REPEATS, _REPEATS_SAVED)
        )
        self._hedges = Allowance(_HEDGES, _HEDGES_SAVED)
        self._first_tokens: dict[ModelId, FirstTokens] = defaultdict(FirstTokens)

    def began(self, target: ModelId) -> None:
        """A request goes to a target first."""
        self._repeats[target].earn()
        self._hedges.earn()

    def pause_s(self, target: ModelId, repeat: int, asked_s: float | None) -> float | None:
        """Seconds after which a target may be asked again; `None` where it may not.

        Args:
            target: Who failed.
            repeat: 0 for the first.
            asked_s: What it asked for.
        """
        pause = pause_s(repeat, asked_s, self._draw())
        return pause if pause is not None and self._repeats[target].spend() else None

    def late_s(self, target: ModelId) -> float | None:
        """Seconds after which a target's first token is late; `None` where that is not known."""
        return self._first_tokens[target].late_s()

    def may_hedge(self) -> bool:
        """Whether one more request may be asked of a second target; it is counted."""
        return self._hedges.spend()

    def heard(self, target: ModelId, seconds: float) -> None:
        """A target's first token took so long."""
        self._first_tokens[target].note(seconds)
