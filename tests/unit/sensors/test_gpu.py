"""Which GPUs are asked, and when: nothing wakes a sleeping one or keeps an idle one awake."""

import pytest

from edgeroute.domain.hardware import Gpu
from edgeroute.domain.units import Bytes
from edgeroute.sensors.gpu import Gpus
from edgeroute.sensors.nvml import Nvml
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import LAPTOP, ORIN_NANO, Files, Written, nvidia

FIRST, SECOND = "0000:01:00", "0000:02:00"
ASLEEP = nvidia(FIRST, "suspended", model="NVIDIA RTX")
SUSPENDING = nvidia(FIRST, "suspending")
AWAKE = nvidia(FIRST, "active")
KEPT_ON = nvidia(FIRST, "active", control="on")
IN_USE = {**AWAKE, f"/sys/bus/pci/devices/{FIRST}.0/power/runtime_usage": "1\n"}
UNTOLD = {path: text for path, text in AWAKE.items() if not path.endswith("control")}
IDLE = {**AWAKE, f"/sys/bus/pci/devices/{FIRST}.0/power/runtime_usage": "0\n"}


class Recorder(Nvml):
    """Answers with one more free byte each time, and records what is done."""

    def __init__(self, refusal: str | None = None) -> None:
        super().__init__()
        self.refusal = refusal
        self.calls: list[str] = []

    def open(self) -> str | None:
        if self._open:
            return None
        self.calls.append("open")
        self._open = self.refusal is None
        return self.refusal

    def close(self) -> None:
        if self._open:
            self._open = False
            self.calls.append("close")

    def energy(self, tree: Tree, address: str) -> tuple[int | None, float | None]:
        assert self._open
        self.calls.append(f"energy of {address}")
        return 1000, None

    def gpu(self, tree: Tree, address: str | None) -> Gpu | None:
        assert self._open
        self.calls.append(address or "tegra")
        return Gpu(0, "asked", total=Bytes(100), free=Bytes(len(self.calls)))


class Bench:
    """A machine whose files and clock move."""

    def __init__(self, *, refusal: str | None = None) -> None:
        self.now = 1000.0
        self.nvml = Recorder(refusal)
        self.gpus = Gpus(self.nvml, lambda: self.now)

    def read(self, *parts: Files, after: float = 0.0, ours: bool = False) -> tuple[Gpu, ...]:
        self.now += after
        self.nvml.calls.clear()
        self.tree = Written(*parts)
        return self.gpus.read(self.tree, ours=ours)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("card", [ASLEEP, SUSPENDING])
def test_a_sleeping_card_is_known_by_name_alone(bench: Bench, card: Files) -> None:
    name = "NVIDIA RTX" if card is ASLEEP else f"NVIDIA GPU {FIRST}.0"
    assert bench.read(card) == (Gpu(0, name, awake=False),)
    assert bench.nvml.calls == []


def test_a_card_that_cannot_sleep_is_asked_each_time_in_one_session(bench: Bench) -> None:
    bench.read(KEPT_ON)
    assert bench.nvml.calls == ["open", f"{FIRST}.0"]
    assert bench.read(KEPT_ON, after=5)[0].free == 1
    assert bench.nvml.calls == [f"{FIRST}.0"]


@pytest.mark.parametrize("idle", [AWAKE, UNTOLD, IDLE])
def test_an_idle_card_gets_five_minutes_to_fall_asleep(bench: Bench, idle: Files) -> None:
    reading = bench.read(idle)
    assert bench.nvml.calls == ["open", f"{FIRST}.0", "close"]
    for _ in range(59):
        assert bench.read(idle, after=5) == reading
        assert bench.nvml.calls == []
    bench.read(idle, after=5)
    assert bench.nvml.calls == ["open", f"{FIRST}.0", "close"]


def test_a_card_that_somebody_uses_is_asked_each_time(bench: Bench) -> None:
    """It cannot sleep anyway, and its free memory is news."""
    for _ in range(3):
        bench.read(IN_USE, after=5)
        assert bench.nvml.calls == ["open", f"{FIRST}.0", "close"]


@pytest.mark.parametrize(
    ("status", "calls"),
    [
        ("Not supported", [f"{FIRST}.0"]),
        ("Disabled by default", [f"{FIRST}.0"]),
        ("Enabled (fine-grained)", []),
    ],
)
def test_a_card_whose_driver_cannot_let_it_sleep(
    bench: Bench, status: str, calls: list[str]
) -> None:
    """Packages switch sleep on for every NVIDIA device, those of desktops too."""
    text = f"Runtime D3 status:          {status}\nVideo Memory:               Active\n"
    card = {**AWAKE, f"/proc/driver/nvidia/gpus/{FIRST}.0/power": text}
    bench.read(card)
    bench.read(card, after=5)
    assert bench.nvml.calls == calls


def test_a_card_with_a_model_of_ours_is_asked_each_time_and_a_sleeping_one_never(
    bench: Bench,
) -> None:
    """Not every kernel tells who uses it."""
    for free in (2, 2, 2):
        assert bench.read(UNTOLD, after=0.25, ours=True)[0].free == free
        assert bench.nvml.calls == ["open", f"{FIRST}.0", "close"]
    assert not bench.read(ASLEEP, after=0.25, ours=True)[0].awake
    assert bench.nvml.calls == []


def test_a_card_that_is_metered_keeps_its_session_until_nobody_computes(bench: Bench) -> None:
    bench.read(AWAKE)
    bench.nvml.calls.clear()
    metered = f"energy of {FIRST}.0"
    assert bench.gpus.energies(bench.tree, gpu_in_use=True)
    assert bench.nvml.calls == ["open", metered]
    bench.read(AWAKE, after=1)  # telemetry meanwhile
    assert bench.nvml.calls == []
    assert bench.gpus.energies(bench.tree, gpu_in_use=True)
    assert bench.gpus.energies(bench.tree, gpu_in_use=False) == {}
    assert bench.nvml.calls == [metered, "close"]


def test_a_card_that_falls_asleep_and_wakes(bench: Bench) -> None:
    bench.read(AWAKE)
    assert not bench.read(ASLEEP, after=5)[0].awake
    assert bench.nvml.calls == []
    assert bench.read(AWAKE, after=300)[0].awake
    assert bench.nvml.calls == ["open", f"{FIRST}.0", "close"]


def test_of_two_cards_only_the_waking_one_is_asked(bench: Bench) -> None:
    both = bench.read(ASLEEP, nvidia(SECOND, "active"))
    assert bench.nvml.calls == ["open", f"{SECOND}.0", "close"]
    assert [(gpu.index, gpu.awake) for gpu in both] == [(0, False), (1, True)]


def test_a_card_behind_a_container_without_pci_is_known_by_the_driver(bench: Bench) -> None:
    information = {"/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t RTX\n"}
    assert bench.read(information)[0].name == "asked"


def test_the_gpu_of_a_tegra_counts_in_the_systems_memory(bench: Bench) -> None:
    assert bench.read(ORIN_NANO) == (Gpu(0, "asked", unified=True),)
    assert bench.nvml.calls == ["open", "tegra", "close"]


def test_no_card_is_no_question(bench: Bench) -> None:
    other = {
        "/sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
        "/sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
    }
    assert bench.read(other) == ()
    assert bench.nvml.calls == []
    assert bench.tree.gaps == ()


def test_a_refusal_stands_for_a_minute() -> None:
    bench = Bench(refusal="NVML: Driver Not Loaded")
    for after, calls in ((0, ["open"]), (5, []), (54, []), (1, ["open"])):
        assert bench.read(KEPT_ON, after=after) == ()
        assert bench.nvml.calls == calls
        assert [gap.why for gap in bench.tree.gaps] == ["NVML: Driver Not Loaded"]
    bench.nvml.refusal = None
    assert bench.read(KEPT_ON, after=60)[0].name == "asked"


def test_a_drawn_machine_shows_its_cards_without_numbers() -> None:
    tree = Written(AWAKE, nvidia(SECOND, "active", model="NVIDIA RTX"))
    assert Gpus(None, lambda: 0.0).read(tree) == (
        Gpu(0, f"NVIDIA GPU {FIRST}.0"),
        Gpu(1, "NVIDIA RTX"),
    )
    assert [gap.what for gap in tree.gaps] == [f"NVIDIA GPU {FIRST}.0", "NVIDIA RTX"]
    assert Gpus(None, lambda: 0.0).read(Written(LAPTOP))[0].awake is False
