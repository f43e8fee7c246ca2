"""A large model is not loaded twice where one copy serves all.

Owns what a second copy costs besides its load: memory that other models then do not get. They wait
for loads of their own in the share of cases in which it would have been theirs: its share of the
budget. Whoever holds the first copy and is too busy, or goes away, makes the second one worth it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.privacy import Zone
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.routing.candidates import Floats, Roster

_HELD = (Warmth.WARM, Warmth.LOADING)


def first_copies(roster: Roster, admitted: NDArray[np.bool_]) -> Mapping[int, int]:
    """Models that are not in memory here and are at a peer who may answer: row by row."""
    peers = (admitted & (roster.zone == Zone.PEER)).nonzero()[0].tolist()
    held = {roster.identities[at]: at for at in peers if roster.targets[at].warmth in _HELD}
    if not held:
        return {}
    return {
        at: held[identity]
        for at, identity in enumerate(roster.identities)
        if roster.zone[at] == Zone.DEVICE
        and identity in held
        and roster.targets[at].warmth not in _HELD
    }


def second_copy_s(roster: Roster, copies: Mapping[int, int], budget: Bytes) -> Floats:
    """Seconds that others will wait for each second copy; 0 for all that is none."""
    seconds = np.zeros(len(roster))
    rows = list(copies)
    share = np.minimum(roster.bytes_needed[rows] / max(budget, 1), 1.0)
    seconds[rows] = roster.load_s[rows] * share
    return seconds


def what_of_copies(roster: Roster, winner: ModelId, copies: Mapping[int, int]) -> str:
    """What a decision for this winner means for copies; empty where it means nothing."""
    at = roster.ids.index(winner)
    for own, first in copies.items():
        if own == at:
            return f", a second copy besides {roster.ids[first]}"
        if roster.identities[own] == roster.identities[at]:
            return f", which spares a second copy here ({roster.ids[own]})"
    return ""
