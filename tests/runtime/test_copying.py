"""A paired machine copies a model: over a pinned connection, from where it stopped, checked."""

import asyncio
import hashlib
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edgeroute.catalog import Catalog
from edgeroute.catalog.pulling import keep_copy
from edgeroute.catalog.unfinished import DiskFull, DownloadFailed
from edgeroute.domain.card import ModelCard, Tuned
from edgeroute.domain.errors import (
    DestinationBroke,
    DestinationUnreachable,
    Overloaded,
    UnknownModel,
)
from edgeroute.domain.features import Task
from edgeroute.domain.units import ModelId
from edgeroute.mesh import giving, tls
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.taking import Taking
from edgeroute.mesh.trust import TrustStore
from edgeroute.wire.copying import COPYING, CardFacts, Held, Send, Want
from edgeroute.wire.framing import encode
from edgeroute.wire.parts import parts_of, read_model
from edgeroute.wire.shape import shape_of
from tests.catalog_places import CatalogPlaces
from tests.runtime.test_mesh import (
    HERE,
    Machine,
    identity,
    no_multicast,  # noqa: F401 - a fixture
    paired,
)
from tests.unit.wire.gguf_files import TENSORS, Tensor, gguf, split

TUNED = Tuned("parent", "0" * 64, "Q8_0", 0.1, 0.9, 1.3, 1.5, "2026-11-24, engine 1")
WEIGHTS = (Tensor("token_embd.weight", (64, 40_000), "Q8_0"), *TENSORS[1:])


def model(folder: Path, name: str = "big", parts: int = 1) -> ModelCard:
    """A sound GGUF file of 2.7 MB, no two blocks alike, with a card that says more than it does."""
    folder.mkdir(parents=True, exist_ok=True)
    path, data = folder / f"{name}.gguf", gguf(tensors=WEIGHTS)
    path.write_bytes(data[:4096] + hashlib.shake_128(name.encode()).digest(len(data) - 4096))
    if parts > 1:
        path = split(path, folder, parts)[0]
    whole = b"".join(part.read_bytes() for part in parts_of(path))
    return ModelCard(
        id=ModelId(name),
        path=str(path),
        sha256=hashlib.sha256(whole).hexdigest(),
        shape=shape_of(read_model(path)),
        family="theirs",
        licence="MIT",
        scores={Task.MATH: 0.75},
        scores_source="measured there",
        tuned=TUNED,
    )


class Places(CatalogPlaces):
    def partials(self) -> list[Path]:
        return sorted(self.data.rglob("*.partial"))

    def cards(self) -> tuple[ModelCard, ...]:
        return Catalog.load(self).cards


aside = asyncio.to_thread


def content(card: ModelCard) -> list[bytes]:
    return [part.read_bytes() for part in parts_of(Path(card.path))]


class Copier:
    """A user at one machine who copies from the other."""

    def __init__(self, desk: Machine, lap: Machine, folder: Path) -> None:
        self.identity = lap.node.identity
        (self.peer,) = lap.node.trust
        self._peers = folder.parent / "b" / "peers.json"
        self.door = (HERE, desk.node.world.port)
        self.places = Places(folder)
        self.told: list[tuple[int, int]] = []
        self.doing: Callable[[int], object] = lambda _done: None

    def taking(self) -> Taking:
        trusts = TrustStore(self._peers).still_trusts
        return Taking(self.identity, self.peer, [self.door], trusts)

    async def copy(self, wanted: str = "big", name: str | None = None) -> ModelCard:
        return await aside(self._copy, wanted, name)

    def _copy(self, wanted: str, name: str | None) -> ModelCard:
        with closing(self.taking()) as taking:
            held = taking.want(wanted)
            source = f"{self.peer.name}/{wanted}"
            return keep_copy(self.places, source, held, taking.fetch, name, self._tell)

    def _tell(self, _what: str, done: int, size: int) -> None:
        self.told.append((done, size))
        self.doing(done)


async def test_a_copy_is_the_file_and_its_card(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        card = await copier.copy()
        assert await aside(content, card) == await aside(content, theirs)
        assert card == replace(theirs, path=card.path)
        assert card in await aside(copier.places.cards)
        size = theirs.shape.file_bytes
        assert copier.told[-1] == (size, size)
        assert await aside(copier.places.partials) == []
        copier.told.clear()
        assert await copier.copy() == card
        assert copier.told == []
        again = await copier.copy(name="mine")
        assert (again.id, again.sha256, again.tuned) == ("mine", card.sha256, TUNED)


async def test_a_model_in_parts_comes_whole(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = desk.host.cards["big"] = await aside(model, tmp_path / "theirs", "big", 3)
        card = await Copier(desk, lap, tmp_path / "mine").copy()
        assert await aside(content, card) == await aside(content, theirs)
        assert card.sha256 == theirs.sha256


async def test_a_copy_that_was_cut_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier, loop = Copier(desk, lap, tmp_path / "mine"), asyncio.get_running_loop()
        copier.doing = lambda _done: loop.call_soon_threadsafe(desk.node.giving.cut)
        desk.node.giving.pace = giving.Pace(20e6)  # so that it is not over before it is cut
        with pytest.raises(DestinationBroke, match="the copy stopped after") as broke:
            await copier.copy()
        assert broke.value.hint == "pull it again: it goes on where it stopped"
        (partial,) = await aside(copier.places.partials)
        had = (await aside(partial.stat)).st_size
        assert 0 < had < theirs.shape.file_bytes
        copier.doing = lambda _done: None
        copier.told.clear()
        card = await copier.copy()
        assert await aside(content, card) == await aside(content, theirs)
        assert had < copier.told[0][0] <= had + (1 << 18)


async def test_unpairing_ends_a_copy_from_that_machine_at_once(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier, loop = Copier(desk, lap, tmp_path / "mine"), asyncio.get_running_loop()
        desk.node.giving.pace = giving.Pace(20e6)

        def unpair(_done: int) -> None:
            asyncio.run_coroutine_threadsafe(lap.node.forget(copier.peer), loop).result()

        copier.doing = unpair
        with pytest.raises(DestinationBroke, match="desk was unpaired: the copy stopped after 256"):
            await copier.copy()
        (partial,) = await aside(copier.places.partials)
        assert (await aside(partial.stat)).st_size == 1 << 18
        assert (await aside(partial.stat)).st_size < theirs.shape.file_bytes


async def test_other_bytes_than_were_promised_are_thrown_away(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = await aside(model, tmp_path / "theirs")
        desk.host.cards["big"] = replace(theirs, sha256="1" * 64)
        copier = Copier(desk, lap, tmp_path / "mine")
        with pytest.raises(DownloadFailed, match="is not 1111"):
            await copier.copy()
        assert await aside(copier.places.partials) == []
        assert "big" not in {card.id for card in await aside(copier.places.cards)}


async def test_a_full_disk_is_told_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with paired(tmp_path) as (desk, lap):
        desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        full = (await aside(shutil.disk_usage, tmp_path))._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)
        with pytest.raises(DiskFull, match="1000 B free"):
            await copier.copy()
        assert copier.told == []


async def test_what_is_not_given_says_why_and_the_next_wish_is_heard(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        with pytest.raises(UnknownModel, match="desk: it has no model 'none'"):
            await copier.copy("none")
        assert (await copier.copy()).id == "big"


async def test_copies_are_as_many_at_once_as_there_are_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving, "MOST", 1)
    async with paired(tmp_path) as (desk, lap):
        desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        first = await aside(copier.taking)
        with closing(first), pytest.raises(Overloaded, match="1 copies"):
            await copier.copy()


# ---- who gets nothing -------------------------------------------------------------------------


async def test_a_stranger_copies_nothing(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        copier.identity = await identity(tmp_path / "mallory")
        with pytest.raises(DestinationBroke, match="hung up"):
            await copier.copy()


async def test_another_machine_at_the_address_of_a_peer_is_told_nothing(tmp_path: Path) -> None:
    async with paired(tmp_path) as (_desk, lap):
        mallory = await identity(tmp_path / "mallory")
        assert await aside(_heard_by, mallory, lap) == COPYING


def _heard_by(mallory: Identity, lap: Machine) -> bytes:
    """What a false machine hears after the preface; the caller sees its certificate first."""
    (peer,) = lap.node.trust
    context = tls.linking(mallory, [lap.node.identity.certificate], accepts=True)
    with socket.create_server((HERE, 0)) as server, ThreadPoolExecutor(1) as threads:
        door = (HERE, server.getsockname()[1])
        calling = threads.submit(
            Taking, lap.node.identity, peer, [door], lap.node.trust.still_trusts
        )
        plain, _ = server.accept()
        with plain:
            heard = plain.recv(4)
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(plain, server_side=True)
        with pytest.raises(DestinationUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            calling.result()
    return heard


async def test_unpairing_ends_a_copy_at_once(tmp_path: Path) -> None:
    async with paired(tmp_path) as (desk, lap):
        theirs = desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier, loop = Copier(desk, lap, tmp_path / "mine"), asyncio.get_running_loop()
        desk.node.giving.pace = giving.Pace(20e6)
        (guest,) = desk.node.trust
        copier.doing = lambda _done: asyncio.run_coroutine_threadsafe(
            desk.node.forget(guest), loop
        ).result()
        with pytest.raises(DestinationBroke):
            await copier.copy()
        assert copier.told[-1][0] < theirs.shape.file_bytes
        copier.doing = lambda _done: None
        with pytest.raises(DestinationUnreachable):  # nobody is paired any more: no door
            await copier.copy()


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        encode(Send(0, 0)),
        encode(Want("big")) + encode(Send(7, 0)),
        encode(Held("0" * 64, (1,), CardFacts())),
    ],
)
async def test_who_does_not_keep_to_the_protocol_is_cut_off(tmp_path: Path, said: bytes) -> None:
    async with paired(tmp_path) as (desk, lap):
        desk.host.cards["big"] = await aside(model, tmp_path / "theirs")
        copier = Copier(desk, lap, tmp_path / "mine")
        assert len(await aside(_answer, copier, said)) < 4096
        assert (await copier.copy()).id == "big"


def _answer(copier: Copier, said: bytes) -> bytes:
    """All that is heard until the other side hangs up."""
    context = tls.linking(copier.identity, [copier.peer.certificate], accepts=False)
    with socket.create_connection(copier.door, timeout=20) as plain:
        plain.sendall(COPYING)
        with context.wrap_socket(plain) as connection:
            connection.sendall(said)
            heard = b""
            with suppress(ConnectionResetError, ssl.SSLEOFError):  # it read no further
                while data := connection.recv(4096):
                    heard += data
            return heard


def test_a_pace_is_kept_by_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    pace = giving.Pace(1e6)
    for _ in range(4):
        pace.take(500_000)
    assert slept == [0.5, 1.0, 1.5]
