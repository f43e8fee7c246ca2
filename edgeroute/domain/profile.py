"""How a user wants choices to be made: weights and hard limits, one TOML file each."""

from dataclasses import dataclass

from edgeroute.domain.privacy import Zone


@dataclass(frozen=True, slots=True)
class Profile:
    """An operating profile.

    The utility of a target is `value * P(ok) - per_usd * dollars - per_joule * device joules
    - per_second * latency`; the weights say what one dollar, joule or second is worth against
    one acceptable answer.

    Attributes:
        farthest: No target beyond this zone, whatever the label.
        max_load_s: A cold model that takes longer to load is not considered; `None` is no limit.
    """

    name: str
    description: str
    value: float = 1.0
    per_usd: float = 10.0
    per_joule: float = 0.0002
    per_second: float = 0.01
    farthest: Zone = Zone.CLOUD
    max_load_s: float | None = None
