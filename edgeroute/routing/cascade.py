"""Whether a smaller model should draft an answer, to be checked, before a bigger one is asked.

Owns how such a chain is valued. A draft costs what it costs; its grade says how probably it is
right (`routing/grading`); it is given where that is worth at least what the rest of the chain is
worth, and else the rest is asked. Whoever could not answer chose a hard question: the next one is
believed less of it (`ADVERSE`). Only eligible targets take part, the costs of all steps together
stay within the caller's limits, and drafts are made on this device alone, where nobody else is
paid or told twice.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

from edgeroute.domain.decision import Cascade, CascadeStep
from edgeroute.domain.privacy import Zone
from edgeroute.domain.request import Limits
from edgeroute.domain.units import Joules, ModelId, Usd
from edgeroute.domain.verification import Grade
from edgeroute.routing.beliefs import MOST
from edgeroute.routing.candidates import Floats
from edgeroute.routing.estimate import Estimates
from edgeroute.routing.tested import Claim, Tally, claim_of
from edgeroute.routing.view import View

ADVERSE = 0.15
"""Share of its P(right) that a bigger model loses on questions that a smaller one got wrong."""
_PLAYERS = 4
"""Targets that chains are made of: the best by utility, and the one most probably right."""
_LONGEST = 3
_WORTH_IT = 1e-3
"""Utility that a chain must gain over one target alone; less is noise of the estimates."""
_TINY = 1e-9


class _Cut(NamedTuple):
    """At which grades a draft is given, and at which the rest of the chain is asked.

    Attributes:
        accepts: Grades at which it is given.
        given_right: P(one of those | right).
        refused_right: P(another | right).
        refused_wrong: P(another | wrong).
    """

    accepts: tuple[Grade, ...]
    given_right: float
    refused_right: float
    refused_wrong: float


@dataclass(frozen=True, slots=True)
class _Player:
    """One target as a chain sees it.

    Attributes:
        p: P(right) of it, before anything was drafted.
        cost: Its terms of the utility besides quality, at most 0.
        cuts: What its drafts may be given at: all grades but the worst, the two worst, and so on.
    """

    target: ModelId
    p: float
    cost: float
    total_s: float
    joules: float
    usd: float
    drafts: bool
    cuts: tuple[_Cut, ...]


class _Played(NamedTuple):
    """A chain from some step on: what it is worth, and how it goes.

    Attributes:
        ways: Of each step but the last, how it is cut and how probably it is refused.
    """

    utility: float
    p_ok: float
    ways: tuple[tuple[_Cut, float], ...]


def best_cascade(
    view: View, estimates: Estimates, costs: Floats, order: Sequence[int]
) -> Cascade | None:
    """The chain that is worth more than any target alone; `None` where there is none.

    Args:
        view: The request; its evidence says what grades are worth.
        estimates: Of every candidate.
        costs: Terms of every candidate's utility besides quality, summed.
        order: Indices of the admitted candidates, best first.
    """
    grades = None if view.evidence is None else view.evidence.grades
    if grades is None or len(order) < 2:  # noqa: PLR2004 - nobody to turn to
        return None
    players = _players(view, estimates, costs, order, grades)
    value = view.profile.value
    alone = max(value * player.p + player.cost for player in players)
    best: tuple[Sequence[_Player], _Played] | None = None
    beaten = alone + _WORTH_IT
    for chain in _chains(players, view.limits):
        played = _play(chain, [player.p for player in chain], value)
        if played.utility > beaten:
            best, beaten = (chain, played), played.utility
    return None if best is None else _told(*best)


def _players(
    view: View, estimates: Estimates, costs: Floats, order: Sequence[int], grades: Floats
) -> list[_Player]:
    """Whoever chains are made of, the least probably right first."""
    surest = max(order, key=lambda at: estimates.p_ok[at])
    at_most = dict.fromkeys([*order[: _PLAYERS - 1], surest, *order[:_PLAYERS]])
    chosen = sorted(list(at_most)[:_PLAYERS], key=lambda at: (estimates.p_ok[at], at))
    return [
        _Player(
            target=view.roster.ids[at],
            p=float(estimates.p_ok[at]),
            cost=float(costs[at]),
            total_s=float(estimates.total_s[at]),
            joules=float(estimates.device_joules[at]),
            usd=float(estimates.usd[at]),
            drafts=view.roster.zone[at] == Zone.DEVICE,
            cuts=_allowed(view, at, _cuts(grades[0, at].tolist(), grades[1, at].tolist())),
        )
        for at in chosen
    ]


def _cuts(if_right: Sequence[float], if_wrong: Sequence[float]) -> tuple[_Cut, ...]:
    """Every cut between grades, from P(grade | right) and P(grade | wrong)."""
    known = sorted(  # the worst grade first, which is the same whatever is believed before it
        zip(if_right, if_wrong, Grade, strict=True),
        key=lambda of: of[0] / (of[0] + of[1] + _TINY),
    )
    right, wrong, grades = zip(*known, strict=True)
    return tuple(
        _Cut(tuple(sorted(grades[at:])), sum(right[at:]), sum(right[:at]), sum(wrong[:at]))
        for at in range(1, len(known))
    )


def claim_on(view: View, at: int) -> Claim | None:
    """What is claimed of a target's drafts; `None` where the profile asks for no proof."""
    budget, evidence = view.profile.wrong_at_most, view.evidence
    if budget is None or evidence is None or evidence.grades is None:
        return None
    tallies = evidence.judged[at] if evidence.judged else ()
    return claim_of(tallies or [Tally()] * len(Grade), budget)


def _allowed(view: View, at: int, cuts: tuple[_Cut, ...]) -> tuple[_Cut, ...]:
    """The cuts whose drafts are proved to be as seldom wrong as the profile bears."""
    claim = claim_on(view, at)
    return cuts if claim is None else tuple(c for c in cuts if {*c.accepts} <= {*claim.grades})


def _chains(players: Sequence[_Player], limits: Limits) -> Iterator[tuple[_Player, ...]]:
    """Every chain in which each step costs more than the one before, and all fit the limits."""
    for length in range(2, _LONGEST + 1):
        for chain in combinations(players, length):
            dearer = all(before.cost > after.cost for before, after in pairwise(chain))
            drafted = all(step.drafts and step.cuts for step in chain[:-1])
            if dearer and drafted and _fits(chain, limits):
                yield chain


def _fits(chain: Sequence[_Player], limits: Limits) -> bool:
    """Whether even the worst case, in which every step is taken, stays within the limits."""
    spent = (
        (sum(step.total_s for step in chain), limits.deadline_s),
        (sum(step.joules for step in chain), limits.max_j),
        (sum(step.usd for step in chain), limits.max_usd),
    )
    return all(most is None or amount <= most for amount, most in spent)


def _play(chain: Sequence[_Player], p: Sequence[float], value: float) -> _Played:
    """The best way to go through a chain, given what each of it is believed now."""
    first, draft = chain[0], p[0]
    if len(chain) == 1:
        return _Played(value * draft + first.cost, draft, ())
    later = [_by_draft(of, draft) for of in p[1:]]
    best = _Played(-math.inf, 0.0, ())
    for cut in first.cuts:
        right = draft * cut.refused_right
        on = right + (1 - draft) * cut.refused_wrong
        still = right / (on + _TINY)
        then = _play(chain[1:], [still * r + (1 - still) * w for r, w in later], value)
        given = draft * cut.given_right
        utility = value * given + first.cost + on * then.utility
        if utility > best.utility:
            best = _Played(utility, given + on * then.p_ok, ((cut, on), *then.ways))
    return best


def _by_draft(p: float, draft: float) -> tuple[float, float]:
    """P(right) of a later target where a draft is right, and where it is wrong."""
    if_wrong = p * (1 - ADVERSE)
    return min(MOST, (p - (1 - draft) * if_wrong) / max(draft, _TINY)), if_wrong


def _told(chain: Sequence[_Player], played: _Played) -> Cascade:
    reached, steps = 1.0, []
    for player, (cut, on) in zip(chain, played.ways, strict=False):  # the last one is not cut
        steps.append(CascadeStep(player.target, cut.accepts, reached))
        reached *= on
    steps.append(CascadeStep(chain[-1].target, tuple(Grade), reached))
    taken = [(step.reached, player) for step, player in zip(steps, chain, strict=True)]
    return Cascade(
        tuple(steps),
        utility=played.utility,
        p_ok=played.p_ok,
        total_s=sum(reached * player.total_s for reached, player in taken),
        device_joules=Joules(sum(reached * player.joules for reached, player in taken)),
        usd=Usd(sum(reached * player.usd for reached, player in taken)),
    )
