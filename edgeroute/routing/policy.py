"""Which label may go where.

Owns the privacy rules and nothing else: they are filters, and no score can buy them. `secret`
never leaves the device, whatever a target is said to be allowed to see; anything else goes where
the target's own `max_label` admits it and no farther than the request and its profile allow.
"""

from edgeroute.domain.privacy import UNLABELLED, Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits


def ceiling(zone: Zone, max_label: Label) -> Label:
    """The most private label that a target may see."""
    return max_label if zone is Zone.DEVICE else min(max_label, Label.PRIVATE)


def farthest(limits: Limits, profile: Profile) -> Zone:
    """The zone that a request may go to at most."""
    return Zone.DEVICE if limits.on_device else profile.farthest


def never(zone: Zone, max_label: Label, profile: Profile) -> tuple[str, str] | None:
    """Why a target is never asked by requests without a label, and what would change that.

    Args:
        zone: Where the target runs.
        max_label: The most private label that it may see.
        profile: The one that holds where a request names none.

    Returns:
        Two sentences, or `None` where it may be asked.
    """
    seen = ceiling(zone, max_label)
    if zone > profile.farthest:
        reason = f"profile {profile.name} goes no farther than {profile.farthest.word}"
        return reason, f"choose a profile with farthest = '{zone.word}'"
    if seen < UNLABELLED:
        usual = UNLABELLED.word
        reason = f"it may see up to {seen.word}, and a request without a label is {usual}"
        return reason, f"set max_label = '{usual}', or label requests {seen.word}"
    return None
