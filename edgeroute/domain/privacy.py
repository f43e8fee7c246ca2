"""How private a text is, and how far away a target is.

Owns the order of labels and zones and what has no label; which label may go to which zone is
`routing/policy`'s.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Label(IntEnum):
    """How private a request is; labels are combined with `max`."""

    PUBLIC = 0
    INTERNAL = 1
    PRIVATE = 2
    SECRET = 3

    @property
    def word(self) -> str:
        """The label as users write it."""
        return self.name.lower()


UNLABELLED: Final = Label.PRIVATE
"""What a request counts as that has no label."""


class Zone(IntEnum):
    """Where a target runs; locality is configured, never inferred from an address."""

    DEVICE = 0
    PEER = 1
    CLOUD = 2

    @property
    def word(self) -> str:
        """The zone as users write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What texts demand: the least label, and the types of what was found, sorted."""

    label: Label
    types: tuple[str, ...]
