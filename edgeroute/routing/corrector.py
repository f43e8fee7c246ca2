"""What a request's own features say of its answer, beyond its task: a ridge regression in shadow.

Owns the regression and its trial. All targets share the covariance of the features, so what it
keeps is one matrix and two vectors per target, and an answer to one target teaches in place. For
every verdict it first says what it would have believed; it has a say only as long as that was
better than the cells' belief by held-out log-loss, and chose no worse where three answers or more
to one request were judged: to tell which weak model fails is easily learnt, and decides nothing.
Features stay in memory: a text could be guessed from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.routing.candidates import Floats

RIDGES = np.array([8.0, 20.0, 50.0])
"""Observations per unit of squared feature that a weight of 0 is worth. Which is best differs by
set, so all stand trial; they share one decomposition."""
_FADE = 0.9995
"""Per event: half of what is known is of the last 1400."""
_TRIAL_FADE = 0.995
_SHARES = np.array([0.25, 0.5, 0.75, 1.0])
"""How far the belief may go from the cells' to the regression's."""
_LEAST_EVENTS = 20
_REFIT = 0.05
"""A new solution is due when so many more events are known."""
_REFIT_EVENTS = 16
_BOUNDS = (0.02, 0.98)
_TINY = 1e-9
_PAIR = 2
"""Of two, one is mostly the better and the price decides: who would have been chosen tells little,
and asking for it cost .04 of APGR on one split in three."""
_SLOPED = (0.05, 0.95)
"""Where the mean of a target counts as so far from sure that odds move by a straight line."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a solution is worked out from: sums over events, a copy.

    Attributes:
        n: Events, faded.
        total: Sum of their features.
        products: Sum of their outer products.
        seen: Observations per target.
        met: Good ones among them.
        features: Sums of the features of a target's observations, shape (targets, width).
        moments: The same of the good ones.
    """

    n: float
    total: Floats
    products: Floats
    seen: Floats
    met: Floats
    features: Floats
    moments: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A solution of the regression.

    Attributes:
        weights: Shape (ridges, targets, width).
        centre: The features at which a target has its mean, shape (targets, width).
    """

    weights: Floats
    centre: Floats


class Corrector:
    """The regression of verdicts on features, for every target at once.

    Args:
        width: Number of features.
    """

    def __init__(self, width: int) -> None:
        self._rows: dict[str, int] = {}
        self._events = 0
        self._fitted_at = 0
        self._n = 0.0
        self._sum = np.zeros(width)
        self._products = np.zeros((width, width))
        self._seen = np.zeros(0)
        self._met = np.zeros(0)
        self._features = np.zeros((0, width))
        self._moments = np.zeros((0, width))
        self._fit: Fit | None = None
        self._gain = np.zeros((len(RIDGES), len(_SHARES)))
        self._won = np.zeros((len(RIDGES), len(_SHARES)))

    @property
    def share(self) -> float:
        """How far the regression is believed, 0..1; 0 until it has proved itself, or no longer."""
        return self._say[1]

    @property
    def _say(self) -> tuple[int, float]:
        """The best ridge that chose no worse, and how far it is believed."""
        if self._events < _LEAST_EVENTS:
            return 0, 0.0
        allowed = np.where(self._won >= 0, self._gain, -np.inf)
        ridge, share = divmod(int(allowed.argmax()), len(_SHARES))
        return ridge, float(_SHARES[share]) if allowed[ridge, share] > 0 else 0.0

    @property
    def due(self) -> bool:
        """Whether enough was learnt for a new solution."""
        new = self._events - self._fitted_at
        return new >= max(_REFIT_EVENTS, _REFIT * self._fitted_at)

    def correction(
        self, vector: Floats, names: Sequence[str], mean: Floats, overall: Floats
    ) -> Floats:
        """What to add to the cells' belief in every target.

        Args:
            vector: The request's features.
            names: Identities of the targets.
            mean: P(acceptable) by their cells.
            overall: P(acceptable) of each for just any request.
        """
        ridge, share = self._say
        if share == 0 or self._fit is None:
            return np.zeros(len(names))
        believed = self._believed(self._fit.weights[ridge], vector, names, overall)
        return share * (believed - mean)

    def observe(
        self, vector: Floats, verdicts: Mapping[str, Counts], mean: Floats, overall: Floats
    ) -> None:
        """Stand trial by what was found of answers to one request, then learn from it.

        Args:
            vector: The request's features.
            verdicts: By identity of the target.
            mean: What the cells believed of these targets before.
            overall: The same for just any request.
        """
        score = np.array([ok / (ok + bad) for ok, bad in verdicts.values()])
        weight = np.array([(ok + bad) / PARTS for ok, bad in verdicts.values()])
        if self._fit is not None:
            own = self._believed(self._fit.weights, vector, list(verdicts), overall)
            self._try(score, weight, mean, own)
        self._learn(vector, [self._row(name) for name in verdicts], score, weight)

    def problem(self) -> Problem:
        """What is to be solved now."""
        sums = (self._sum, self._products, self._seen, self._met, self._features, self._moments)
        return Problem(self._n, *(values.copy() for values in sums))

    def adopt(self, fit: Fit) -> None:
        """Believe a solution from now on."""
        self._fit = fit
        self._fitted_at = self._events

    def _believed(
        self, weights: Floats, vector: Floats, names: Sequence[str], overall: Floats
    ) -> Floats:
        """By these weights, shape (..., names). Odds move: a weak model never overtakes at 1."""
        assert self._fit is not None  # noqa: S101 - as its callers have made sure
        rows = np.array([self._rows.get(name, -1) for name in names], dtype=np.intp)
        known = (rows >= 0) & (rows < len(self._fit.centre))
        at = rows[known]
        moved = np.zeros((*weights.shape[:-2], len(names)))
        off = vector - self._fit.centre[at]
        moved[..., known] = (weights[..., at, :] * off).sum(axis=-1)
        base = np.clip(overall, *_SLOPED)
        odds: Floats = np.log(base / (1.0 - base)) + moved / (base * (1.0 - base))
        believed: Floats = np.clip(1.0 / (1.0 + np.exp(-odds)), *_BOUNDS)
        return believed

    def _try(self, score: Floats, weight: Floats, cells: Floats, own: Floats) -> None:
        shares = np.concatenate([[0.0], _SHARES])[:, None]
        p = np.clip(cells + shares * (own[:, None, :] - cells), *_BOUNDS)
        losses = -(weight * (score * np.log(p) + (1 - score) * np.log1p(-p)))
        losses = losses.sum(axis=2) / len(score)
        self._gain = _TRIAL_FADE * self._gain + losses[:, :1] - losses[:, 1:]
        chosen = score[p.argmax(axis=2)]
        if len(score) > _PAIR:
            self._won = _TRIAL_FADE * self._won + chosen[:, 1:] - chosen[:, :1]

    def _learn(self, vector: Floats, rows: list[int], score: Floats, weight: Floats) -> None:
        self._sum *= _FADE
        self._products *= _FADE
        self._seen *= _FADE
        self._met *= _FADE
        self._features *= _FADE
        self._moments *= _FADE
        self._n = _FADE * self._n + 1
        self._events += 1
        self._sum += vector
        self._products += np.outer(vector, vector)
        self._seen[rows] += weight
        self._met[rows] += weight * score
        self._features[rows] += weight[:, None] * vector
        self._moments[rows] += (weight * score)[:, None] * vector

    def _row(self, name: str) -> int:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._rows)
            self._seen = np.append(self._seen, 0.0)
            self._met = np.append(self._met, 0.0)
            nothing = np.zeros((1, len(self._sum)))
            self._features = np.concatenate([self._features, nothing])
            self._moments = np.concatenate([self._moments, nothing])
        return row


def solve(problem: Problem) -> Fit:
    """A new solution; tens of milliseconds, which may pass beside everything else."""
    n = max(problem.n, _TINY)
    mean = problem.total / n
    values, basis = np.linalg.eigh(problem.products / n - np.outer(mean, mean))
    seen = np.maximum(problem.seen, _TINY)[:, None]
    centre = problem.features / seen
    moments = problem.moments - (problem.met[:, None] / seen) * problem.features
    scale = seen * np.maximum(values, 0.0) + RIDGES[:, None, None]
    shrunk = (moments @ basis) / scale
    return Fit(shrunk @ basis.T, centre)
