"""NVIDIA's management library, through its binding `pynvml`.

Owns sessions with it and what its errors mean. Whether a GPU may be asked at all, as asking wakes
it, is decided in `gpu`.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from edgeroute.domain.hardware import Gpu
from edgeroute.domain.units import Bytes
from edgeroute.sensors.sysfs import Tree


class Nvml:
    """The library, loaded with the first session: importing the binding takes 40 ms."""

    def __init__(self) -> None:
        self._library: Any = None  # the binding has no annotations
        self._open = False

    def open(self) -> str | None:
        """Begin a session unless one is open; returns why that failed."""
        if self._open:
            return None
        import pynvml  # noqa: PLC0415 - most machines have no NVIDIA GPU and need not pay for it

        self._library = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return f"NVML: {error}"
        self._open = True
        return None

    def close(self) -> None:
        """End the session, if one is open, so that the GPU may sleep."""
        if self._open:
            self._open = False
            with contextlib.suppress(self._library.NVMLError):  # the driver went, session and all
                self._library.nvmlShutdown()

    def gpu(self, tree: Tree, address: str | None) -> Gpu | None:
        """All that one GPU tells, within a session; `None` where NVML does not know it.

        Every field may be refused by itself (NotSupported), which is no gap. A GPU that is refused
        its memory has none of its own: Jetson Orin, GB10.

        Args:
            tree: Takes the gaps.
            address: On the PCI bus; `None` is the GPU inside a Tegra.
        """
        nvml = self._library
        ask, handle = self._asking(tree, address)
        if handle is None:
            return None
        memory = ask("memory", nvml.nvmlDeviceGetMemoryInfo, handle)
        load = ask("utilisation", nvml.nvmlDeviceGetUtilizationRates, handle)
        heat = ask("temperature", nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        power_mw = ask("power", nvml.nvmlDeviceGetPowerUsage, handle)
        reasons = ask("clocks", nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        owns_memory = memory is not None and memory.total > 0
        return Gpu(
            index=0,
            name=ask("name", nvml.nvmlDeviceGetName, handle) or "",
            total=Bytes(memory.total) if owns_memory else None,
            free=Bytes(memory.free) if owns_memory else None,
            unified=not owns_memory and not tree.failed(f"{_called(address)} memory"),
            utilisation_pct=None if load is None else float(load.gpu),
            temperature_c=None if heat is None else float(heat),
            power_w=None if power_mw is None else power_mw / 1000,
            driver=ask("driver", nvml.nvmlSystemGetDriverVersion),
            slowed=None if reasons is None else bool(reasons & _slowed_by(nvml)),
        )

    def energy(self, tree: Tree, address: str) -> tuple[int | None, float | None]:
        """Millijoules since the driver was loaded, or watts where it does not count.

        GPUs before Volta do not. Counters are updated about every 100 ms. Takes what `gpu` takes,
        within a session.
        """
        nvml = self._library
        ask, handle = self._asking(tree, address)
        if handle is None:
            return None, None
        counted = ask("energy", nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
        if counted is not None:
            return int(counted), None
        power_mw = ask("power", nvml.nvmlDeviceGetPowerUsage, handle)
        return None, None if power_mw is None else power_mw / 1000

    def _asking(self, tree: Tree, address: str | None) -> tuple[Callable[..., Any], Any]:
        """How to ask a GPU for a field, and its handle; `None` where NVML does not know it."""
        nvml = self._library

        def ask(field: str, question: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return question(*arguments)
            except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
                return None  # the GPU, or an older driver, does not tell
            except (nvml.NVMLError, UnicodeDecodeError) as error:
                tree.gap(f"{_called(address)} {field}", f"NVML: {error}")
                return None

        if address is None:
            return ask, ask("handle", nvml.nvmlDeviceGetHandleByIndex, 0)
        return ask, ask("handle", nvml.nvmlDeviceGetHandleByPciBusId, address)


def _called(address: str | None) -> str:
    return f"GPU {address or 'of the Tegra'}"


def _slowed_by(nvml: Any) -> int:
    """Bits of the reasons for lower clocks that mean heat; power caps and idleness are others."""
    return int(
        nvml.nvmlClocksEventReasonSwThermalSlowdown | nvml.nvmlClocksEventReasonHwThermalSlowdown
    )
