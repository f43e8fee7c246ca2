"""Board names and Jetson releases."""

import pytest

from edgeroute.sensors.jetson import is_tegra, read_board, read_release
from tests.unit.sensors.drawn import LAPTOP, ORIN_NANO, ROCK_5B, Files, Written

COMPATIBLE = "/proc/device-tree/compatible"
RELEASE = "/etc/nv_tegra_release"


@pytest.mark.parametrize(
    ("files", "board", "tegra", "release"),
    [
        (ORIN_NANO, "NVIDIA Jetson Orin Nano Developer Kit", True, "R36.4.3"),
        (ROCK_5B, "Radxa ROCK 5B", False, None),
        (LAPTOP, "ThinkPad P1 Gen 6", False, None),
    ],
)
def test_boards(files: Files, board: str, tegra: bool, release: str | None) -> None:  # noqa: FBT001
    tree = Written(files)
    assert (read_board(tree), is_tegra(tree), read_release(tree)) == (board, tegra, release)
    assert tree.gaps == ()


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R32 (release), REVISION: 7.5, GCID: 36557915, BOARD: t210ref\n", "R32.7.5"),
        ("# R38 (release), REVISION: 2.0, GCID: 41844464\n", "R38.2.0"),
        ("R36\n", None),
    ],
)
def test_releases(text: str, release: str | None) -> None:
    tree = Written({RELEASE: text})
    assert read_release(tree) == release
    assert tree.failed(RELEASE) == (release is None)


def test_a_container_on_a_jetson_knows_the_chip_but_not_the_release() -> None:
    tree = Written({COMPATIBLE: "nvidia,p3701-0000\0nvidia,tegra234\0"})
    assert is_tegra(tree)
    assert read_release(tree) is None
    assert [gap.what for gap in tree.gaps] == [RELEASE]


def test_a_board_without_a_name_is_a_gap() -> None:
    tree = Written()
    assert read_board(tree) is None
    assert [gap.what for gap in tree.gaps] == ["board name"]
