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
        prewarm: Whether models may be loaded on a guess; never on battery.
        idle_release_s: A model that nobody has used for so long is ended; `None` keeps it until
            its memory is wanted.
        idle_release_battery_s: The same while the battery is drained.
    """

    name: str
    description: str
    value: float = 1.0
    per_usd: float = 10.0
    per_joule: float = 0.0002
    per_second: float = 0.01
    farthest: Zone = Zone.CLOUD
    max_load_s: float | None = None
    prewarm: bool = True
    idle_release_s: float | None = None
    idle_release_battery_s: float | None = 120.0

    def release_s(self, *, on_battery: bool) -> float | None:
        """After how long an idle model is ended, as power stands."""
        return self.idle_release_battery_s if on_battery else self.idle_release_s
