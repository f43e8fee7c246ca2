"""What a node needs besides its own room: the house that it serves, and the world's facts."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from edgeroute.domain.card import ModelCard
from edgeroute.domain.peer import DeviceId
from edgeroute.domain.request import Chunk
from edgeroute.mesh.networks import Networks
from edgeroute.mesh.provider import PeerProvider
from edgeroute.wire.findings import Findings, Heard
from edgeroute.wire.link import Method, Offer


class Host(Protocol):
    """What this machine does for its peers."""

    def offers(self, guests: Collection[str]) -> Mapping[str, Offer]:
        """What it would do now, for each of those who are there."""
        ...

    def answer(self, guest: str, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        """Answer a peer's question."""
        ...


class Elsewhere(Protocol):
    """Where this machine keeps those who answer besides itself."""

    def add(self, provider: PeerProvider) -> None:
        """A peer may be asked from now on."""
        ...

    def remove(self, name: str) -> None:
        """A peer is asked no more."""
        ...

    def look_again(self, name: str) -> None:
        """What a peer offers, or whether it is there, has changed."""
        ...


class Experience(Protocol):
    """What this machine found of models, and what its peers did."""

    def findings(self, heard: Heard) -> Findings | None:
        """What a peer has not heard of it, as much as one message takes; `None` of nothing."""
        ...

    def heard(self, peer: DeviceId) -> Heard:
        """How far a peer has been heard."""
        ...

    def take(self, peer: DeviceId, findings: Findings) -> None:
        """Hear a peer.

        Raises:
            EdgeRouteError: What it says cannot be, or is too much.
        """
        ...

    def forget(self, peer: DeviceId) -> None:
        """Drop all that a peer has told."""
        ...

    def verdicts(self, machine: str) -> int:
        """How many verdicts of a machine are known, `domain.belief.HERE` or a peer's id."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a node needs besides its own room.

    Attributes:
        port: Of the door, here and on every peer that does not say otherwise.
        release: Version of EdgeRoute here.
        experience: `None` where verdicts are neither told nor heard.
        clock: Seconds that never go back, and go on while the machine sleeps.
        wall_clock: Unix seconds.
        draw: Uniform in 0..1.
        held: A model whose files peers may copy, by its name; raises `EdgeRouteError`.
        give_bytes_s: Bytes a second, for all copies together.
    """

    networks: Networks
    port: int
    release: str
    host: Host
    elsewhere: Elsewhere
    experience: Experience | None
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    draw: Callable[[], float]
    held: Callable[[str], ModelCard]
    give_bytes_s: float
