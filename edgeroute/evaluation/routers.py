"""Whether routing pays: the daemon's own deciding and learning, on scores that others published.

Owns the report: with N labelled queries, how good are the chosen answers; of two models, how well
is the strong one kept for what needs it; and what is had for what it costs. Tasks are what the
shipped model makes of the text.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from edgeroute.evaluation.routing_bandit import bandit
from edgeroute.evaluation.routing_baselines import Baselines, column_means
from edgeroute.evaluation.routing_metrics import (
    PairFigures,
    aiq,
    mean_figures,
    pair_figures,
    paired_interval,
    standard_error,
)
from edgeroute.evaluation.routing_set import Floats, RoutingSet, Rows
from edgeroute.evaluation.routing_trial import Split, predicted, roster_of, scored, splits, top
from edgeroute.routing.candidates import Roster

LABELS: Final = (0, 50, 200, 1000)
_PAIR = 2
_FOLDS = 5
_MOST_LABELLED = 0.9
_COST_LABELS = 200
_PRICES = (0.0, *np.geomspace(0.1, 1e5, 25).tolist())
"""What a dollar costs, for quality over cost."""

Progress = Callable[[float], None]


def report(
    of: RoutingSet, labels: int | None, how_many: int, progress: Progress
) -> dict[str, object]:
    """All figures of a set (see the module)."""
    baselines = Baselines.build(of)
    roster = roster_of(of)
    sizes = [
        n for n in sorted({*LABELS, *([labels] if labels else [])}) if n <= _MOST_LABELLED * len(of)
    ]
    questions = len(sizes) + 3
    done = iter(range(1, questions + 1))

    def tick() -> None:
        progress(next(done) / questions)

    told: dict[str, object] = {"set": of.name, "queries": len(of), "splits": how_many}
    if len(of.models) == _PAIR and not np.isnan(of.scores).any():
        told.update(_pair(of, roster, baselines, labels, how_many))
    tick()
    table, intervals = {}, {}
    for n in sizes:
        table[str(n)], intervals[str(n)] = _labelled(of, roster, baselines, n, how_many)
        tick()
    told["labels"], told["intervals"] = table, intervals
    told["bandit"] = bandit(of, how_many)
    tick()
    if of.cost_usd is not None:
        told["aiq"] = _over_cost(of, roster, min(_COST_LABELS, len(of) // 2), how_many)
    tick()
    return told


def rounded(value: Any) -> Any:
    """A report with its figures as they are read."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return round(value, 4) if isinstance(value, float) else value


# ---- two models --------------------------------------------------------------------------------


def _pair(
    of: RoutingSet, roster: Roster, baselines: Baselines, labels: int | None, how_many: int
) -> dict[str, object]:
    strong = int(np.nanmean(of.scores, axis=0).argmax())
    figures: dict[str, list[PairFigures]] = {}
    for rows, by_name in _gaps(of, roster, baselines, labels, how_many, strong):
        for name, gap in by_name.items():
            scores = of.scores[rows]
            found = pair_figures(gap, scores[:, strong], scores[:, 1 - strong])
            figures.setdefault(name, []).append(found)
    told = {name: mean_figures(found) for name, found in figures.items()}
    pair = told.pop("edgeroute")
    return {"pair": pair, "pair_baselines": told}


def _gaps(
    of: RoutingSet,
    roster: Roster,
    baselines: Baselines,
    labels: int | None,
    how_many: int,
    strong: int,
) -> Iterator[tuple[Rows, dict[str, Floats]]]:
    """Predicted advantages: of all that is not labelled, or out of five folds of everything."""
    if labels is not None:
        for split in splits(len(of), labels, how_many):
            yield split.asked, _gap(of, roster, baselines, split, strong)
        return
    for seed in range(max(1, how_many // _FOLDS)):
        order = np.random.default_rng(seed).permutation(len(of))
        parts = np.array_split(order, _FOLDS)
        together: dict[str, Floats] = {}
        for fold in parts:
            split = Split(np.setdiff1d(order, fold), fold)
            split.seen[:] = np.random.default_rng(seed).permutation(split.seen)
            for name, gap in _gap(of, roster, baselines, split, strong).items():
                together.setdefault(name, np.empty(len(of)))[fold] = gap
        yield np.arange(len(of)), together


def _gap(
    of: RoutingSet, roster: Roster, baselines: Baselines, split: Split, strong: int
) -> dict[str, Floats]:
    p_of = {"edgeroute": predicted(of, roster, split)}
    for name, predict in baselines.all().items():
        p_of[name] = predict(split.seen, split.asked)
    p_of["length"] = baselines.length(split.seen, split.asked)
    return {name: p[:, strong] - p[:, 1 - strong] for name, p in p_of.items()}


# ---- many models, some labelled queries --------------------------------------------------------


def _labelled(
    of: RoutingSet, roster: Roster, baselines: Baselines, labels: int, how_many: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Mean score, in percent, of the chosen models' answers to what is not labelled."""
    found: dict[str, list[float]] = {}
    ahead: dict[str, Floats] = {}
    count = np.zeros(len(of))
    for split in splits(len(of), labels, how_many):
        got = _choices(of, roster, baselines, split)
        for name, scores in got.items():
            found.setdefault(name, []).append(100 * float(scores.mean()))
        count[split.asked] += 1
        for name in ("best_single", "task_table", "knn", "ridge"):
            total = ahead.setdefault(name, np.zeros(len(of)))
            total[split.asked] += 100 * (got["edgeroute"] - got[name])
    means = {name: float(np.mean(values)) for name, values in found.items()}
    rng = np.random.default_rng(0)
    asked = count > 0
    return (
        {**means, "se": standard_error(found["edgeroute"])},
        {
            name: list(paired_interval(total[asked] / count[asked], rng))
            for name, total in ahead.items()
        },
    )


def _choices(
    of: RoutingSet, roster: Roster, baselines: Baselines, split: Split
) -> dict[str, Floats]:
    """Per query asked: the score of what each router would have answered with."""
    scores = of.scores[split.asked]
    chosen = top(predicted(of, roster, split), scores)
    got = {"edgeroute": scored(chosen, scores)}
    means = baselines.means(split.seen) if len(split.seen) else np.ones(len(of.models))
    single = np.broadcast_to(means, scores.shape)
    got["best_single"] = scored(top(single, scores), scores)
    run = ~np.isnan(scores)
    got["random"] = np.nan_to_num(scores).sum(axis=1) / np.maximum(1, run.sum(axis=1))
    shares = np.where(run, chosen.mean(axis=0), 0)
    total = np.maximum(shares.sum(axis=1), 1e-12)
    got["matched_random"] = scored(shares, scores) / total
    for name, predict in baselines.all().items():
        if len(split.seen):
            got[name] = scored(top(predict(split.seen, split.asked), scores), scores)
        else:
            got[name] = got["best_single"]
    got["oracle"] = np.nan_to_num(scores).max(axis=1)
    return got


# ---- quality over cost -------------------------------------------------------------------------


def _over_cost(of: RoutingSet, roster: Roster, labels: int, how_many: int) -> dict[str, float]:
    """AIQ of choosing by P(acceptable) less a price on dollars, and of mixing the best models."""
    assert of.cost_usd is not None  # noqa: S101 - as its caller has made sure
    found: dict[str, list[float]] = {"edgeroute": [], "single_models": []}
    for split in splits(len(of), labels, how_many):
        scores, cost = of.scores[split.asked], of.cost_usd[split.asked]
        usual = column_means(of.cost_usd[split.seen])
        believed = predicted(of, roster, split)
        tops = [top(believed - price * usual, scores) for price in _PRICES]
        singles = [
            top(np.broadcast_to(np.eye(len(of.models))[at], scores.shape), scores)
            for at in range(len(of.models))
        ]
        for name, choices in {"edgeroute": tops, "single_models": singles}.items():
            spent = np.array([scored(choice, cost).mean() for choice in choices])
            good = np.array([scored(choice, scores).mean() for choice in choices])
            found[name].append(aiq(spent, good))
    return {name: float(np.mean(values)) for name, values in found.items()}
