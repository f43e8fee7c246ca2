"""What there is for models: GPUs only where the engine uses them, saved conversations counted."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeroute.backends.engine import engine_name, library_folder, offloads
from edgeroute.daemon.memory import Allowed, MachineMemory
from edgeroute.domain.hardware import Gpu, Memory, Telemetry
from edgeroute.domain.load import Footprint
from edgeroute.domain.units import GIB, Bytes
from edgeroute.runtime.footprints import Footprints
from edgeroute.runtime.sessions import Sessions
from tests.fakes import FakeJournal

FOOTPRINTS = Footprints(FakeJournal(), {}, "an engine on a device")
CARD = Gpu(0, "a card", total=Bytes(8 * GIB), free=Bytes(7 * GIB))


class WithGpu:
    """Sensors of a machine with one GPU."""

    def telemetry(self) -> Telemetry:
        raise AssertionError("all of it takes five times as long")

    def memory(self) -> Memory:
        return Memory(Bytes(16 * GIB), Bytes(10 * GIB))

    def __init__(self) -> None:
        self.ours: list[bool] = []

    def gpus(self, *, ours: bool) -> Sequence[Gpu]:
        self.ours.append(ours)
        return (CARD,)

    def footprint(self, pid: int) -> Footprint | None:
        return Footprint(anon=Bytes(pid))


def test_a_build_for_gpus_may_use_them() -> None:
    sensors = WithGpu()
    memory = MachineMemory(
        sensors, Allowed(None, offloads=True), Sessions(lambda: 0), FOOTPRINTS, lambda: 0.0
    )
    assert list(memory.gpus(ours=False)) == [CARD]
    assert memory.budget(Footprint(), loading=False).gpu[0] > 6 * GIB
    assert sensors.ours == [False, False]  # nobody of ours is there: it may rest
    assert list(memory.gpu_free()) == [7 * GIB]  # one comes, or is gone: what is free is news
    memory.budget(Footprint(gpu=(Bytes(GIB),)), loading=False)
    assert sensors.ours[2:] == [True, True]


def test_a_build_for_the_cpu_knows_of_none() -> None:
    memory = MachineMemory(
        WithGpu(), Allowed(None, offloads=False), Sessions(lambda: 0), FOOTPRINTS, lambda: 0.0
    )
    assert list(memory.gpus(ours=True)) == []
    assert memory.budget(Footprint(), loading=False).gpu == ()


def test_saved_conversations_count_in_a_budget_that_the_user_has_set() -> None:
    sessions = Sessions(lambda: GIB)
    sessions.held = Bytes(GIB // 2)
    memory = MachineMemory(
        WithGpu(), Allowed(Bytes(2 * GIB), offloads=False), sessions, FOOTPRINTS, lambda: 0.0
    )
    assert memory.budget(Footprint(), loading=False).ram == 2 * GIB - GIB // 2
    sessions.held = Bytes(3 * GIB)
    assert memory.budget(Footprint(), loading=False).ram == 0


def test_a_budget_that_follows_the_machine_is_less_by_them_already() -> None:
    """Their pages are shared memory, which the kernel does not call available."""
    sessions = Sessions(lambda: GIB)
    memory = MachineMemory(
        WithGpu(), Allowed(None, offloads=False), sessions, FOOTPRINTS, lambda: 0.0
    )
    before = memory.budget(Footprint(), loading=False)
    sessions.held = Bytes(GIB // 2)
    assert memory.budget(Footprint(), loading=False) == before


@pytest.mark.parametrize(
    ("library", "expected"),
    [("libggml-cuda.so", True), ("libggml-vulkan.so", True), ("libggml-metal.dylib", True),
     ("libggml-cpu.so", False), ("libggml-base.so", False)],
)  # fmt: skip
def test_a_build_is_known_by_its_libraries(tmp_path: Path, library: str, expected: bool) -> None:  # noqa: FBT001
    (tmp_path / library).touch()
    assert offloads(tmp_path) is expected


def test_the_installed_engine_is_found_without_loading_it() -> None:
    assert list(library_folder().glob("*ggml-base*"))
    assert engine_name() == "llama-cpp-python 0.3.36"
