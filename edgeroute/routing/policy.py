"""Which label may go where.

Owns the privacy rules and nothing else: they are filters, and no score can buy them. `secret`
never leaves the device, whatever a target is said to be allowed to see; anything else goes where
the target's own `max_label` admits it and no farther than the request and its profile allow.
"""

from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits


def ceiling(zone: Zone, max_label: Label) -> Label:
    """The most private label that a target may see."""
    return max_label if zone is Zone.DEVICE else min(max_label, Label.PRIVATE)


def farthest(limits: Limits, profile: Profile) -> Zone:
    """The zone that a request may go to at most."""
    return Zone.DEVICE if limits.on_device else profile.farthest
