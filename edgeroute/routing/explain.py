"""A decision with everything that led to it, worked out only when someone asks.

Owns nothing that decides: it decides the same view again and keeps what `decide` leaves out.
"""

from edgeroute.domain.decision import Explanation, Rejection
from edgeroute.routing import decide as deciding
from edgeroute.routing.view import View


def explain(view: View) -> Explanation:
    """Every eligible target in order and every other one with the reason against it."""
    appraisal = deciding.appraise(view)
    return Explanation(
        features=view.features,
        decision=deciding.decide(view),
        ranked=deciding.rank(view, appraisal, len(view.roster)),
        rejections=deciding.rejections(view, appraisal),
    )


def rejections(view: View) -> tuple[Rejection, ...]:
    """Every target that was filtered out, with its sentence, by name."""
    return deciding.rejections(view, deciding.appraise(view))
