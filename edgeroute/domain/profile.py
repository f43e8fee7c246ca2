"""How a user wants choices to be made: weights and hard limits, one TOML file each."""

from dataclasses import dataclass, fields

from edgeroute.domain.privacy import Zone


@dataclass(frozen=True, slots=True)
class When:
    """A state in which a profile applies by itself; every condition that is set must hold.

    Attributes:
        on_battery: Whether the battery is being discharged.
        below: Charge is under this percentage.
        hot: Whether the machine is slowed down by heat, or close to it.
        app: Who asks.
    """

    on_battery: bool | None = None
    below: float | None = None
    hot: bool | None = None
    app: str | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of those that are set."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)


MOST_EXPLORED = 0.02
"""Share of requests; each is expected to be worth less to its caller, for the sake of others."""


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
        joules_per_hour: What models may take of this device; `per_joule` then rises as far as it
            must. `None` is no limit. Nobody is refused for it.
        battery_share: Part of the battery's charge that models may take on battery, above 0 and
            at most 1, kept to in the same way; `None` is no limit.
        battery_until: Time of day, such as `18:30`, until which that part has to last.
        hold_s: Seconds for which a draft of a streamed answer may be held back to be checked; 0
            shows every piece as it comes.
        explore: Share of requests for which another target than the best may be asked, to learn of
            it, where that puts nothing at risk (`routing/exploring`); 0 is never.
        wrong_at_most: Share that may be wrong of drafts given in a bigger model's place: they
            are then given only at grades that judged answers have proved; `None` is off.
        applies: When it is in force without being asked for; any of them is enough.
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
    joules_per_hour: float | None = None
    battery_share: float | None = None
    battery_until: str = "24:00"
    hold_s: float = 0.5
    explore: float = 0.0
    wrong_at_most: float | None = None
    applies: tuple[When, ...] = ()

    @property
    def battery_until_s(self) -> float:
        """`battery_until` as seconds of the day."""
        hours, _, minutes = self.battery_until.partition(":")
        return 3600.0 * int(hours) + 60.0 * int(minutes)

    def release_s(self, *, on_battery: bool) -> float | None:
        """After how long an idle model is ended, as power stands."""
        return self.idle_release_battery_s if on_battery else self.idle_release_s
