"""`pull peer:NAME/MODEL`: a model copied from a paired machine.

Owns how the peer is found: where the daemon says that it is, else where it was before, and in no
network that is not used.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Final

from edgeroute.catalog.pulling import Progress, keep_copy
from edgeroute.client import Client
from edgeroute.config import Folders, Settings
from edgeroute.config.lan import Lan
from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, LanUnavailable
from edgeroute.domain.peer import Peer

PREFIX: Final = "peer:"


def copy(folders: Folders, source: str, name: str | None, progress: Progress) -> ModelCard:
    """Copy a model from a paired machine and make it known.

    Args:
        folders: The user's folders.
        source: `peer:NAME/MODEL`.
        name: The id to use; without one it keeps the one it has there.
        progress: Told how far it is.

    Raises:
        EdgeRouteError: Why it cannot, and what would change that; what was fetched stays.
    """
    # Its cryptography would be a tenth of a second of every other command.
    from edgeroute.mesh.identity import Identity  # noqa: PLC0415
    from edgeroute.mesh.taking import Taking  # noqa: PLC0415
    from edgeroute.mesh.trust import TrustStore  # noqa: PLC0415

    peer_name, slash, model = source.removeprefix(PREFIX).partition("/")
    if not (peer_name and slash and model):
        raise InvalidRequest(
            f"{source!r} names no model of a peer",
            hint="write peer:NAME/MODEL, as in peer:desk/big",
        )
    lan = Settings.load(folders).lan
    if lan is None:
        raise LanUnavailable(
            "no network is used",
            hint="in config.toml: [lan] enabled = true, networks = ['192.168.1.0/24']",
        )
    trust = TrustStore(folders.mesh / "peers.json")
    peer = trust.named(peer_name)
    doors = _doors(folders, lan, peer)
    with closing(Taking(Identity.load(folders.mesh), peer, doors, trust.still_trusts)) as taking:
        held = taking.want(model)
        return keep_copy(folders, f"{peer.name}/{model}", held, taking.fetch, name, progress)


def _doors(folders: Folders, lan: Lan, peer: Peer) -> Iterator[tuple[str, int]]:
    from edgeroute.mesh.networks import Networks, split  # noqa: PLC0415

    networks = Networks(lan.networks)
    networks.look()
    for address in dict.fromkeys((*_seen(folders, peer), *peer.addresses)):
        host, port = split(address, lan.port)
        if networks.permits(host):
            yield host, port


def _seen(folders: Folders, peer: Peer) -> list[str]:
    """Where a running daemon knows a peer to be."""
    with suppress(EdgeRouteError), Client(folders.http_socket) as client:
        told = client.get("/edgeroute/peers")["peers"]
        return [door for each in told if each["id"] == peer.id for door in each["doors"]]
    return []
