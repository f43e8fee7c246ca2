"""What memory there is for models, from what the machine has and what the user allows."""

from collections.abc import Callable, Sequence

from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import Bytes
from edgeroute.ports import Sensors
from edgeroute.residency.pressure import Pressure
from edgeroute.residency.room import budget
from edgeroute.runtime.footprints import Footprints
from edgeroute.runtime.sessions import Sessions


class MachineMemory:
    """What memory there is for models, and what they take (see `ports.MachineMemory`).

    Args:
        configured: The user's limit on RAM, for models and saved conversations together.
        sessions: Hold their part of it (see `runtime.sessions`).
        footprints: Where what models take is remembered.
        offloads: Whether the engine was built for GPUs; without, there are none to plan for.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        sensors: Sensors,
        configured: Bytes | None,
        sessions: Sessions,
        footprints: Footprints,
        *,
        offloads: bool,
        clock: Callable[[], float],
    ) -> None:
        self.footprint = sensors.footprint
        self.learn = footprints.learn
        self._sensors = sensors
        self._configured = configured
        self._sessions = sessions
        self._offloads = offloads
        self._clock = clock
        self._pressure = Pressure()

    @property
    def withheld(self) -> Bytes:
        """Bytes of RAM that are held back while others are taking memory."""
        return self._pressure.withheld

    def budget(self, held: Footprint, *, loading: bool) -> Budget:
        """What all models together may hold now."""
        now = self._sensors.telemetry()
        whole = budget(now.memory, held, now.gpus if self._offloads else (), None)
        withheld = Bytes(0)
        if loading:
            self._pressure.skip()
        else:
            withheld = self._pressure.update(now.memory, whole.ram, held.ram, self._clock())
        ram = whole.ram - withheld
        if self._configured is not None:
            ram = min(ram, max(0, self._configured - self._sessions.held))
        return Budget(Bytes(ram), whole.gpu)

    def gpus(self) -> Sequence[Gpu]:
        """The GPUs that models may use."""
        return self._sensors.telemetry().gpus if self._offloads else ()

    def gpu_free(self) -> Sequence[int | None]:
        """Free bytes of each GPU that models may use."""
        return [gpu.free for gpu in self.gpus()]
