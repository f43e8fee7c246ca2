"""How the machine is doing, read again every few seconds off the event loop."""

import asyncio
from collections.abc import Awaitable, Callable

from edgeroute.domain.hardware import Telemetry
from edgeroute.ports import Sensors

CALM_S, BUSY_S = 5.0, 1.0
"""Between two readings: while nothing is generated, and while something is, which heats."""


class TelemetryFeed:
    """The latest telemetry.

    Args:
        sensors: Read in a thread; a reading may touch slow files.
        changed: Waited for after every reading.
        generating: Whether something is being generated.
    """

    def __init__(
        self,
        sensors: Sensors,
        changed: Callable[[], Awaitable[None]],
        generating: Callable[[], bool],
    ) -> None:
        self._sensors = sensors
        self._changed = changed
        self._generating = generating
        self.now: Telemetry = sensors.telemetry()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.sleep(BUSY_S if self._generating() else CALM_S)
            self.now = await asyncio.to_thread(self._sensors.telemetry)
            await self._changed()
