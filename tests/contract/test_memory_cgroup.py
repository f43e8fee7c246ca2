"""A memory control group with a limit, and the kernel that ends whoever exceeds it.

Version 1, as root; elsewhere skipped, and said so. Reading both versions is tested on drawn trees
(`tests/unit/sensors/test_cgroup.py`, `test_memory.py`).
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from edgeroute.domain.units import GIB, MIB
from edgeroute.sensors.cgroup import V1, ancestors
from edgeroute.sensors.sysfs import Tree
from tests.conftest import starter_path
from tests.e2e.conftest import House

pytestmark = pytest.mark.e2e

LIMIT = 1536 * MIB
"""The daemon leaves 1 GiB to others and takes a tenth itself: some 400 MiB are left for models."""
CONTEXT, SLOTS = 8192, 16
"""What is wished for: 2.8 GiB of keys and values."""

LOAD = """
import asyncio, sys
from edgeroute.backends.spawn import SpawnBackend
from edgeroute.domain.errors import LoadFailed
from edgeroute.domain.load import LoadPlan
from edgeroute.domain.units import ModelId

async def load():
    plan = LoadPlan(ModelId("m"), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), threads=1)
    try:
        await SpawnBackend(lambda pid: None, lambda pid: None).start(plan, lambda share: None)
    except LoadFailed as error:
        print(error.code, error.message)

asyncio.run(load())
"""
HOG = """
import sys, time
held = []
for _ in range(int(sys.argv[1])):
    held.append(bytearray(b"x" * (50 << 20)))
    time.sleep(0.1)
print("holds it all", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A control group of our own, below the one that we are in."""

    folder: Path

    def running(self, *command: str) -> list[str]:
        """The command line that runs a command in it."""
        return ["sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh", *command]

    @property
    def kills(self) -> int:
        """How often the kernel had to end a process of it."""
        told = re.search(r"oom_kill (\d+)", (self.folder / "memory.oom_control").read_text())
        assert told is not None
        return int(told[1])


@contextmanager
def limited(limit: int) -> Iterator[Group]:
    own = next(iter(ancestors(Tree(Path("/")), "memory")), None)
    if own is None or own.version != V1:
        pytest.skip("NOT CHECKED: no version 1 memory control group on this machine")
    folder = Path(own.folder) / f"edgeroute-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"NOT CHECKED: no control group can be made: {error}")
    try:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        yield Group(folder)
    finally:
        _end_all(folder)
        folder.rmdir()


def _end_all(folder: Path) -> None:
    """Processes that a failed test has left; the folder can go when they are gone."""
    left = [psutil.Process(int(pid)) for pid in (folder / "cgroup.procs").read_text().split()]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    ends = time.monotonic() + 10
    while (folder / "cgroup.procs").read_text().strip() and time.monotonic() < ends:
        os.sched_yield()


@contextmanager
def house_in(group: Group) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="er-") as root:
        house = House(Path(root), wrapper=group.running())
        try:
            yield house
        finally:
            house.run("stop")


def test_a_load_that_nobody_counts_is_ended_by_the_kernel_and_told_as_out_of_memory() -> None:
    wished = (str(starter_path()), str(CONTEXT), str(SLOTS))
    with limited(LIMIT) as group:
        done = subprocess.run(
            group.running(sys.executable, "-c", LOAD, *wished),
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        assert group.kills == 1
    assert done.stdout.startswith("out_of_memory m: the worker was ended by SIGKILL"), done


def test_the_daemon_loads_the_same_in_the_same_group_and_answers() -> None:
    with limited(LIMIT) as group, house_in(group) as house:
        house.configure(f"context = {CONTEXT}\nslots = {SLOTS}\n")
        house.start()
        done = house.run("ask", "Say yes.", "--max-tokens", "4")
        assert done.returncode == 0, done.stderr
        budget = house.status()["budget"]
        assert 0 < budget["booked"] <= budget["ram"] < LIMIT - GIB
        assert group.kills == 0


def test_idle_models_make_way_for_others_before_the_kernel_has_to() -> None:
    """Two models hold 600 MiB and somebody else takes 1.5 of 2 GiB, in three seconds."""
    with limited(2 * GIB) as group, house_in(group) as house:
        for name in ("one", "two"):
            house.add_echo(name, anon=300 * MIB)
        house.start()
        for name in ("one", "two"):
            house.run("ask", "hello", "--model", name)
        before = [house.model(name)["warmth"] for name in ("one", "two")]
        hog = subprocess.Popen(
            group.running(sys.executable, "-c", HOG, "31"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with hog:
            assert hog.stdout is not None
            assert hog.stdout.readline() == "holds it all\n"
            after = [house.model(name)["warmth"] for name in ("one", "two")]
            hog.kill()
        assert before == ["warm", "warm"]
        assert "cold" in after
        assert group.kills == 0
