"""What is published of the energy of models that run elsewhere: `models/energy/cloud.toml`."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from edgeroute.catalog.folders import shipped
from edgeroute.domain.energy import RemoteEnergy
from edgeroute.wire.toml import TomlFile

Three = tuple[float, float, float]
BySize = Callable[[Three, Three, str], RemoteEnergy]
"""Joules by billions of active and of all parameters (see `routing/cloud_energy`)."""


class _Published(Struct, frozen=True):
    pattern: str
    query_j: Three
    source: str


class _Sized(Struct, frozen=True):
    pattern: str
    active_b: Three
    total_b: Three
    source: str


class _File(Struct, frozen=True):
    published: tuple[_Published, ...]
    sized: tuple[_Sized, ...]


class CloudEnergy:
    """The table.

    Args:
        by_size: Tells what a model of a size takes, the way there included.
        network_j: The way there and back, which publishers leave out.
        path: Of the file.

    Raises:
        InvalidConfig: The file is malformed.
    """

    def __init__(self, by_size: BySize, network_j: Three, path: Path | None = None) -> None:
        file = TomlFile(path or shipped("models") / "energy" / "cloud.toml").convert(_File)
        self._rows = [
            *((row.pattern, RemoteEnergy(_sums(row.query_j, network_j), (0.0,) * 3, row.source))
              for row in file.published),
            *((row.pattern, by_size(row.active_b, row.total_b, row.source))
              for row in file.sized),
        ]  # fmt: skip

    def of(self, target: str) -> RemoteEnergy | None:
        """What a query on a target takes there, by the last part of its name."""
        name = target.rsplit("/", 1)[-1].lower()
        return next((told for pattern, told in self._rows if fnmatchcase(name, pattern)), None)


def _sums(one: Three, other: Three) -> Three:
    low, likely, high = map(sum, zip(one, other, strict=True))
    return low, likely, high
