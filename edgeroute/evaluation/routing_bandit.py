"""Routers that see nothing but the scores of what they chose themselves.

Owns the stream: 100 queries whose scores are all seen, then one after the other.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgeroute.evaluation.routing_baselines import column_means
from edgeroute.evaluation.routing_set import Floats, RoutingSet
from edgeroute.evaluation.routing_trial import Router, Split, roster_of, scored, splits, top
from edgeroute.routing.candidates import Roster

_CALIBRATION = 100
_FIRST = 300
_LEAST_MODELS = 2


def bandit(of: RoutingSet, how_many: int) -> dict[str, dict[str, float]]:
    """Mean scores, in percent, of routers that learn from their own choices alone.

    All but `cold_thompson` start from 100 queries whose scores are all seen. `drift` is the whole
    run where the best model answers half of what it used to from half-way on. Only models that
    were run on every query take part, where there are some.
    """
    of = _complete(of)
    roster = roster_of(of)
    found: dict[str, dict[str, list[float]]] = {}
    for split in splits(len(of), min(_CALIBRATION, len(of) // 4), how_many):
        rng = np.random.default_rng(int(split.seen[0]))
        stream = of.scores[split.asked]
        drifted = stream.copy()
        worse = int(column_means(stream).argmax())
        half = len(stream) // 2
        drifted[half:, worse] *= rng.random(len(stream) - half) < 0.5  # noqa: PLR2004
        for name, policy in _policies(of, roster, split).items():
            got = policy(stream, np.random.default_rng(0))
            late = policy(drifted, np.random.default_rng(0))
            for part, values in {"first_300": got[:_FIRST], "all": got, "drift": late}.items():
                runs = found.setdefault(part, {}).setdefault(name, [])
                runs.append(100 * float(values.mean()))
    return {
        part: {name: float(np.mean(runs)) for name, runs in by_name.items()}
        for part, by_name in found.items()
    }


_Policy = Callable[[Floats, np.random.Generator], Floats]


def _policies(of: RoutingSet, roster: Roster, split: Split) -> dict[str, _Policy]:
    def edgeroute(stream: Floats, _rng: np.random.Generator) -> Floats:
        router = Router(of, roster)
        router.learn_all(split.seen)
        got = np.empty(len(stream))
        for at, row in enumerate(split.asked.tolist()):
            p = np.where(np.isnan(stream[at]), -1.0, router.believed(row))
            chosen = int(p.argmax())
            got[at] = stream[at, chosen]
            router.learn(row, {chosen: float(got[at])})
        return got

    def best_static(stream: Floats, _rng: np.random.Generator) -> Floats:
        means = np.broadcast_to(column_means(of.scores[split.seen]), stream.shape)
        return scored(top(means, stream), stream)

    def cold_thompson(stream: Floats, rng: np.random.Generator) -> Floats:
        ok, bad = np.ones((2, stream.shape[1]))
        got = np.empty(len(stream))
        for at, scores in enumerate(stream):
            p = np.where(np.isnan(scores), -1.0, rng.beta(ok, bad))
            chosen = int(p.argmax())
            got[at] = scores[chosen]
            ok[chosen] += got[at]
            bad[chosen] += 1 - got[at]
        return got

    return {"edgeroute": edgeroute, "best_static": best_static, "cold_thompson": cold_thompson}


def _complete(of: RoutingSet) -> RoutingSet:
    """The set with the models that were run on every query, where there are some to choose from."""
    complete = np.nonzero(~np.isnan(of.scores).any(axis=0))[0]
    if len(complete) < _LEAST_MODELS:
        return of
    models = tuple(of.models[at] for at in complete)
    return replace(of, models=models, scores=of.scores[:, complete], cost_usd=None)
