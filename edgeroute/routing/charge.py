"""What models may take of a battery: a share of what it holds, until it is to have lasted.

Owns that count. It begins anew at that time of day, and what is charged meanwhile adds its share.
What others take of the battery changes nothing as long as so much is left in it: models keep to
their part, so that it is known in the morning what the day allows.
"""

from edgeroute.routing.usual_day import DAY_S


class Charge:
    """The part of a battery's charge that models may take.

    Moments are seconds since some local midnight.

    Args:
        share: Of what the battery holds, above 0 and at most 1.
        until_s: Time of day until which it has to last, seconds above 0 and at most a day.

    Attributes:
        ends_at: When it has lasted.
        on_battery: Whether the battery feeds the machine; on mains models take what they like.
    """

    def __init__(self, share: float, until_s: float) -> None:
        self.ends_at = 0.0
        self._share = share
        self._until_s = until_s
        self._stored_j: float | None = None
        self.on_battery = False
        self._held_j = 0.0
        self._spent_j = 0.0

    def observe(self, stored_j: float | None, now: float, *, on_battery: bool) -> None:
        """Take a reading of the battery; one that does not tell its charge leaves the last.

        Args:
            stored_j: What it holds.
            now: The moment.
            on_battery: Whether it is what feeds the machine.
        """
        charging = not (on_battery and self.on_battery)
        if charging and stored_j is not None and self._stored_j is not None:
            # A gauge that rises while the battery is drained wavers, and has charged nothing.
            self._held_j += max(0.0, stored_j - self._stored_j)
        elif self._stored_j is None:
            self._held_j = stored_j or 0.0
        self.on_battery = on_battery
        self._stored_j = self._stored_j if stored_j is None else stored_j
        if not self.ends_at - DAY_S <= now < self.ends_at:  # or the clock was set
            self._begin(now)

    def _begin(self, now: float) -> None:
        ends_at = now - now % DAY_S + self._until_s
        self.ends_at = ends_at if ends_at > now else ends_at + DAY_S
        self._held_j = self._stored_j or 0.0
        self._spent_j = 0.0

    def spend(self, joules: float) -> None:
        """Models took so much; of the mains it costs the battery nothing."""
        if self.on_battery:
            self._spent_j += joules

    def left_j(self) -> float | None:
        """What they may still take, below nought where they took more.

        `None` where the battery has never told its charge: some tell a percentage alone.
        """
        if self._stored_j is None:
            return None
        return min(self._share * self._held_j - self._spent_j, self._stored_j)
