"""Asking another target than the best now and then, to learn what it is worth today.

What nobody asks is never judged: a model that became better, or was believed to be worse by bad
luck, would be left for good. Owns who may be asked so, and how it is chosen; the share is the
profile's, and small. What is explored is free, warm, on this device and among those that are
eligible anyway: nobody waits for a load, pays, drains a battery or may miss a deadline for it. The
one that may be worth the most is chosen, by the upper end of what is believed of it.
"""

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.capability import Capability
from edgeroute.domain.privacy import Zone
from edgeroute.routing.beliefs import LEAST, MOST, STRENGTH
from edgeroute.routing.candidates import Floats
from edgeroute.routing.consumption import NINE_IN_TEN
from edgeroute.routing.estimate import Estimates, likely_outputs
from edgeroute.routing.view import View


def whom_to_try(
    view: View,
    estimates: Estimates,
    utility: Floats,
    order: NDArray[np.intp],
) -> int | None:
    """Who is asked instead of the best where the draw says so; `None` where nobody may be.

    Whoever could not be worth more than the best is not: no answer of its would change anything.

    Args:
        view: The request.
        estimates: Of every candidate.
        utility: Of every candidate.
        order: Indices of the admitted candidates, best first.
    """
    if len(order) < 2 or not _may_explore(view):  # noqa: PLR2004
        return None
    others = order[1:]
    others = others[_risks_nothing(view, estimates)[others]]
    if not others.size:
        return None
    gain = view.profile.value * (_upper(view, estimates)[others] - estimates.p_ok[others])
    could_be = utility[others] + gain
    best = int(could_be.argmax())  # of equals the one that is ranked first
    return int(others[best]) if could_be[best] > utility[order[0]] else None


def is_drawn(view: View) -> bool:
    """Whether this request is one of those that explore."""
    return view.draw < view.profile.explore


def rest_of(view: View) -> float:
    """What the draw leaves for other choices: uniform in 0..1, whether it explores or not."""
    share, draw = view.profile.explore, view.draw
    return draw / share if draw < share else (draw - share) / (1.0 - share)


def _may_explore(view: View) -> bool:
    """Whether anybody would be wronged by an answer that is expected to be worth a little less.

    A conversation stays where it is read, and vectors of another model are no use beside others.
    """
    chosen = view.pinned_model is not None or any(rule.prefer for rule in view.rules)
    begun = any(each.is_begun for each in view.held)
    begun = begun or Capability.EMBED in view.features.needs
    return view.profile.explore > 0 and not (chosen or begun or view.power.on_battery)


def _risks_nothing(view: View, estimates: Estimates) -> NDArray[np.bool_]:
    """Who is on this device, free and warm, and in time with a long answer too."""
    roster, deadline_s = view.roster, view.limits.deadline_s
    idle: NDArray[np.bool_] = (
        (roster.zone == Zone.DEVICE) & (estimates.usd == 0) & (roster.load_s == 0)
    )
    if deadline_s is None:
        return idle
    _, long = likely_outputs(view.features)
    return idle & (estimates.ttft_s + long * roster.decode_s <= deadline_s)


def _upper(view: View, estimates: Estimates) -> Floats:
    """The upper end of what P(acceptable) may be: that of the cells' interval, near enough."""
    evidence, p = view.evidence, estimates.p_ok
    weight: float | Floats = STRENGTH if evidence is None else STRENGTH + evidence.ok + evidence.bad
    return np.clip(p + NINE_IN_TEN * np.sqrt(p * (1.0 - p) / (weight + 1.0)), LEAST, MOST)
