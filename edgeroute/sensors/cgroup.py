"""Where this process stands in the control groups, version 1 or 2.

Owns finding the folders whose limits bind the process. What a limit file says is known by the
sensor that reads it.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgeroute.sensors.sysfs import Tree

V1, V2 = 1, 2

# id parent device ROOT FOLDER options [tags...] - TYPE source OPTIONS
_MOUNT = re.compile(r"\S+ \S+ \S+ (\S+) (/\S*) .* - (\S+) \S+ (\S+)")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Group:
    """A control group: version of its hierarchy (`V1`, `V2`), and its folder."""

    version: int
    folder: str


@dataclass(frozen=True, slots=True)
class _Membership:
    """A line of `/proc/self/cgroup`; `controllers` is empty in version 2."""

    version: int
    controllers: str
    path: str


@dataclass(frozen=True, slots=True)
class _Mount:
    """What part of a hierarchy is shown, and where."""

    path: str
    folder: str


def ancestors(tree: Tree, controller: str) -> tuple[Group, ...]:
    """Groups that limit `controller` for this process, its own first, the visible root last.

    In a container the process's path may lead nowhere under the mount. Such folders are named
    all the same (reading them says "not there"); the mount's root is what limits then.
    """
    member = _membership(tree, controller)
    if member is None:
        return ()
    mount = _mount(tree, member.version, controller)
    if mount is None:  # a drawn machine without a mount table: where every distribution has them
        mount = _Mount("/", f"/sys/fs/cgroup/{member.controllers}")
    below = _below(member.path, mount.path)
    return tuple(
        Group(member.version, str(PurePosixPath(mount.folder) / step))
        for step in (below, *below.parents)
    )


def _membership(tree: Tree, controller: str) -> _Membership | None:
    """Where the process is. A controller is in version 1 where a line names it, else in 2."""
    unified = None
    for line in (tree.read("/proc/self/cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            return _Membership(V1, controllers, path)
        if hierarchy == "0" and not controllers:
            unified = _Membership(V2, "", path)
    return unified


def _mount(tree: Tree, version: int, controller: str) -> _Mount | None:
    for line in (tree.read("/proc/self/mountinfo") or "").splitlines():
        match = _MOUNT.fullmatch(line)
        if match is None:
            continue
        path, folder, kind, options = match.groups()
        if version == V2:
            found = kind == "cgroup2"
        else:
            found = kind == "cgroup" and controller in options.split(",")
        if found:
            return _Mount(_unescape(path), _unescape(folder))
    return None


def _unescape(field: str) -> str:
    return _OCTAL.sub(lambda code: chr(int(code[1], 8)), field)


def _below(path: str, mounted: str) -> PurePosixPath:
    """The path as seen from the mount; `.` where the mount does not show it."""
    place = PurePosixPath(path)
    if ".." in place.parts or not place.is_relative_to(mounted):
        return PurePosixPath()
    return place.relative_to(mounted)
