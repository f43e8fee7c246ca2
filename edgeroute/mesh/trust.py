"""Who is trusted: the paired machines, kept between runs.

Owns their file. What is not in it does not exist, whatever the network says.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from edgeroute.domain.errors import InvalidConfig, NotFound
from edgeroute.domain.peer import DeviceId, Peer
from edgeroute.mesh.identity import device_of, write_private
from edgeroute.wire.undecodable import UNDECODABLE

_MOST = 64
"""Machines of one owner."""
_ADDRESSES = 4
"""Remembered of each."""


class TrustStore:
    """The paired machines.

    Args:
        path: Their file; made with the first.

    Raises:
        InvalidConfig: It is damaged or cannot be read: nobody is trusted by half a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()
        self._seen = _version(path)
        self._peers = _read(path)

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, device: DeviceId) -> Peer | None:
        """A paired machine by its id."""
        return self._peers.get(device)

    def holder(self, certificate: bytes) -> Peer | None:
        """Whose certificate this is, to the byte; `None` is a stranger's."""
        return next((p for p in self._peers.values() if p.certificate == certificate), None)

    def still_trusts(self, peer: Peer) -> bool:
        """Whether a machine is trusted by the file as it is now: the daemon writes it.

        Raises:
            InvalidConfig: It is damaged or cannot be read.
        """
        version = _version(self._path)
        if version != self._seen:
            self._seen, self._peers = version, _read(self._path)
        return self.holder(peer.certificate) is not None

    def named(self, name: str) -> Peer:
        """A paired machine by its name here, its id, or the beginning of its id.

        Raises:
            NotFound: There is none.
        """
        key = name.replace(" ", "")
        found = [p for p in self._peers.values() if p.name == name]
        found = found or [p for p in self._peers.values() if len(key) > 7 and p.id.startswith(key)]  # noqa: PLR2004 - 32 bits
        if len(found) != 1:
            known = ", ".join(sorted(peer.name for peer in self._peers.values()))
            raise NotFound(
                f"there is no paired machine {name!r}",
                hint=f"paired: {known}" if known else "pair one with: edgeroute pair",
            )
        return found[0]

    async def add(self, peer: Peer) -> None:
        """Trust a machine; it replaces what was known of it.

        Raises:
            InvalidConfig: There are too many, or the file cannot be written.
        """
        if peer.id not in self._peers and len(self._peers) >= _MOST:
            raise InvalidConfig(f"{_MOST} machines are paired", hint="unpair one")
        self._peers[peer.id] = peer
        await self._write()

    async def remove(self, device: DeviceId) -> None:
        """Trust a machine no more, from this moment on.

        Raises:
            InvalidConfig: The file cannot be written.
        """
        self._peers.pop(device, None)
        await self._write()

    async def note_address(self, device: DeviceId, address: str) -> None:
        """Remember where a machine was reached.

        Raises:
            InvalidConfig: The file cannot be written.
        """
        peer = self._peers.get(device)
        if peer is not None and peer.addresses[:1] != (address,):
            others = tuple(each for each in peer.addresses if each != address)
            self._peers[device] = replace(peer, addresses=(address, *others)[:_ADDRESSES])
            await self._write()

    async def _write(self) -> None:
        """Keep who is trusted now; of two changes at once the later one is written last."""
        async with self._writing:
            content = msgspec.json.encode(list(self._peers.values()))
            try:
                await asyncio.to_thread(write_private, self._path, content)
            except OSError as error:
                raise InvalidConfig(f"{self._path}: {error.strerror}") from error


def _version(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is replaced; `None` where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from error
    return found.st_ino, found.st_mtime_ns


def _read(path: Path) -> dict[DeviceId, Peer]:
    try:
        peers = msgspec.json.decode(path.read_bytes(), type=list[Peer])
        return {device_of(peer.certificate): peer for peer in peers}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from error
    except (*UNDECODABLE, ValueError) as error:
        raise InvalidConfig(
            f"{path} is damaged: {error}", hint="remove it, and pair the machines anew"
        ) from error
