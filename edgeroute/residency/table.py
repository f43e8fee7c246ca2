"""The states of a model in memory, and every way from one to another, as one table.

Rules: a transition that is not in the table does not exist. What the shell reports late or twice
finds no transition and is ignored; what the pool itself does without one is an error of ours.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from edgeroute.domain.target import Warmth


class Cause(Enum):
    """Why a model changes its state."""

    START = auto()
    """A worker is spawned."""
    LOADED = auto()
    """The worker is ready."""
    STOP = auto()
    """The worker is told to end."""
    GONE = auto()
    """The worker's process is gone, asked to or not."""
    RECLAIMED = auto()
    """Its bytes are back, or given up."""
    BACK_OFF = auto()
    """Its bytes are back, and it is too early to try again."""
    RETRY = auto()
    """It may be tried again."""


class IllegalTransition(RuntimeError):
    """The pool did what the table does not know; nothing was changed."""


TRANSITIONS: Mapping[tuple[Warmth, Cause], Warmth] = MappingProxyType(
    {
        (Warmth.COLD, Cause.START): Warmth.LOADING,
        (Warmth.LOADING, Cause.LOADED): Warmth.WARM,
        (Warmth.LOADING, Cause.STOP): Warmth.DRAINING,
        (Warmth.WARM, Cause.STOP): Warmth.DRAINING,
        (Warmth.LOADING, Cause.GONE): Warmth.RECLAIMING,
        (Warmth.WARM, Cause.GONE): Warmth.RECLAIMING,
        (Warmth.DRAINING, Cause.GONE): Warmth.RECLAIMING,
        (Warmth.RECLAIMING, Cause.RECLAIMED): Warmth.COLD,
        (Warmth.RECLAIMING, Cause.BACK_OFF): Warmth.FAILED,
        (Warmth.FAILED, Cause.RETRY): Warmth.COLD,
    }
)


def allows(state: Warmth, cause: Cause) -> bool:
    """Whether there is such a transition."""
    return (state, cause) in TRANSITIONS


def after(state: Warmth, cause: Cause) -> Warmth:
    """The state that follows.

    Raises:
        IllegalTransition: There is none.
    """
    try:
        return TRANSITIONS[state, cause]
    except KeyError:
        raise IllegalTransition(f"a {state.name} model cannot {cause.name}") from None
