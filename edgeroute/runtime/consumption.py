"""What queries take on each model, kept between runs.

Owns which fit holds now: a model takes more in one power mode than in another, and on battery less
than on mains, so each has a fit of its own. What a fit is, is `routing/consumption`'s.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

import msgspec

from edgeroute.domain.energy import EnergyRates, RemoteEnergy
from edgeroute.domain.hardware import Telemetry
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.target import Rates
from edgeroute.routing.consumption import Consumption, Lengths, learn, prior

_log = logging.getLogger(__name__)

_TELLING_TOKENS = 4
"""A shorter answer is over before a meter has moved."""


class Consumptions:
    """The fits of all models.

    Args:
        kept: From earlier runs, by key.
        write: Keeps one.
        engine: Engine and version; another one takes other joules.
        remote: What a query takes where others compute, by the target's name.
    """

    def __init__(
        self,
        kept: Mapping[str, bytes],
        write: Callable[[str, bytes], None],
        engine: str,
        remote: Callable[[str], RemoteEnergy | None] = lambda _target: None,
    ) -> None:
        self._fits = dict(_readable(kept))
        self._write = write
        self._engine = engine
        self.remote = remote
        self._conditions = ""

    def set_conditions(self, telemetry: Telemetry) -> bool:
        """Take how the machine stands; whether other fits hold from now on."""
        clocks = telemetry.clocks
        supply = "battery" if telemetry.power.on_battery else "mains"
        conditions = f"{clocks.power_mode or clocks.governor or 'any'}.{supply}"
        changed = conditions != self._conditions
        self._conditions = conditions
        return changed

    def rates(self, sha256: str) -> EnergyRates | None:
        """What a query on a model takes under these conditions; `None` before any was metered."""
        fit = self._fits.get(self._key(sha256))
        return None if fit is None else fit.rates

    def learn(self, sha256: str, rates: Rates, outcome: Outcome) -> None:
        """Take a query that came to its natural end at the first try; others tell little."""
        spent = outcome.spent
        whole = outcome.ending in ("stop", "length", "tool_calls") and len(outcome.attempts) == 1
        told = outcome.completion_tokens >= _TELLING_TOKENS
        if spent is None or not whole or not told or not spent.device.joules > 0:
            return
        key = self._key(sha256)
        fit = learn(
            self._fits.get(key) or prior(rates),
            Lengths(
                outcome.prompt_tokens - outcome.cached_tokens,
                outcome.completion_tokens,
                outcome.cached_tokens,
            ),
            spent.device.joules,
            spent.device.quality,
        )
        self._fits[key] = fit
        self._write(key, msgspec.json.encode(fit))

    def _key(self, sha256: str) -> str:
        return f"{sha256}.{self._engine}.{self._conditions}"


def _readable(kept: Mapping[str, bytes]) -> Iterator[tuple[str, Consumption]]:
    """The fits that this version can go on with; the others are learnt anew."""
    for key, fit in kept.items():
        try:
            yield key, msgspec.json.decode(fit, type=Consumption)
        except msgspec.DecodeError as error:
            _log.warning("what queries take is learnt anew for %s: %s", key, error)
