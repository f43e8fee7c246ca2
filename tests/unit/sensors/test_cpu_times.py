"""CPU seconds of everybody and of processes, from drawn machines and the real one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.sensors.cpu_times import read_cpu_times
from edgeroute.sensors.machine import Machine
from edgeroute.sensors.sysfs import Tree

STAT = """cpu  1 1 1 1 1 1 1 1 1 1
cpu0 100 20 30 9000 500 6 7 8 90 10
cpu1 1000 0 0 9000 0 0 0 0 1000 0
cpu10 7 0 0 0 0 0 0 0 0 0
intr 5 5 5
ctxt 99
"""
PROCESS = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7000 8000 20 0 1 0 99 1 1\n"
TICKS = os.sysconf("SC_CLK_TCK")


def drawn(root: Path, **files: str) -> Tree:
    for name, text in files.items():
        path = root / "proc" / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(root)


def test_idle_time_and_time_that_is_told_twice_do_not_count(tmp_path: Path) -> None:
    times = read_cpu_times(drawn(tmp_path, stat=STAT), (0,), ())
    assert times is not None
    assert times.everybody * TICKS == 100 + 20 + 30 + 6 + 7 + 8


def test_only_the_cpus_that_are_asked_for_count(tmp_path: Path) -> None:
    times = read_cpu_times(drawn(tmp_path, stat=STAT), (1, 10), ())
    assert times is not None
    assert times.everybody * TICKS == 1007


def test_a_process_is_known_by_its_own_ticks_whatever_its_name(tmp_path: Path) -> None:
    tree = drawn(tmp_path, stat=STAT, **{"42_stat": PROCESS, "43_stat": "43 (x) S 1"})
    times = read_cpu_times(tree, (0,), (42, 43, 44))
    assert times is not None
    assert {pid: spent * TICKS for pid, spent in times.processes.items()} == {42: 300.0}


@pytest.mark.parametrize("stat", ["", "cpu  1 2 3\n", "nonsense"])
def test_a_machine_that_does_not_tell_is_not_an_idle_one(tmp_path: Path, stat: str) -> None:
    assert read_cpu_times(drawn(tmp_path, stat=stat), (0, 1), ()) is None
    assert Machine(tmp_path).cpu_times((0,), ()) is None


@given(stat=st.text(), process=st.text())
def test_nothing_that_a_file_says_raises(
    tmp_path_factory: pytest.TempPathFactory, stat: str, process: str
) -> None:
    root = tmp_path_factory.mktemp("machine")
    tree = drawn(root, stat=f"cpu0 {stat}", **{"1_stat": f"1 (x) S {process}"})
    read_cpu_times(tree, (0,), (1,))


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc")
def test_this_process_is_seen_to_compute() -> None:
    machine, me = Machine(), os.getpid()
    cpus = machine.hardware().cpu.allowed
    before = machine.cpu_times(cpus, (me,))
    began = os.times()
    while os.times().user - began.user < 0.1:
        sum(range(10_000))
    after = machine.cpu_times(cpus, (me,))
    assert before is not None
    assert after is not None
    assert after.processes[me] - before.processes[me] > 0.05
    assert after.everybody > before.everybody
