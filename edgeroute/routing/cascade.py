"""Whether a smaller model should draft an answer, to be checked, before a bigger one is asked.

Owns how such a chain is valued. A draft costs what it costs; its grade says how probably it is
right (`routing/grading`); it is given where that is worth at least what the rest of the chain is
worth, and else the rest is asked. Whoever could not answer chose a hard question: the next one is
believed less of it (`ADVERSE`). Only eligible targets take part, the costs of all steps together
stay within the caller's limits, and drafts are made on this device alone, where nobody else is
paid or told twice. Drafts of a streamed answer are held back while they are checked, so all of
them are expected to end within what may be held.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple

from edgeroute.domain.decision import Cascade, CascadeStep
from edgeroute.domain.features import Features
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.units import Joules, ModelId, Usd
from edgeroute.domain.verification import Grade
from edgeroute.routing.beliefs import MOST
from edgeroute.routing.candidates import Floats, Roster
from edgeroute.routing.estimate import Estimates, expected_output
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
        told_s: Seconds from its first token to its last.
    """

    at: int
    target: ModelId
    p: float
    cost: float
    total_s: float
    told_s: float
    joules: float
    usd: float
    drafts: bool


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
    players, value = _players(view, estimates, costs, order), view.profile.value
    alone = max(value * player.p + player.cost for player in players)
    best: tuple[Sequence[_Player], _Played] | None = None
    beaten = alone + _WORTH_IT
    cuts = _CutsOf(view, grades)
    for bound, chain in _hopeful(players, view, beaten):
        if bound <= beaten:  # so are all that follow
            break
        played = _play(chain, [player.p for player in chain], value, cuts)
        if played.utility > beaten:
            best, beaten = (chain, played), played.utility
    return None if best is None else _told(*best)


def may_hold(profile: Profile, features: Features, roster: Roster) -> bool:
    """Whether a draft of a streamed answer could be held back until its end.

    Told from lengths and speeds alone: it is asked before anything of the prompt is read for it.
    """
    if len(roster) < 2:  # noqa: PLR2004 - nobody to turn to
        return False
    told_s = expected_output(features) * roster.decode_s
    return bool(((told_s <= profile.hold_s) & (roster.zone == Zone.DEVICE)).any())


def _players(
    view: View, estimates: Estimates, costs: Floats, order: Sequence[int]
) -> list[_Player]:
    """Whoever chains are made of, the least probably right first."""
    surest = max(order, key=lambda at: estimates.p_ok[at])
    at_most = dict.fromkeys([*order[: _PLAYERS - 1], surest, *order[:_PLAYERS]])
    chosen = sorted(list(at_most)[:_PLAYERS], key=lambda at: (estimates.p_ok[at], at))
    return [
        _Player(
            at=at,
            target=view.roster.ids[at],
            p=float(estimates.p_ok[at]),
            cost=float(costs[at]),
            total_s=float(estimates.total_s[at]),
            told_s=float(estimates.total_s[at] - estimates.ttft_s[at]),
            joules=float(estimates.device_joules[at]),
            usd=float(estimates.usd[at]),
            drafts=bool(view.roster.zone[at] == Zone.DEVICE),
        )
        for at in chosen
    ]


class _CutsOf:
    """What drafts may be given at: all grades but the worst, the two worst, and so on.

    Args:
        grades: What they are worth, of every candidate (`Grading.likelihoods`).
    """

    def __init__(self, view: View, grades: Floats) -> None:
        self._view = view
        self._grades = grades
        self._known: dict[int, tuple[_Cut, ...]] = {}

    def of(self, player: _Player) -> tuple[_Cut, ...]:
        """Those of one player."""
        at = player.at
        if at not in self._known:
            if_right, if_wrong = map(tuple, self._grades[:, at].tolist())
            self._known[at] = _allowed(self._view, at, _cuts(if_right, if_wrong))
        return self._known[at]


@lru_cache(1024)  # what grades are worth changes with verdicts, not with requests
def _cuts(if_right: tuple[float, ...], if_wrong: tuple[float, ...]) -> tuple[_Cut, ...]:
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


def _hopeful(
    players: Sequence[_Player], view: View, beaten: float
) -> list[tuple[float, tuple[_Player, ...]]]:
    """Every chain that could beat what was reached, with what it is worth at most, best first.

    Each step costs more than the one before, all fit the limits, and drafts may be held back.
    """
    found = []
    for length in range(2, _LONGEST + 1):
        for chain in combinations(players, length):
            bound = _at_most(chain, view.profile.value)
            if bound <= beaten or not all(step.drafts for step in chain[:-1]):
                continue
            dearer = all(before.cost > after.cost for before, after in pairwise(chain))
            if dearer and _fits(chain, view):
                found.append((bound, chain))
    return sorted(found, key=lambda of: -of[0])


def _at_most(chain: Sequence[_Player], value: float) -> float:
    """What a chain would be worth if checks told right from wrong without fail.

    No real check tells more, so no chain is worth more; most of them are ruled out by it.
    """
    worth = 0.0
    for at in range(len(chain) - 1, -1, -1):
        player = chain[at]
        p = player.p * (1 - ADVERSE) ** at  # whoever came before was wrong
        worth = p * value + player.cost + (1 - p) * max(0.0, worth)
    return worth


def _fits(chain: Sequence[_Player], view: View) -> bool:
    """Whether even the worst case, in which every step is taken, stays within the limits."""
    limits = view.limits
    return (
        (not view.streamed or sum(step.told_s for step in chain[:-1]) <= view.hold_s)
        and _within(limits.deadline_s, (step.total_s for step in chain))
        and _within(limits.max_j, (step.joules for step in chain))
        and _within(limits.max_usd, (step.usd for step in chain))
    )


def _within(most: float | None, amounts: Iterable[float]) -> bool:
    return most is None or sum(amounts) <= most


def _play(chain: Sequence[_Player], p: Sequence[float], value: float, cuts: _CutsOf) -> _Played:
    """The best way to go through a chain of at least two, given what each is believed now."""
    if len(chain) == 2:  # noqa: PLR2004
        return _play_pair(chain, p, value, cuts)
    first, draft = chain[0], p[0]
    later = [_by_draft(of, draft) for of in p[1:]]
    best = _Played(-math.inf, 0.0, ())
    for cut in cuts.of(first):
        right = draft * cut.refused_right
        on = right + (1 - draft) * cut.refused_wrong
        still = right / (on + _TINY)
        now = [still * r + (1 - still) * w for r, w in later]
        then = _play(chain[1:], now, value, cuts)
        given = draft * cut.given_right
        utility = value * given + first.cost + on * then.utility
        if utility > best.utility:
            best = _Played(utility, given + on * then.p_ok, ((cut, on), *then.ways))
    return best


def _play_pair(
    chain: Sequence[_Player], p: Sequence[float], value: float, cuts: _CutsOf
) -> _Played:
    """The same of one draft and the last step. Nearly all time goes here, so nothing is made."""
    first, last = chain
    draft = p[0]
    if_right, if_wrong = _by_draft(p[1], draft)
    best = _Played(-math.inf, 0.0, ())
    for cut in cuts.of(first):
        right = draft * cut.refused_right
        on = right + (1 - draft) * cut.refused_wrong
        still = right / (on + _TINY)
        p_last = still * if_right + (1 - still) * if_wrong
        given = draft * cut.given_right
        utility = value * given + first.cost + on * (value * p_last + last.cost)
        if utility > best.utility:
            best = _Played(utility, given + on * p_last, ((cut, on),))
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
