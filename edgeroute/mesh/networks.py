"""Which networks are used: those that the user named, and nothing on any other.

Owns the addresses to listen on and whether an address may be called or may call.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Reported(Protocol):
    """One address of an interface, as psutil tells it."""

    family: int
    address: str
    netmask: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """An address of this machine in a network that is used.

    Attributes:
        index: Of the interface; link-local addresses mean nothing without it.
    """

    interface: str
    index: int
    address: Address
    network: Network

    @property
    def host(self) -> str:
        """The address as sockets take it."""
        return scoped(self.address, self.interface)


def scoped(address: Address, interface: str) -> str:
    """An address as sockets take it: link-local ones name their interface."""
    scoped_only = isinstance(address, ipaddress.IPv6Address) and address.is_link_local
    return f"{address}%{interface}" if scoped_only else str(address)


def caller_of(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end, as sockets take it; empty where that is not known any more."""
    host, _, *more = transport.get_extra_info("peername") or ("", 0)
    with contextlib.suppress(ValueError, OSError):  # no address, or its interface is gone
        return scoped(ipaddress.ip_address(host), socket.if_indextoname(more[-1]) if more else "")
    return str(host)


class Networks:
    """The networks that the user allowed.

    Args:
        allowed: Networks as in `192.168.1.0/24`, and names of interfaces.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        networks = {word: as_network(word) for word in allowed}
        self._networks = [network for network in networks.values() if network is not None]
        self._interfaces = {word for word, network in networks.items() if network is None}
        self.places: tuple[Place, ...] = ()

    def look(self) -> bool:
        """Read this machine's addresses again; whether something has changed."""
        found = tuple(self._chosen(psutil.net_if_addrs()))
        changed = found != self.places
        self.places = found
        return changed

    def permits(self, host: str) -> bool:
        """Whether an address, as sockets write it, belongs to a network that is used."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:  # noqa: PLR2004
            address = address.ipv4_mapped
        everywhere = [*self._networks, *(place.network for place in self.places)]
        return any(address in network for network in everywhere)

    def _chosen(self, interfaces: Mapping[str, Iterable[_Reported]]) -> Iterable[Place]:
        for name, addresses in sorted(interfaces.items()):
            for reported in addresses:
                if reported.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                host = reported.address.partition("%")[0]
                address = ipaddress.ip_address(host)
                network = ipaddress.ip_network((host, _prefix(reported.netmask)), strict=False)
                if name in self._interfaces or any(address in each for each in self._networks):
                    yield Place(name, socket.if_nametoindex(name), address, network)


def as_network(word: str) -> Network | None:
    """A network, or `None` for what must then be the name of an interface.

    Raises:
        ValueError: It looks like a network and is none.
    """
    if "/" in word:
        return ipaddress.ip_network(word, strict=False)
    return None


def _prefix(netmask: str | None) -> int:
    """Bits of a mask in either notation."""
    if netmask is None:
        return 0
    return int(ipaddress.ip_address(netmask)).bit_count()


def split(address: str, port: int) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[HOST]:PORT`; `port` where it names none.

    Raises:
        ValueError: It is no address, or the port no number.
    """
    host, colon, number = address.rpartition(":")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise ValueError("its bracket does not close")
        colon, number = rest[:1], rest[1:]
    elif not colon or ":" in host:  # an IPv6 address without a port
        host, colon, number = address, "", ""
    ipaddress.ip_address(host.partition("%")[0])
    chosen = int(number) if colon else port
    if not 0 < chosen < 1 << 16:
        raise ValueError(f"{chosen} is no port")
    return host, chosen


def join(host: str, port: int) -> str:
    """An address as `split` reads it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
