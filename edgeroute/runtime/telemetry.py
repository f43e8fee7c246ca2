"""How the machine is doing, read again every few seconds off the event loop."""

import asyncio
from collections.abc import Awaitable, Callable

from edgeroute.domain.hardware import Telemetry
from edgeroute.ports import Sensors


class TelemetryFeed:
    """The latest telemetry.

    Args:
        sensors: Read in a thread; a reading may touch slow files.
        changed: Waited for after every reading.
        every_s: Seconds until the next.
    """

    def __init__(
        self,
        sensors: Sensors,
        changed: Callable[[], Awaitable[None]],
        every_s: Callable[[], float],
    ) -> None:
        self._sensors = sensors
        self._changed = changed
        self._every_s = every_s
        self.now: Telemetry = sensors.telemetry()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.sleep(self._every_s())
            self.now = await asyncio.to_thread(self._sensors.telemetry)
            await self._changed()
