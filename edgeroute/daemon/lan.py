"""The local network, where the settings allow one: the mesh, built and handed to the house."""

import asyncio
import contextlib
import logging
import random
import socket
import time
from typing import TYPE_CHECKING, Any

from edgeroute import __version__
from edgeroute.config import Folders
from edgeroute.config.lan import Lan
from edgeroute.domain.belief import HERE
from edgeroute.domain.errors import LanUnavailable
from edgeroute.domain.privacy import Label
from edgeroute.runtime.experience import Experience
from edgeroute.runtime.guests import Guests
from edgeroute.runtime.providers import Providers
from edgeroute.runtime.shelf import Shelf
from edgeroute.sensors.sleep import elapsed_s

if TYPE_CHECKING:
    from edgeroute.mesh.acquainting import Acquainting
    from edgeroute.mesh.node import Node

_log = logging.getLogger(__name__)


class LocalNetwork:
    """What the house asks of the mesh (see `api.house.Neighbours`).

    Args:
        node: This machine among its peers.
        acquainting: Makes peers.
    """

    def __init__(self, node: "Node", acquainting: "Acquainting") -> None:
        self._node = node
        self._acquainting = acquainting

    async def run(self) -> None:
        """Take part until cancelled."""
        try:
            await self._node.run()
        except Exception:
            _log.exception("the local network is used no more until the next start")
            raise
        finally:
            await self._acquainting.close()

    def peers(self) -> dict[str, Any]:
        """Every paired machine, this one, and where a code is shown just now."""
        state = self._acquainting.state()
        facts = ("name", "fingerprint", "addresses")
        experience = self._node.world.experience
        return {
            **{fact: state[fact] for fact in facts},
            "verdicts": None if experience is None else experience.verdicts(HERE),
            "showing": [hint.addresses[0] for hint in self._node.showing],
            "peers": self._node.status(),
        }

    async def show_code(self, max_label: Label) -> dict[str, Any]:
        """See `Acquainting.open`."""
        return await self._acquainting.open(max_label)

    async def hide_code(self) -> dict[str, Any]:
        """See `Acquainting.close`."""
        await self._acquainting.close()
        return self._acquainting.state()

    def pairing(self) -> dict[str, Any]:
        """See `Acquainting.state`."""
        return self._acquainting.state()

    async def pair(self, where: str, code: str, max_label: Label) -> dict[str, Any]:
        """See `Acquainting.type_in`."""
        return await self._acquainting.type_in(where, code, max_label)

    async def unpair(self, name: str) -> dict[str, Any]:
        """See `Acquainting.unpair`."""
        return await self._acquainting.unpair(name)


class NoNetwork:
    """In its place where the settings allow no network; nothing is opened and nothing sent."""

    async def run(self) -> None:
        """Nothing to take part in."""
        await asyncio.get_running_loop().create_future()

    def peers(self) -> dict[str, Any]:
        """Nobody."""
        raise _unused()

    async def show_code(self, max_label: Label) -> dict[str, Any]:
        """Nobody could type it."""
        raise _unused()

    async def hide_code(self) -> dict[str, Any]:
        """There is none."""
        raise _unused()

    def pairing(self) -> dict[str, Any]:
        """There is none."""
        raise _unused()

    async def pair(self, where: str, code: str, max_label: Label) -> dict[str, Any]:
        """Nobody can be reached."""
        raise _unused()

    async def unpair(self, name: str) -> dict[str, Any]:
        """Who is paired is not read."""
        raise _unused()


def local_network(
    settings: Lan | None,
    folders: Folders,
    guests: Guests,
    providers: Providers,
    shelf: Shelf,
    experience: Experience,
) -> LocalNetwork | NoNetwork:
    """The mesh of this machine, or what stands in its place; no peer has the name of a model.

    Raises:
        InvalidConfig: The key or the list of peers cannot be used.
    """
    if settings is None:
        return NoNetwork()
    # Without a network its cryptography would be a tenth of a second of every start.
    from edgeroute.mesh.acquainting import Acquainting  # noqa: PLC0415
    from edgeroute.mesh.identity import Identity  # noqa: PLC0415
    from edgeroute.mesh.networks import Networks  # noqa: PLC0415
    from edgeroute.mesh.node import Node  # noqa: PLC0415
    from edgeroute.mesh.trust import TrustStore  # noqa: PLC0415
    from edgeroute.mesh.world import World  # noqa: PLC0415

    logging.getLogger("zeroconf").setLevel(logging.ERROR)  # it warns of every network that goes
    trust = TrustStore(folders.mesh / "peers.json")
    experience.keep_only({peer.id for peer in trust} if settings.verdicts else ())
    node = Node(
        Identity.load(folders.mesh),
        trust,
        World(
            networks=Networks(settings.networks),
            port=settings.port,
            release=__version__,
            host=guests,
            elsewhere=providers,
            experience=experience if settings.verdicts else None,
            clock=elapsed_s,  # links, and what peers were granted, end while the machine sleeps
            wall_clock=time.time,
            draw=random.random,
            held=shelf.held,
            give_bytes_s=settings.give_mb_s * 1e6,
        ),
    )

    def taken() -> set[str]:
        return {*shelf.names, *providers.names}

    return LocalNetwork(node, Acquainting(node, settings.name or _host_name(), taken))


def _host_name() -> str:
    with contextlib.suppress(OSError):
        return socket.gethostname().partition(".")[0]
    return ""


def _unused() -> LanUnavailable:
    return LanUnavailable(
        "no network is used",
        hint="in config.toml: [lan] enabled = true, networks = ['192.168.1.0/24'], and restart",
    )
