"""What a query on a model takes, learnt from what queries took.

`base + prompt * a + output * b + pairs * c`, where each token pays for every one before it that it
attends to. Without the pairs a fit to queries of all lengths is a straight line through a curve,
and says too much of short ones.

Owns the fit: recursive least squares on relative errors, since a long answer is not worth more as
evidence than a short one. Before anything was measured, watts times seconds stand in, as a prior
that a few queries outweigh.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edgeroute.domain.energy import Energy, EnergyRates, Quality
from edgeroute.domain.target import Rates

_PRIOR_SPREAD = 0.5
"""What a figure that nothing has measured may be off by, as a share of it."""
_LEAST_SPREAD = 0.03
"""No fit is trusted more than this: cores heat up, neighbours come and go."""
_BASE_TOKENS = 20.0
"""The constant part is somewhere under what so many tokens take."""
_TWICE_AT = 1000.0
"""A token may well take twice as much where so many are before it."""
_NOISE = 0.1
"""Relative spread of single queries around a good fit, before it is known."""
_FORGET = 0.98
"""Weight of the last query against the one before it: some fifty count."""
_MOST_SURPRISE = 4.0
"""Standard deviations beyond which something else ran: no query widens the spread by more."""
_MOST_PULL = 1.5
"""Standard deviations by which one query may pull the fit (Huber): what disturbs a query only ever
adds to it, so that a plain mean says too much of all of them."""
_SETTLED = 10
NINE_IN_TEN = 1.645
"""Standard deviations of a normal distribution on either side."""


class Lengths(NamedTuple):
    """Tokens of a query.

    Attributes:
        read: Of its prompt, without those that were in memory.
        drawn: Of its answer.
        cached: Of its prompt, those that were in memory.
    """

    read: float
    drawn: float
    cached: float = 0.0

    @property
    def pairs(self) -> float:
        """Pairs of a token that was computed and one before it."""
        return ((self.cached + self.read + self.drawn) ** 2 - self.cached**2) / 2


@dataclass(frozen=True, slots=True)
class Consumption:
    """A fit; plain numbers, so that it can be kept.

    Attributes:
        theta: Joules: constant, per prompt token read, per token drawn, per pair of a token and one
            before it.
        covariance: Of `theta`, by rows, in units of the noise.
        queries: That it was learnt from.
        variance: Of the relative error of predictions.
        quality: Of the joules that it was learnt from last.
    """

    theta: tuple[float, float, float, float]
    covariance: tuple[float, ...]
    queries: int = 0
    variance: float = _PRIOR_SPREAD**2
    quality: Quality = "model"

    @property
    def rates(self) -> EnergyRates:
        """For the router."""
        base, prompt, output, pair = (max(0.0, value) for value in self.theta)
        return EnergyRates(base, prompt, output, pair, self.spread, self.quality, self.queries)

    @property
    def spread(self) -> float:
        """Standard deviation of what a query takes, as a share of what is predicted."""
        few = 1.0 + len(self.theta) / max(1, self.queries)
        return max(_LEAST_SPREAD, math.sqrt(self.variance * few))


def prior(rates: Rates) -> Consumption:
    """What watts and seconds say of a model that nobody has metered."""
    prompt, output = rates.watts / rates.prefill_tok_s, rates.watts / rates.decode_tok_s
    likely = np.array([_BASE_TOKENS * output, prompt, output, output / _TWICE_AT]) / _NOISE
    spread = np.maximum(likely, 1e-9)
    return Consumption((0.0, prompt, output, 0.0), tuple(np.diag(spread**2).ravel().tolist()))


def learn(fit: Consumption, lengths: Lengths, joules: float, quality: Quality) -> Consumption:
    """The fit after one more query.

    Args:
        fit: So far.
        lengths: Of the query.
        joules: That it took, over nothing.
        quality: Of the joules.
    """
    theta, covariance = np.array(fit.theta), np.array(fit.covariance).reshape(4, 4)
    x = np.array([1.0, lengths.read, lengths.drawn, lengths.pairs], dtype=np.float64)
    predicted = float(theta @ x)
    scale = max(predicted, 0.1 * joules, 1e-9)
    row, surprise = x / scale, (joules - predicted) / scale
    pull = surprise
    if fit.queries >= _SETTLED:
        surprise = _within(surprise, _MOST_SURPRISE * fit.spread)
        pull = _within(surprise, _MOST_PULL * fit.spread)
    doubt = float(row @ covariance @ row)  # how far off it may be for not knowing theta
    gain = covariance @ row / (_FORGET + doubt)
    updated = (covariance - np.outer(gain, row @ covariance)) / _FORGET
    newest = max(1.0 / (fit.queries + 1), 1.0 - _FORGET**2)
    return replace(
        fit,
        theta=tuple((theta + gain * pull).tolist()),
        covariance=tuple(((updated + updated.T) / 2).ravel().tolist()),
        queries=fit.queries + 1,
        variance=fit.variance + newest * (surprise**2 / (1.0 + doubt) - fit.variance),
        quality=quality,
    )


def _within(value: float, most: float) -> float:
    return min(max(value, -most), most)


def predict(rates: EnergyRates, lengths: Lengths) -> Energy:
    """What a query of these lengths takes, and where it lies nine times out of ten."""
    joules = (
        rates.base_j
        + lengths.read * rates.prompt_j
        + lengths.drawn * rates.output_j
        + lengths.pairs * rates.pair_j
    )
    off = min(1.0, NINE_IN_TEN * rates.spread)
    high = joules * (1.0 + NINE_IN_TEN * rates.spread)
    return Energy(joules, joules * (1.0 - off), high, rates.quality)
