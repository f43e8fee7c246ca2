"""Why the winner won, in one sentence, and what would have made the runner-up win, in another.

Owns words alone: every number in them is in the plan.
"""

import math
from collections.abc import Sequence

from edgeroute.domain.decision import Cascade, Estimate, Ranked
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.units import format_seconds
from edgeroute.routing.score import OBJECTIVES, PREFERENCE, Objective
from edgeroute.routing.view import View

_MOST = 10.0
"""A weight that would have to change more than tenfold says less than a P(ok) would."""


def reason(view: View, plan: Sequence[Ranked], copies: str) -> str:
    """Why the first of a plan is the first, against the second where there is one.

    `copies` is what that means for copies of its model (see `second_copy`).

    For example: `qwen-0.5b: best for coding (P(ok) .62) in 3.1 s; smollm2 is 2.2 s faster but has
    P(ok) .31`.
    """
    winner = plan[0]
    load_s = view.roster.load_s[view.roster.ids.index(winner.target)]
    loading = f", {format_seconds(load_s)} of it loading" if load_s > 0 else ""
    expected = f"P(ok) {_share(winner.estimate.p_ok)}"
    took = format_seconds(winner.estimate.total_s)
    held = winner.estimate.held_tokens
    knowing = f", {held} of {view.features.prompt_tokens} prompt tokens in memory" if held else ""
    sentence = (
        f"{winner.target}: {_why(view, plan)} ({expected}) in {took}{loading}{knowing}{copies}"
    )
    return f"{sentence}; {_contrast(winner, plan[1])}" if len(plan) > 1 else sentence


def of_cascade(view: View, cascade: Cascade, alone: Ranked) -> str:
    """Why a chain comes before any target alone.

    For example: `smollm2 drafts for extract, and where checks fail (31%) qwen-1.5b answers
    (P(ok) .88) in 2.1 s; qwen-1.5b alone has P(ok) .91 in 4.0 s`.
    """
    first, *others = cascade.steps
    task = "" if view.features.task is Task.UNKNOWN else f" for {view.features.task.words}"
    held = f", held back for {format_seconds(view.hold_s)} at most" if view.streamed else ""
    then = ", then ".join(f"{step.target} ({step.reached:.0%})" for step in others)
    expected = f"P(ok) {_share(cascade.p_ok)} in {format_seconds(cascade.total_s)}"
    instead = f"P(ok) {_share(alone.estimate.p_ok)} in {format_seconds(alone.estimate.total_s)}"
    return (
        f"{first.target} drafts{task}{held}, where checks fail {then}: {expected}; "
        f"{alone.target} alone has {instead}"
    )


def of_exploring(plan: Sequence[Ranked], share: float) -> str:
    """Why somebody comes before the best.

    For example: `smollm2: asked to learn of it, as 2% of such requests are (P(ok) .31) in 400 ms;
    qwen-0.5b is expected to be worth more (P(ok) .62)`.
    """
    tried, best = plan[0], plan[1]
    took = format_seconds(tried.estimate.total_s)
    expected = f"(P(ok) {_share(tried.estimate.p_ok)}) in {took}"
    instead = f"{best.target} is expected to be worth more (P(ok) {_share(best.estimate.p_ok)})"
    learnt = f"asked to learn of it, as {100 * share:.2g}% of such requests are"
    return f"{tried.target}: {learnt} {expected}; {instead}"


def of_another_draw(plan: Sequence[Ranked]) -> str:
    """What would let the second of a plan come first where the first was drawn."""
    return f"{plan[1].target} would be chosen if it had been drawn"


def flip(profile: Profile, plan: Sequence[Ranked]) -> str:
    """What would let the second of a plan beat the first; empty where nothing single would.

    For example: `smollm2 would beat qwen-0.5b if a second cost 2.3x as much`.
    """
    if len(plan) < 2:  # noqa: PLR2004
        return ""
    winner, runner_up = plan[0], plan[1]
    gap = winner.utility - runner_up.utility
    if gap < 0:
        preferred = f"{runner_up.target} would be chosen without on_device = 'prefer'"
        return of_another_draw(plan) if winner.zone is Zone.PEER else preferred
    if gap == 0:
        return f"{runner_up.target} scores the same as {winner.target}; the name decided"
    would = f"{runner_up.target} would beat {winner.target} if"
    tipping = tipping_point(winner, runner_up)
    if tipping is not None:
        return f"{would} {tipping[0].unit} cost {_times(tipping[1])}"
    now = runner_up.estimate.p_ok
    if gap <= profile.value * (1 - now):
        return (
            f"{would} its P(ok) were {_share(now + gap / profile.value)} instead of {_share(now)}"
        )
    return ""


def tipping_point(winner: Ranked, runner_up: Ranked) -> tuple[Objective, float] | None:
    """The cost whose weight must change least for both to be worth the same, and by which factor.

    Utility is linear in each weight, so scaling one by the factor closes the gap exactly. `None`
    where no cost would do so within a tenfold change.
    """
    gap = winner.utility - runner_up.utility
    tippings: list[tuple[Objective, float]] = []
    # Not strict: what a rule prefers is the one addend that no weight scales.
    for objective, ours, theirs in zip(OBJECTIVES, winner.terms, runner_up.terms, strict=False):
        advantage = theirs.value - ours.value
        if not objective.unit or advantage == 0:
            continue
        factor = 1 + gap / advantage
        if 1 / _MOST <= factor <= _MOST:
            tippings.append((objective, factor))
    return min(tippings, key=lambda tipping: abs(math.log(tipping[1])), default=None)


def _why(view: View, plan: Sequence[Ranked]) -> str:
    if view.pinned_model is not None:
        return "asked for by name"
    if len(plan) == 1:
        return "the only eligible target"
    if plan[0].utility < plan[1].utility:
        if plan[0].zone is Zone.PEER:
            return "drawn among peers that are alike"
        return "on this device, as the request prefers"
    task = view.features.task
    return "best overall" if task is Task.UNKNOWN else f"best for {task.words}"


def _contrast(winner: Ranked, runner_up: Ranked) -> str:
    """The runner-up's greatest advantage and its greatest drawback."""
    gains = {
        theirs.name: theirs.value - ours.value
        for ours, theirs in zip(winner.terms, runner_up.terms, strict=True)
    }
    best, worst = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)
    told = []
    if gains[best] > 0:
        told.append(_difference(best, gains[best], winner.estimate, runner_up.estimate))
    if gains[worst] < 0:
        told.append(_difference(worst, gains[worst], winner.estimate, runner_up.estimate))
    return f"{runner_up.target} {' but '.join(told) or 'scores the same'}"


def _difference(term: str, gain: float, winner: Estimate, other: Estimate) -> str:
    if term == "quality":
        return f"has P(ok) {_share(other.p_ok)}"
    if term == "time":
        return _time_difference(winner, other)
    if term == PREFERENCE:
        return "is preferred" if gain > 0 else "is not preferred"
    if term == "energy":
        joules = other.device_joules - winner.device_joules
        return f"takes {abs(joules):.3g} J {'less' if joules < 0 else 'more'}"
    usd = other.usd - winner.usd
    return f"costs ${abs(usd):.2g} {'less' if usd < 0 else 'more'}"


def _time_difference(winner: Estimate, other: Estimate) -> str:
    own = other.total_s - winner.total_s
    others = other.displaced_s - winner.displaced_s
    if abs(others) > abs(own):
        return f"makes others wait {format_seconds(abs(others))} {'less' if others < 0 else 'more'}"
    return f"is {format_seconds(abs(own))} {'faster' if own < 0 else 'slower'}"


def _share(probability: float) -> str:
    """`.62`, as probabilities are printed."""
    return f"{probability:.2f}".removeprefix("0")


def _times(factor: float) -> str:
    if 0.5 < factor < 2:  # noqa: PLR2004 - nearer than twofold reads better as a percentage
        return f"{abs(factor - 1):.1%} {'more' if factor > 1 else 'less'}"
    return f"{factor:.2g}x as much"
