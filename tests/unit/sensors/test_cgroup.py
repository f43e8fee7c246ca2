"""Which control groups bind this process, through mounts that may show a part only."""

import pytest

from edgeroute.sensors.cgroup import V1, V2, Group, ancestors
from tests.unit.sensors.drawn import Files, Written, cgroup_v1, cgroup_v2


def folders(*parts: Files, controller: str = "memory") -> list[str]:
    return [group.folder for group in ancestors(Written(*parts), controller)]


def test_version_2_names_every_ancestor_up_to_the_mount() -> None:
    assert ancestors(Written(cgroup_v2("/user.slice/app.scope", {})), "memory") == (
        Group(V2, "/sys/fs/cgroup/user.slice/app.scope"),
        Group(V2, "/sys/fs/cgroup/user.slice"),
        Group(V2, "/sys/fs/cgroup"),
    )


def test_version_1_finds_the_hierarchy_of_the_controller() -> None:
    drawn = Written(cgroup_v1("/a/b", {}))
    assert ancestors(drawn, "memory") == (
        Group(V1, "/sys/fs/cgroup/memory/a/b"),
        Group(V1, "/sys/fs/cgroup/memory/a"),
        Group(V1, "/sys/fs/cgroup/memory"),
    )
    assert ancestors(drawn, "cpu")[0] == Group(V1, "/sys/fs/cgroup/cpu,cpuacct/a/b")
    assert [group.version for group in ancestors(drawn, "pids")] == [V2]


def test_a_mount_that_shows_the_containers_group_is_its_root() -> None:
    shown = cgroup_v1("/docker/4f2a/inner", {}, shown="/docker/4f2a")
    assert folders(shown) == ["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"]


@pytest.mark.parametrize("path", ["/docker/other", "/../../system.slice", "/docker/4f2"])
def test_a_path_that_the_mount_does_not_show_leaves_its_root(path: str) -> None:
    assert folders(cgroup_v1(path, {}, shown="/docker/4f2a")) == ["/sys/fs/cgroup/memory"]


def test_a_path_above_the_namespace_leaves_the_root() -> None:
    assert folders(cgroup_v2("/../system.slice", {})) == ["/sys/fs/cgroup"]


def test_without_a_mount_table_the_usual_places_are_meant() -> None:
    assert folders({"/proc/self/cgroup": "0::/a\n"}) == ["/sys/fs/cgroup/a", "/sys/fs/cgroup"]
    v1 = {"/proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/\n"}
    assert folders(v1) == ["/sys/fs/cgroup/memory"]
    assert folders(v1, controller="cpu") == ["/sys/fs/cgroup/cpu,cpuacct"]


def test_a_mount_of_another_kind_is_passed_over() -> None:
    mounts = (
        "30 23 0:27 / /mnt rw - fuse.lxcfs memory rw,memory\n"
        "31 23 0:28 / /groups rw - cgroup memory rw,memory\n"
    )
    files = {"/proc/self/cgroup": "4:memory:/\n", "/proc/self/mountinfo": mounts}
    assert folders(files) == ["/groups"]


def test_a_mount_point_with_a_space_is_written_in_octal() -> None:
    mounts = "31 23 0:28 / /mnt/my\\040groups rw - cgroup2 none rw\n"
    files = {"/proc/self/cgroup": "0::/a\n", "/proc/self/mountinfo": mounts}
    assert folders(files) == ["/mnt/my groups/a", "/mnt/my groups"]


@pytest.mark.parametrize("text", ["", "nonsense", "1:name=systemd:/\n"])
def test_no_membership_is_no_group(text: str) -> None:
    assert folders({"/proc/self/cgroup": text}) == []
