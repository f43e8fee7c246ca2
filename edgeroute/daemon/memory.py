"""What memory there is for models, from what the machine has and what the user allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeroute.domain.device import UNKNOWN, Device
from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import Bytes
from edgeroute.ports import Sensors
from edgeroute.residency.pressure import Pressure
from edgeroute.residency.room import budget
from edgeroute.runtime.footprints import Footprints
from edgeroute.runtime.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Allowed:
    """What models may use of a machine.

    Attributes:
        configured: The user's limit on RAM, for models and saved conversations together.
        offloads: Whether the engine was built for GPUs; without, there are none to plan for.
        device: Says what is left to everybody else.
    """

    configured: Bytes | None
    offloads: bool
    device: Device = UNKNOWN


class MachineMemory:
    """What memory there is for models, and what they take (see `ports.MachineMemory`).

    Args:
        sessions: Hold their part of it (see `runtime.sessions`).
        footprints: Where what models take is remembered.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        sensors: Sensors,
        allowed: Allowed,
        sessions: Sessions,
        footprints: Footprints,
        clock: Callable[[], float],
    ) -> None:
        self.footprint = sensors.footprint
        self.learn = footprints.learn
        self._sensors = sensors
        self._allowed = allowed
        self._sessions = sessions
        self._clock = clock
        self._pressure = Pressure()

    @property
    def withheld(self) -> Bytes:
        """Bytes of RAM that are held back while others are taking memory."""
        return self._pressure.withheld

    def budget(self, held: Footprint, *, loading: bool) -> Budget:
        """What all models together may hold now."""
        memory = self._sensors.memory()
        whole = budget(memory, held, self.gpus(ours=any(held.gpu)), None, self._allowed.device)
        withheld = Bytes(0)
        if loading:
            self._pressure.skip()
        else:
            withheld = self._pressure.update(memory, whole.ram, held.ram, self._clock())
        ram = whole.ram - withheld
        configured = self._allowed.configured
        if configured is not None:
            ram = min(ram, max(0, configured - self._sessions.held))
        return Budget(Bytes(ram), whole.gpu)

    def gpus(self, *, ours: bool) -> Sequence[Gpu]:
        """The GPUs that models may use; `ours` says that one is there already, comes or goes."""
        return self._sensors.gpus(ours=ours) if self._allowed.offloads else ()

    def gpu_free(self) -> Sequence[int | None]:
        """Free bytes of each GPU that models may use."""
        return [gpu.free for gpu in self.gpus(ours=True)]
