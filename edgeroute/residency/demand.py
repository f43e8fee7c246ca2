"""What is asked of the memory: who will be back, how fast it turns over, whether a storm rages.

Owns what is learned from requests, loads and evictions. Decides nothing.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import ModelId
from edgeroute.residency.reuse import Reuse

_REGRETTED_S = 300.0
_STORM_S = 600.0
_STORM_REGRETS = 3
_TURNOVER_S = 1_800.0
_SWAP_S = 2.0
"""What a load costs beside its own seconds: the disk that others wait for, prompts read anew. On
Zipf traffic 1 to 4 s are the same within the noise; without it, models in a circle are loaded 12%
more often (bench/results/2026-11-23-residency.md)."""
_LEAST_TENURE_S, _GREATEST_TENURE_S = 60.0, 1_800.0


class Use(NamedTuple):
    """One request that a model was asked for: when, and when it was over."""

    model: ModelId
    app: str
    asked: float
    ended: float


class Demand:
    """Past demand and what follows from it; bounded by the number of models.

    An eviction is regretted when its model is asked for again within five minutes. Three regrets
    within ten minutes are a storm.

    Attributes:
        reuse: When models are asked for.
        warmth: See `messages.ConditionsChanged`.
        served: Likewise.
    """

    def __init__(self) -> None:
        self.reuse = Reuse()
        self.warmth: Mapping[ModelId, float] = {}
        self.served: Mapping[ModelId, float] = {}
        self._evicted: dict[ModelId, float] = {}
        self._regrets: deque[float] = deque(maxlen=_STORM_REGRETS)
        self._loaded_bytes = 0.0
        self._loaded_at = 0.0

    def recall(self, uses: Iterable[Use], midnight: float) -> None:
        """Learn from what was asked for before the daemon was started.

        Args:
            uses: On this clock, which may mean times below zero; in any order.
            midnight: See `Reuse.midnight`.
        """
        self.reuse.midnight = midnight
        known = list(uses)
        moments = [(use.asked, True, use) for use in known]
        moments += [(use.ended, False, use) for use in known]
        for at, begins, use in sorted(moments, key=itemgetter(0)):
            if begins:
                self.reuse.note_ask(use.model, use.app, at)
            else:
                self.reuse.note_use(use.model, at)

    def note_ask(self, model: ModelId, app: str, now: float) -> None:
        """A request wants a model; who asks may be empty."""
        self.reuse.note_ask(model, app, now)
        evicted = self._evicted.pop(model, None)
        if evicted is not None and now - evicted <= _REGRETTED_S:
            self._regrets.append(now)

    def note_load(self, footprint: Footprint, now: float) -> None:
        """A model is loaded because somebody waits for it."""
        self._loaded_bytes = self._turnover(now) * _TURNOVER_S + footprint.size
        self._loaded_at = now

    def note_eviction(self, model: ModelId, now: float) -> None:
        """A model is put out for another one."""
        self._evicted[model] = now

    def worth(self, model: ModelId, load_s: float, now: float) -> float:
        """What a warm model saves: P(reuse) x the seconds that its absence costs, less its keep.

        Below zero it costs more than it saves.
        """
        saved = self.reuse.rate(model, now) * self.missed_s(model, load_s + _SWAP_S)
        return saved - self.warmth.get(model, 0.0)

    def missed_s(self, model: ModelId, load_s: float) -> float:
        """Seconds that whoever asks for a cold model loses: a load, or the way to a peer."""
        return min(load_s, self.served.get(model, load_s))

    def forget(self, model: ModelId) -> None:
        """A model was removed."""
        self.reuse.forget(model)
        self._evicted.pop(model, None)

    def storms(self, now: float) -> bool:
        """Whether models only swap each other out at present."""
        return len(self._regrets) == _STORM_REGRETS and now - self._regrets[0] <= _STORM_S

    def tenure_s(self, budget: Budget, now: float) -> float:
        """Seconds that a model may be expected to stay once it is loaded: the memory's turnover."""
        tenure_s = budget.size / max(1e-9, self._turnover(now))
        return min(_GREATEST_TENURE_S, max(_LEAST_TENURE_S, tenure_s))

    def _turnover(self, now: float) -> float:
        """Bytes loaded per second of late."""
        passed = max(0.0, now - self._loaded_at)
        return self._loaded_bytes * math.exp(-passed / _TURNOVER_S) / _TURNOVER_S
