"""The daemon's deciding and learning over the models of a published set.

Owns what every question about routers starts from, and how queries are parted. No model
has a card here: all start alike.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgeroute.domain.belief import PARTS, Counts
from edgeroute.domain.features import Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import Bytes, ModelId, RequestId
from edgeroute.evaluation.routing_set import Floats, RoutingSet, Rows
from edgeroute.routing.candidates import Roster
from edgeroute.routing.corrector import solve
from edgeroute.routing.decide import Appraisal, appraise
from edgeroute.routing.quality import Quality
from edgeroute.routing.view import View

_ORIGIN = "eval"
_PRIOR = 0.5
_QUALITY_ALONE = Profile("quality", "", per_usd=0.0, per_joule=0.0, per_second=0.0)


class Router:
    """The daemon's deciding and learning over the models of one set."""

    def __init__(self, of: RoutingSet, roster: Roster) -> None:
        self._of = of
        self._quality = Quality(of.vectors.shape[1])
        self._view = View(
            id=RequestId("eval"),
            app=_ORIGIN,
            features=of.features[0],
            limits=Limits(),
            label=Label.PUBLIC,
            pinned_model=None,
            profile=_QUALITY_ALONE,
            profile_reason="as configured",
            power=Power("absent"),
            budget_bytes=Bytes(0),
            now=0.0,
            draw=1.0,
            roster=roster,
        )
        self._models = {ModelId(name): at for at, name in enumerate(of.models)}
        self._column = np.array([self._models[name] for name in roster.ids])

    def appraise(self, row: int) -> Appraisal:
        """What `decide` makes of a query before it says it in words."""
        features = self._of.features[row]
        evidence = self._quality.evidence(
            features, self._of.vectors[row], self._view.roster, _ORIGIN
        )
        return appraise(replace(self._view, features=features, evidence=evidence))

    def believed(self, row: int) -> Floats:
        """P(acceptable) of every model's answer to a query."""
        p = np.empty(len(self._column))
        p[self._column] = self.appraise(row).estimates.p_ok
        return p

    def learn(self, row: int, scores: Mapping[int, float]) -> None:
        """Be told the scores of some models' answers to a query."""
        verdicts = {}
        for model, score in scores.items():
            ok = round(PARTS * score)
            verdicts[self._of.models[model]] = Counts(ok, PARTS - ok)
        if verdicts:
            self._quality.observe(
                _ORIGIN, self._of.features[row], self._of.vectors[row], verdicts, self._view.roster
            )
        if self._quality.corrector.due:
            self._quality.corrector.adopt(solve(self._quality.corrector.problem()))

    def learn_all(self, rows: Rows) -> None:
        """Be told every score of some queries."""
        for row in rows.tolist():
            scores = self._of.scores[row].tolist()
            self.learn(row, {at: score for at, score in enumerate(scores) if not math.isnan(score)})


def predicted(of: RoutingSet, roster: Roster, split: "Split") -> Floats:
    """What the daemon believes of the answers that are asked for, once it was told the others'."""
    router = Router(of, roster)
    router.learn_all(split.seen)
    return np.array([router.believed(row) for row in split.asked.tolist()])


def roster_of(of: RoutingSet) -> Roster:
    """All models of a set alike, but for their names."""
    target = Target(
        id=ModelId(""),
        zone=Zone.DEVICE,
        context=1 << 30,
        parameters=0,
        rates=Rates(0.0, 1e6, 1e6, 0.0),
        warmth=Warmth.WARM,
        scores=dict.fromkeys(Task, _PRIOR),
    )
    return Roster.of([replace(target, id=ModelId(name)) for name in of.models])


@dataclass(frozen=True, slots=True)
class Split:
    """One way to part the queries, the same for everyone."""

    seen: Rows
    asked: Rows


def splits(count: int, labels: int, how_many: int) -> Iterator[Split]:
    """Random splits with so many labelled queries."""
    for seed in range(how_many):
        order = np.random.default_rng(seed).permutation(count)
        yield Split(order[:labels], order[labels:])


def top(predicted: Floats, scores: Floats) -> Floats:
    """Where each row has its maximum among what was run; equals share it."""
    bounded = np.where(np.isnan(scores), -np.inf, predicted)
    best: Floats = (bounded == bounded.max(axis=1, keepdims=True)).astype(np.float64)
    best /= best.sum(axis=1, keepdims=True)
    return best


def scored(chosen: Floats, scores: Floats) -> Floats:
    """Per row: the mean score of what was chosen, by the shares that `top` gives."""
    got: Floats = (chosen * np.nan_to_num(scores)).sum(axis=1)
    return got
