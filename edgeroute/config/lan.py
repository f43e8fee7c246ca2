"""`[lan]`: whether other machines of the owner are looked for, and in which networks.

Owns its keys and defaults. Nothing is used that is not named: without `enabled` there is no socket
and no packet.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta, Struct

from edgeroute.wire.toml import TomlFile

_PORT = 47433
_GIVE_MB_S = 60.0
"""Half of what a gigabit network carries."""
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,14}")


class LanTable(Struct, frozen=True):
    """`[lan]`; see `Lan` for what each key means."""

    enabled: bool = False
    networks: tuple[str, ...] = ()
    port: Annotated[int, Meta(ge=1, le=65535)] = _PORT
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    share: bool = True
    verdicts: bool = True
    give: bool = True
    give_mb_s: Annotated[float, Meta(gt=0, le=1e6)] = _GIVE_MB_S


@dataclass(frozen=True, slots=True)
class Lan:
    """How the local network is used.

    Attributes:
        networks: Networks as in `192.168.1.0/24`, and names of interfaces: none other is used.
        port: TCP, on this machine's addresses in those networks.
        name: What this machine says to be called; `None` is its host name.
        share: Paired machines may use this one's models.
        verdicts: Counts of what was found of answers are told to them, and heard from them.
        give: They may copy them, too.
        give_mb_s: Megabytes a second that all copies together may take.
    """

    networks: tuple[str, ...]
    port: int = _PORT
    name: str | None = None
    share: bool = True
    verdicts: bool = True
    give: bool = True
    give_mb_s: float = _GIVE_MB_S


def lan_of(file: TomlFile, table: LanTable) -> Lan | None:
    """The settings, checked; `None` where the network is not used.

    Raises:
        InvalidConfig: Names file, line and what to change.
    """
    for at, word in enumerate(table.networks):
        fault = _fault(word)
        if fault is not None:
            hint = "write it as in '192.168.1.0/24' or 'eth0'"
            raise file.fault(("lan", "networks", at), fault, hint)
    if not table.enabled:
        return None
    if not table.networks:
        hint = "name the networks you trust: networks = ['192.168.1.0/24']"
        raise file.fault(("lan", "enabled"), "no network is named", hint)
    return Lan(
        table.networks,
        table.port,
        table.name,
        table.share,
        table.verdicts,
        table.give,
        table.give_mb_s,
    )


def _fault(word: str) -> str | None:
    """Why a word names no network."""
    if "/" not in word:
        return None if _INTERFACE.fullmatch(word) else f"{word!r} is no network and no interface"
    try:
        ip_network(word, strict=False)
    except ValueError as error:
        return str(error)
    return None
