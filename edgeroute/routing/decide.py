"""The decision: filters first, then preference; a ranked plan or a refusal, with the reason.

Owns the order of the steps: estimate -> screen -> score -> rank -> say why. Every step works on
all candidates at once; objects are made only for the few that make up the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.decision import Cascade, Decision, Estimate, Ranked, Refusal, Rejection, Term
from edgeroute.domain.energy import NOTHING, Energy
from edgeroute.domain.privacy import Zone
from edgeroute.domain.target import Target
from edgeroute.domain.units import Joules, Usd
from edgeroute.routing import constraints, exploring, policy, reasons, score
from edgeroute.routing.candidates import Floats
from edgeroute.routing.cascade import best_cascade
from edgeroute.routing.estimate import Estimates, estimate
from edgeroute.routing.second_copy import first_copies, second_copy_s, what_of_copies
from edgeroute.routing.two_choices import draw_between
from edgeroute.routing.view import View

_PLAN_LENGTH = 8
"""Targets of a plan. More than eight failures in a row are no longer a question of routing."""
_TERM_NAMES = (*(objective.name for objective in score.OBJECTIVES), score.PREFERENCE)


@dataclass(frozen=True, slots=True)
class Appraisal:
    """Every candidate, estimated, screened and scored.

    Attributes:
        codes: The filter that each fails first (see `constraints.screen`).
        terms: Addends of the utility, shape (objectives, candidates).
        utility: Their sum.
        order: Indices of the admitted candidates, best first; equals by name, and peers that are
            alike as they were drawn. Where the request prefers this device, whatever runs here
            comes first.
        copies: Models that a peer holds already (`second_copy.first_copies`).
    """

    estimates: Estimates
    codes: NDArray[np.int8]
    terms: Floats
    utility: Floats
    order: NDArray[np.intp]
    copies: Mapping[int, int]


def decide(view: View) -> Decision | Refusal:
    """Rank the eligible targets, or refuse and say what would have to change.

    Pure: the same view, whatever the order of its candidates, gives the same answer.
    """
    appraisal = appraise(view)
    if not appraisal.order.size:
        return _refuse(view, appraisal)
    other = exploring.whom_to_try(view, appraisal.estimates, appraisal.utility, appraisal.order)
    share = 0.0 if other is None else view.profile.explore
    if other is not None and exploring.is_drawn(view):
        return _explored(view, appraisal, other)
    plan = rank(view, appraisal, _PLAN_LENGTH)
    flip = reasons.flip(view.profile, plan)
    cascade = _cascade(view, appraisal)
    if cascade is None:
        copies = what_of_copies(view.roster, plan[0].target, appraisal.copies)
        return Decision(plan, reasons.reason(view, plan, copies), flip, propensity=1.0 - share)
    reason = reasons.of_cascade(view, cascade, plan[0])
    return Decision(plan, reason, flip, cascade, propensity=1.0 - share)


def _explored(view: View, appraisal: Appraisal, at: int) -> Decision:
    """The plan with somebody before the best, to learn of it; nothing is drafted then."""
    others = appraisal.order[appraisal.order != at]
    plan = rank(view, replace(appraisal, order=np.array([at, *others])), _PLAN_LENGTH)
    share = view.profile.explore
    reason, flip = reasons.of_exploring(plan, share), reasons.of_another_draw(plan)
    return Decision(plan, reason, flip, explored=True, propensity=share)


def _cascade(view: View, appraisal: Appraisal) -> Cascade | None:
    """A chain among the targets of the plan, where it is worth more than the first of them.

    Where the owner's rules prefer somebody, that is who is asked. Where this device is preferred,
    a chain does not leave it.
    """
    if (
        view.features.checkable is None
        or view.pinned_model is not None
        or any(r.prefer for r in view.rules)
    ):
        return None
    costs = appraisal.terms[1:].sum(axis=0)
    order = appraisal.order[:_PLAN_LENGTH]
    if view.limits.on_device == "prefer":
        order = order[view.roster.zone[order] == Zone.DEVICE]
    return best_cascade(view, appraisal.estimates, costs, order.tolist())


def appraise(view: View) -> Appraisal:
    """Estimate, screen and score every candidate."""
    estimates = estimate(view.features, view.roster, view.evidence, view.held)
    codes = constraints.screen(view, estimates)
    is_admitted = codes == constraints.ADMITTED
    copies = first_copies(view.roster, is_admitted)
    if copies:
        wasted_s = second_copy_s(view.roster, copies, view.budget_bytes)
        estimates = replace(estimates, everybody_s=estimates.everybody_s + wasted_s)
    terms = score.terms(view.profile, estimates, _preferred(view))
    utility: Floats = terms.sum(axis=0)
    admitted = is_admitted.nonzero()[0]
    order = admitted[(-utility[admitted]).argsort(kind="stable")]
    alone_s = estimates.total_s - view.roster.queue_s
    order = draw_between(view.roster, alone_s, utility, order, exploring.rest_of(view))
    if view.limits.on_device == "prefer":
        order = order[(view.roster.zone[order] > Zone.DEVICE).argsort(kind="stable")]
    return Appraisal(estimates, codes, terms, utility, order, copies)


def _preferred(view: View) -> Floats | None:
    """What the owner's rules add to each candidate."""
    if not any(rule.prefer for rule in view.rules):
        return None
    named = [view.roster.place(at).names for at in range(len(view.roster))]
    return np.array([policy.bonus(view.rules, names) for names in named])


def rank(view: View, appraisal: Appraisal, length: int) -> tuple[Ranked, ...]:
    """The best admitted candidates as nouns, at most `length` of them."""
    best = appraisal.order[:length]
    of = appraisal.estimates
    columns = zip(
        [view.roster.targets[at] for at in best.tolist()],
        appraisal.utility[best].tolist(),
        appraisal.terms[:, best].T.tolist(),
        of.p_ok[best].tolist(),
        of.ttft_s[best].tolist(),
        of.total_s[best].tolist(),
        of.device_joules[best].tolist(),
        of.usd[best].tolist(),
        of.device_range[:, best].T.tolist(),
        of.remote_joules[:, best].T.tolist(),
        (of.everybody_s - of.total_s)[best].tolist(),
        of.held_tokens[best].tolist(),
        strict=True,
    )
    return tuple(
        Ranked(
            target.id,
            target.zone,
            utility,
            tuple(map(Term, _TERM_NAMES, terms)),  # the last has none where no rule prefers any
            Estimate(
                p_ok,
                ttft_s,
                total_s,
                Joules(joules),
                Usd(usd),
                *_energies(target, joules, device_range, remote),
                displaced_s,
                int(held_tokens),
            ),
        )
        for (
            target,
            utility,
            terms,
            p_ok,
            ttft_s,
            total_s,
            joules,
            usd,
            device_range,
            remote,
            displaced_s,
            held_tokens,
        ) in columns
    )


def _energies(
    target: Target, joules: float, device_range: list[float], remote: list[float]
) -> tuple[Energy, Energy]:
    """Joules of this device, and of everybody."""
    if target.zone is Zone.DEVICE:
        quality = "model" if target.energy is None else target.energy.quality
        low, high = device_range
        device = Energy(joules, low, high, quality)
    else:
        device = NOTHING
    if target.remote is None:
        return device, device
    least, likely, most = remote
    return device, device + Energy(likely, least, most, "model")


def rejections(view: View, appraisal: Appraisal) -> tuple[Rejection, ...]:
    """Every candidate that was filtered out, with its sentence, by name."""
    return tuple(
        constraints.rejection(view, appraisal.estimates, int(at), int(appraisal.codes[at]))
        for at in (appraisal.codes != constraints.ADMITTED).nonzero()[0]
    )


def _refuse(view: View, appraisal: Appraisal) -> Refusal:
    failed = constraints.nearest(view, appraisal.estimates)
    if not failed:
        return Refusal(
            "there is no model to answer", "link one: edgeroute models link FILE.gguf", ()
        )
    count = len(view.roster)
    among = "" if count == 1 else f"none of {count} targets is eligible; nearest: "
    change = " and ".join(rejection.change for rejection in failed)
    return Refusal(f"{among}{failed[0].reason}", change, rejections(view, appraisal))
