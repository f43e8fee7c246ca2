"""Reading files: what is an answer, what is a gap, and that a drawn machine stays by itself."""

import errno
import os
from pathlib import Path

import pytest

from edgeroute.domain.hardware import Gap
from edgeroute.sensors.sysfs import Tree
from tests.unit.sensors.drawn import MACHINES, Written, draw


def test_a_file_is_read_without_its_padding(tmp_path: Path) -> None:
    tree = Tree(draw(tmp_path, {"/proc/device-tree/model": "Radxa ROCK 5B\0", "/a": " x \n"}))
    assert tree.read("/proc/device-tree/model") == "Radxa ROCK 5B"
    assert tree.read("/a") == "x"
    assert tree.gaps == ()


@pytest.mark.parametrize(
    "code",
    [errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESRCH, errno.EAGAIN, errno.EINVAL,
     errno.ENODATA, errno.EOPNOTSUPP],
)  # fmt: skip
def test_what_is_not_there_is_an_answer(code: int) -> None:
    tree = Written({"/sys/a": "1"}, faults={"/sys/a": code})
    assert tree.read("/sys/a") is None
    assert tree.gaps == ()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EIO])
def test_what_cannot_be_read_is_a_gap_in_the_systems_words(code: int) -> None:
    tree = Written(faults={"/sys/a": code, "/sys/b": code})
    assert tree.read("/sys/a") is None
    assert tree.names("/sys/b") == []
    words = os.strerror(code)
    assert tree.gaps == (Gap("/sys/a", words), Gap("/sys/b", words))
    assert tree.failed("/sys/b")
    assert not tree.failed("/sys/c")


def test_a_folder_in_place_of_a_file_is_a_gap(tmp_path: Path) -> None:
    tree = Tree(draw(tmp_path, {"/proc/meminfo/x": ""}))
    assert tree.read("/proc/meminfo") is None
    assert tree.gaps == (Gap("/proc/meminfo", os.strerror(errno.EISDIR)),)


def test_a_file_in_place_of_a_folder_is_not_there(tmp_path: Path) -> None:
    tree = Tree(draw(tmp_path, {"/sys/class": "x"}))
    assert tree.names("/sys/class") == []
    assert tree.read("/sys/class/thermal/thermal_zone0/temp") is None
    assert tree.gaps == ()


def test_a_pipe_does_not_hold_up_the_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meminfo")
    assert Tree(tmp_path).read("/meminfo") == ""


def test_an_endless_file_is_given_up(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5 << 20)
    tree = Tree(tmp_path)
    assert tree.read("/big") is None
    assert tree.gaps == (Gap("/big", os.strerror(errno.EFBIG)),)


def test_no_link_leads_out_of_a_drawn_machine(tmp_path: Path) -> None:
    root = draw(tmp_path / "root", {"/sys/firmware/model": "drawn"})
    (root / "proc").mkdir()
    (root / "proc/meminfo").symlink_to("/proc/meminfo")
    (root / "sys/class").symlink_to("/sys/class")
    (root / "proc/model").symlink_to("../sys/firmware/model")
    tree = Tree(root)
    assert tree.read("/proc/meminfo") is None
    assert tree.names("/sys/class") == []
    assert tree.read("/../secret") is None
    assert tree.read("/proc/model") == "drawn"
    assert {gap.what for gap in tree.gaps} == {"/proc/meminfo", "/sys/class", "/../secret"}
    assert all("leads out of" in gap.why for gap in tree.gaps)


def test_a_link_to_itself_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    tree = Tree(tmp_path)
    assert tree.read("/loop") is None
    assert tree.gaps == (Gap("/loop", os.strerror(errno.ELOOP)),)


def test_a_path_with_nul_is_a_gap(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert tree.read("/a\0b") is None
    assert tree.names("/a\0b") == []
    assert [gap.what for gap in tree.gaps] == ["/a\0b"]


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("42\n", 42, None),
        ("+7", 7, None),
        ("max", None, None),
        ("-1", None, "-1 is out of range"),
        ("101", None, "101 is out of range"),
        ("", None, "'' is not a number"),
        ("1_000", None, "'1_000' is not a number"),
        ("٣", None, "'٣' is not a number"),
        ("9" * 5000, None, f"'{'9' * 40}' is not a number"),
    ],
)
def test_numbers(text: str, value: int | None, why: str | None) -> None:
    tree = Written({"/n": text})
    assert tree.integer("/n", high=100, word="max") == value
    assert tree.gaps == (() if why is None else (Gap("/n", why),))


def test_names_count_as_people_do() -> None:
    tree = Written({f"/zones/zone{number}/temp": "" for number in (10, 9, 2)})
    assert tree.names("/zones") == ["zone2", "zone9", "zone10"]


def test_one_file_is_one_gap() -> None:
    tree = Written({"/n": "x"})
    assert tree.integer("/n") is None
    assert tree.integer("/n") is None
    assert len(tree.gaps) == 1


@pytest.mark.parametrize("machine", MACHINES)
def test_the_tree_in_memory_reads_as_a_folder_does(machine: str, tmp_path: Path) -> None:
    files = MACHINES[machine]
    written, drawn = Written(files), Tree(draw(tmp_path, files))
    for path in [*files, "/absent", "/proc", "/proc/meminfo/x"]:
        assert written.read(path) == drawn.read(path), path
        assert written.names(path) == drawn.names(path), path
    assert written.gaps == drawn.gaps
