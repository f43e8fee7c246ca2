"""What models took when they were loaded before, on this device and with this engine.

Owns the learned footprints as they are kept between runs. What is learned of a measurement is
residency's.
"""

from collections.abc import Mapping

from edgeroute.domain.load import Footprint, LoadPlan
from edgeroute.ports import Journal


class Footprints:
    """Learned footprints of all model files.

    Args:
        journal: Where they are kept.
        known: By hash of the file and `LoadPlan.key`.
        where: Engine, its version and the device: what they are valid for.
    """

    def __init__(
        self, journal: Journal, known: Mapping[tuple[str, str], Footprint], where: str
    ) -> None:
        self._journal = journal
        self._known = dict(known)
        self._where = where

    def of(self, sha256: str) -> dict[str, Footprint]:
        """Those of a file, by `LoadPlan.key`."""
        return {plan: held for (file, plan), held in self._known.items() if file == sha256}

    def learn(self, plan: LoadPlan, footprint: Footprint) -> None:
        """Remember what a plan takes, where that is news."""
        place = (plan.sha256, plan.key)
        if self._known.get(place) != footprint:
            self._known[place] = footprint
            self._journal.write_footprint(*place, self._where, footprint)
