"""Figures of merit of routers: recovered performance gap, quality over cost, intervals.

Owns the definitions. APGR and CPT are RouteLLM's (Ong et al. 2024, arXiv:2406.18665): the share of
the gap between a weak and a strong model that is recovered, over the share of queries that the
strong one answers. AIQ is RouterBench's (Hu et al. 2024, arXiv:2403.12031).
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_POINTS = 11
"""RouteLLM looks at shares of 0, 10, ... 100%."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class PairFigures:
    """How well two models were told apart.

    Attributes:
        apgr: Area under the recovered gap, from eleven points.
        apgr_exact: The same from every point.
        cpt50: Percent of queries for the strong model that recover half of the gap, by
            interpolation, as RouteLLM has it.
        cpt80: The same for four fifths.
        cpt50_first: Where the exact curve first gets there.
        cpt80_first: The same for four fifths.
    """

    apgr: float
    apgr_exact: float
    cpt50: float
    cpt80: float
    cpt50_first: float
    cpt80_first: float


def pair_figures(gap: Floats, strong: Floats, weak: Floats) -> PairFigures:
    """Figures of sending queries to the strong model in order of a predicted gap, ties halved.

    Args:
        gap: Predicted advantage of the strong model, per query.
        strong: Its scores.
        weak: The other's.
    """
    share, recovered = _curve(gap, strong - weak)
    grid = np.linspace(0, 1, _POINTS)
    coarse = np.interp(grid, share, recovered)
    rising = np.argsort(coarse, kind="stable")  # as np.interp wants; see `cpt50_first`
    cpt = [float(np.interp(level, coarse[rising], grid[rising])) for level in (0.5, 0.8)]
    first = [_first(share, recovered, level) for level in (0.5, 0.8)]
    areas = float(np.trapezoid(coarse, grid)), float(np.trapezoid(recovered, share))
    return PairFigures(*areas, *(100 * at for at in (*cpt, *first)))


def mean_figures(figures: "list[PairFigures]") -> dict[str, float]:
    """Means over splits, and the standard error of `apgr`."""
    columns = {name: [asdict(f)[name] for f in figures] for name in asdict(figures[0])}
    means = {name: float(np.mean(values)) for name, values in columns.items()}
    return {**means, "se": standard_error(columns["apgr"])}


def standard_error(values: "list[float]") -> float:
    """Of a mean; 0 for a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def paired_interval(differences: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """The 95% bootstrap interval of a mean of paired differences, one per query."""
    n = len(differences)
    means = [differences[rng.integers(0, n, n)].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def aiq(cost: Floats, quality: Floats) -> float:
    """Mean quality over the range of costs, on the non-decreasing convex hull of the points."""
    order = np.lexsort((-quality, cost))
    hull: list[tuple[float, float]] = []
    for x, y in zip(cost[order].tolist(), quality[order].tolist(), strict=True):
        if hull and y <= max(point[1] for point in hull):
            continue
        while len(hull) > 1 and _below(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    hull.append((float(cost.max()), hull[-1][1]))
    xs, ys = np.array(hull).T
    width = xs[-1] - xs[0]
    return float(np.trapezoid(ys, xs) / width) if width > 0 else float(ys.max())


def _below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def _curve(gap: Floats, advantage: Floats) -> tuple[Floats, Floats]:
    """Shares and recovered gap; queries that tie are taken together, in a straight line."""
    order = np.argsort(-gap, kind="stable")
    ends = np.append(np.diff(gap[order]) != 0, True)
    total = np.cumsum(advantage[order])[ends]
    share = (np.nonzero(ends)[0] + 1) / len(gap)
    return np.append(0.0, share), np.append(0.0, total / advantage.sum())


def _first(share: Floats, recovered: Floats, level: float) -> float:
    at = int(np.argmax(recovered >= level))
    before, after = recovered[at - 1], recovered[at]
    return float(share[at - 1] + (share[at] - share[at - 1]) * (level - before) / (after - before))
