"""A large model is not loaded twice where one copy serves all.

Owns what a first copy elsewhere spares, and what a second one costs besides its load: memory that
other models then do not get. They wait for loads of their own in the share of cases in which it
would have been theirs: its share of the budget. Whoever holds the first copy and is too busy, or
goes away, makes the second one worth it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.routing.candidates import Floats, Roster

_HELD = (Warmth.WARM, Warmth.LOADING)
_USUAL_TOKENS = 64
"""Of an answer that nobody knows yet."""


def first_copies(roster: Roster, admitted: NDArray[np.bool_]) -> Mapping[int, int]:
    """Models that are not in memory here and are at a peer who may answer: row by row."""
    peers = (admitted & (roster.zone == Zone.PEER)).nonzero()[0].tolist()
    held = {roster.identities[at]: at for at in peers if roster.targets[at].warmth in _HELD}
    if not held:
        return {}
    return {
        at: held[roster.identities[at]]
        for at in _rows_in(roster, Zone.DEVICE)
        if roster.identities[at] in held and roster.targets[at].warmth not in _HELD
    }


def second_copy_s(roster: Roster, copies: Mapping[int, int], budget: Bytes) -> Floats:
    """Seconds that others will wait for each second copy; 0 for all that is none."""
    seconds = np.zeros(len(roster))
    rows = list(copies)
    share = np.minimum(roster.bytes_needed[rows] / max(budget, 1), 1.0)
    seconds[rows] = roster.load_s[rows] * share
    return seconds


def served_by_peers(roster: Roster) -> Mapping[ModelId, float]:
    """Seconds that an answer ends later where a peer gives it than where a warm model here does.

    Of this device's models which a peer has in memory, has a slot for and may be asked private
    questions of. Whoever runs on battery offers nothing, and is not among the targets.
    """
    peers = {
        roster.identities[at]: at
        for at in _rows_in(roster, Zone.PEER)
        if roster.targets[at].warmth is Warmth.WARM
        and not roster.targets[at].queued_tokens
        and not roster.retry_in_s[at]
        and roster.ceiling[at] >= Label.PRIVATE
    }
    if not peers:
        return {}
    return {
        roster.ids[at]: _later_s(roster, at, peers[roster.identities[at]])
        for at in _rows_in(roster, Zone.DEVICE)
        if roster.identities[at] in peers
    }


def _rows_in(roster: Roster, zone: Zone) -> list[int]:
    """By one comparison of arrays: asked row by row, 300 targets took 1.3 ms."""
    return np.flatnonzero(roster.zone == zone).tolist()


def _later_s(roster: Roster, own: int, peer: int) -> float:
    slower_s = _USUAL_TOKENS * (roster.decode_s[peer] - roster.decode_s[own])
    return float(roster.targets[peer].rates.latency_s + max(slower_s, 0.0))


def what_of_copies(roster: Roster, winner: ModelId, copies: Mapping[int, int]) -> str:
    """What a decision for this winner means for copies; empty where it means nothing."""
    at = roster.ids.index(winner)
    for own, first in copies.items():
        if own == at:
            return f", a second copy besides {roster.ids[first]}"
        if roster.identities[own] == roster.identities[at]:
            return f", which spares a second copy here ({roster.ids[own]})"
    return ""
