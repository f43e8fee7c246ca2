"""NVIDIA GPUs: which are there, and which may be asked without waking them or keeping them awake.

Owns that question; the answers come from `nvml`. Knows nothing of CUDA, which the daemon never
touches: an idle context keeps a laptop's GPU at about 8 W.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from edgeroute.domain.hardware import Gpu
from edgeroute.sensors import jetson
from edgeroute.sensors.nvml import Nvml
from edgeroute.sensors.sysfs import Tree

_PCI = "/sys/bus/pci/devices"
_DRIVER = "/proc/driver/nvidia/gpus"

_REST_S = 300.0
"""Least time between two readings of a GPU that could sleep and has nothing to do.

It goes to sleep 6 to 120 s after its last client left, depending on laptop and driver, and whoever
asks is a client: asked once a minute some never would.
"""
_REFUSED_S = 60.0
"""A driver that failed is left alone for so long: each try may load a kernel module."""


@dataclass(frozen=True, slots=True)
class _Card:
    """A GPU as the system shows it, without asking the GPU.

    Attributes:
        address: On the PCI bus; `None` is the GPU inside a Tegra.
        asleep: Suspended at run time; any question would wake it.
        may_sleep: Run-time power management is on, or not known to be off.
        in_use: Somebody else keeps it awake, so that asking costs nothing.
    """

    address: str | None
    name: str
    asleep: bool = False
    may_sleep: bool = True
    in_use: bool = False


class Gpus:
    """The GPUs of one machine.

    Args:
        nvml: How to ask them; `None` where the machine is drawn and has only files.
        clock: Seconds, monotonic.
    """

    def __init__(self, nvml: Nvml | None, clock: Callable[[], float]) -> None:
        self._nvml = nvml
        self._clock = clock
        self._last: dict[str | None, tuple[float, Gpu]] = {}  # as many as there are cards
        self._refused: tuple[float, str] | None = None
        self._addresses: list[str] | None = None
        self._metered = False
        self._alone = Lock()  # telemetry is read in a thread, meters are not: one session for both

    def read(self, tree: Tree, *, ours: bool = False) -> tuple[Gpu, ...]:
        """GPUs in the order of the PCI bus, which is NVML's too.

        Where one may sleep, asking opens and closes a session with the driver: off the event loop.

        Args:
            tree: The machine's files.
            ours: A model of ours is on them, comes or goes: they are awake anyway, and what is free
                is news.
        """
        cards = _cards(tree)
        with self._alone:
            self._addresses = [card.address for card in cards if card.address is not None]
            found = [self._gpu(tree, card, ours=ours) for card in cards]
            if self._nvml is not None and not self._metered and any(c.may_sleep for c in cards):
                self._nvml.close()  # an open session keeps the GPU awake, at 5 to 25 W
        gpus = [gpu for gpu in found if gpu is not None]
        return tuple(replace(gpu, index=index) for index, gpu in enumerate(gpus))

    def energies(
        self, tree: Tree, *, gpu_in_use: bool
    ) -> Mapping[str, tuple[int | None, float | None]]:
        """Millijoules counted and watts now of each GPU with memory of its own.

        A GPU that sleeps, or could and is used by nobody, is left out. While it is in use the
        session with the driver stays open, as this is asked ten times a second then; the first
        question after that closes it.

        Args:
            tree: The machine's files.
            gpu_in_use: A model of ours computes on them.
        """
        nvml = self._nvml
        if nvml is None:
            return {}
        with self._alone:
            if self._addresses is None:
                self._addresses = [c.address for c in _cards(tree) if c.address is not None]
            if self._metered and not gpu_in_use:
                nvml.close()  # before the cards are looked at: our own session counts as a use
            self._metered = gpu_in_use
            cards = {address: _card(tree, address) for address in self._addresses}
            return {
                f"GPU {address}": nvml.energy(tree, address)
                for address, card in cards.items()
                if (not card.may_sleep or card.in_use or gpu_in_use)
                and not card.asleep
                and self._session(nvml) is None
            }

    def _gpu(self, tree: Tree, card: _Card, *, ours: bool) -> Gpu | None:
        """What is known of a GPU now.

        1. Asleep: its name. 2. Could fall asleep: its last reading, until that is too old.
        3. Its answers. 4. Without NVML: what is sure, so that a Tegra has its GPU all the same.
        """
        if card.asleep:
            return Gpu(0, card.name, awake=False)
        since, last = self._last.get(card.address, (0.0, None))
        rests = card.may_sleep and not card.in_use and not ours
        if last and rests and self._clock() - since < _REST_S:
            return last
        gpu = self._ask(tree, card)
        if gpu is not None:
            self._last[card.address] = self._clock(), gpu
            return gpu
        sure = self._nvml is None or card.address is None
        return Gpu(0, card.name, unified=card.address is None) if sure else None

    def _ask(self, tree: Tree, card: _Card) -> Gpu | None:
        if self._nvml is None:
            tree.gap(card.name, "NVML is asked on the machine itself, not on a drawn one")
            return None
        refusal = self._session(self._nvml)
        if refusal is not None:
            tree.gap(card.name, refusal)
            return None
        gpu = self._nvml.gpu(tree, card.address)
        if gpu is None:
            return None
        if card.address is None:  # in one memory with the system; CUDA's figures leave out caches
            gpu = replace(gpu, unified=True, total=None, free=None)
        return replace(gpu, name=gpu.name or card.name)

    def _session(self, nvml: Nvml) -> str | None:
        """Open a session; a refusal stands for a while."""
        if self._refused is not None and self._clock() - self._refused[0] < _REFUSED_S:
            return self._refused[1]
        refusal = nvml.open()
        self._refused = None if refusal is None else (self._clock(), refusal)
        return refusal


def _cards(tree: Tree) -> list[_Card]:
    """GPUs on the PCI bus or known to the driver; else the one inside a Tegra."""
    on_bus = [name for name in tree.names(_PCI) if _is_nvidia_gpu(tree, f"{_PCI}/{name}")]
    cards = [_card(tree, address) for address in sorted({*on_bus, *tree.names(_DRIVER)})]
    if cards or not jetson.is_tegra(tree):
        return cards
    return [_Card(None, jetson.read_board(tree) or "NVIDIA Tegra")]


def _is_nvidia_gpu(tree: Tree, folder: str) -> bool:
    """Display class; the bridges of a Tegra and the sound of a graphics card are NVIDIA's too."""
    if tree.read(f"{folder}/vendor") != "0x10de":
        return False
    return (tree.read(f"{folder}/class") or "").startswith("0x03")


def _card(tree: Tree, address: str) -> _Card:
    power = f"{_PCI}/{address}/power"
    return _Card(
        address,
        _name(tree, address),
        asleep=tree.read(f"{power}/runtime_status") in ("suspended", "suspending"),
        may_sleep=tree.read(f"{power}/control") != "on" and not _never_sleeps(tree, address),
        # Counts holders while no session of ours is open; only some kernels have the file.
        in_use=bool(tree.integer(f"{power}/runtime_usage")),
    )


def _never_sleeps(tree: Tree, address: str) -> bool:
    """Whether the driver does not let it: packages allow sleep to desktop cards that cannot."""
    status = _driver_says(tree, f"{address}/power", "Runtime D3 status") or ""
    return status.startswith(("Not supported", "Disabled"))


def _name(tree: Tree, address: str) -> str:
    model = _driver_says(tree, f"{address}/information", "Model")
    return model or f"NVIDIA GPU {address}"


def _driver_says(tree: Tree, file: str, key: str) -> str | None:
    """A line of the driver's own files; reading them wakes nothing."""
    for line in (tree.read(f"{_DRIVER}/{file}") or "").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return value.strip()
    return None
