"""Of peers that are alike, one of two that are drawn: the better one (Mitzenmacher 2001).

Several machines that all know the same, a moment late, would else all go to the same least busy
one. Two are enough: the busiest of n then has log log n more than the others, not log n. Nothing is
drawn between a peer and this device, whose queue is known to this machine at every moment.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.privacy import Zone
from edgeroute.routing.candidates import Floats, Roster

_ALIKE: Final = 1.25
"""Of two machines with the same file, the slower one's seconds over the faster one's, at most."""


def draw_between(
    roster: Roster, alone_s: Floats, utility: Floats, order: NDArray[np.intp], draw: float
) -> NDArray[np.intp]:
    """The order with whoever would come before the winner of the draw put right behind it.

    Args:
        roster: Says who has the same file.
        alone_s: Seconds that each would take with nothing queued.
        utility: Of each.
        order: Admitted candidates, best first.
        draw: Uniform in 0..1.
    """
    alike = _alike(roster, alone_s, order)
    if len(alike) < 2:  # noqa: PLR2004
        return order
    first, second = pair(len(alike), draw)
    winner = alike[min(first, second)]  # they are in order, and equals as they were drawn
    if utility[alike[first]] == utility[alike[second]]:
        winner = alike[first]
    behind = [at for at in alike[: alike.index(winner)] if at != winner]
    ranked = [at for at in order.tolist() if at not in behind]
    place = ranked.index(winner) + 1
    return np.array([*ranked[:place], *behind, *ranked[place:]], dtype=np.intp)


def _alike(roster: Roster, alone_s: Floats, order: NDArray[np.intp]) -> list[int]:
    """The best peer, and those that have the same file and are about as fast, in their order.

    Who has a slot for us comes before who has none: what was lent is nobody else's.
    """
    peers = order[roster.zone[order] == Zone.PEER].tolist()
    if not peers:
        return []
    best = peers[0]
    alike = [
        at
        for at in peers
        if roster.identities[at] == roster.identities[best]
        and alone_s[at] <= _ALIKE * alone_s[best]
        and alone_s[best] <= _ALIKE * alone_s[at]
    ]
    return [at for at in alike if not roster.targets[at].queued_tokens] or alike


def pair(count: int, draw: float) -> Sequence[int]:
    """Two different ones of so many, each ordered pair as likely as any other."""
    number = min(int(draw * count * (count - 1)), count * (count - 1) - 1)
    first, other = divmod(number, count - 1)
    return first, other + (other >= first)
