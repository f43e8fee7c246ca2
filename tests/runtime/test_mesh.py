"""Machines on a real network of one host: who is not paired gets nothing, who is gets answers.

Two nodes with real sockets, TLS and files, without multicast and without models.
"""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import (
    DestinationFailed,
    DestinationUnreachable,
    EdgeRouteError,
    InvalidRequest,
    LanUnavailable,
    Overloaded,
    PairingFailed,
    UnknownModel,
)
from edgeroute.domain.peer import Peer
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import Chunk, Message, Request, Usage
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.mesh import identity as identities
from edgeroute.mesh import link as links
from edgeroute.mesh import node as nodes
from edgeroute.mesh import tls
from edgeroute.mesh.acquainting import Acquainting
from edgeroute.mesh.exchange import MOST_AT_ONCE
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.link import MAX_ASKED, Link
from edgeroute.mesh.listening import dial
from edgeroute.mesh.networks import Networks
from edgeroute.mesh.node import Node
from edgeroute.mesh.provider import PeerProvider
from edgeroute.mesh.streams import WINDOW
from edgeroute.mesh.trust import TrustStore
from edgeroute.mesh.world import World
from edgeroute.ports import ApprovedPayload
from edgeroute.wire.findings import Findings, Heard
from edgeroute.wire.framing import encode
from edgeroute.wire.link import LINK, PAIRING, Ask, Hello, Method, Offer, OfferedModel, Ping
from edgeroute.wire.openai import encode_json

MODEL = OfferedModel("m", "0" * 64, 4096, 1_000_000, 100.0, 10.0, warm=True)
USAGE = Usage(3, 2)
HERE = "127.0.0.1"


class FakeHost:
    """Answers what it is told to; records who asked and what was cancelled."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Method, bytes]] = []
        self.chunks: list[Chunk] = [Chunk("hel"), Chunk("lo", "stop", USAGE)]
        self.error: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.ended = asyncio.Event()
        self.sent = 0
        self.offered = Offer((MODEL,))
        self.cards: dict[str, ModelCard] = {}

    def offers(self, guests: Collection[str]) -> dict[str, Offer]:
        return dict.fromkeys(guests, self.offered)

    def held(self, model: str) -> ModelCard:
        if model not in self.cards:
            raise UnknownModel(f"it has no model {model!r}")
        return self.cards[model]

    async def answer(self, guest: str, method: Method, body: bytes) -> AsyncGenerator[Chunk, None]:
        self.asked.append((guest, method, body))
        try:
            for chunk in self.chunks:
                yield chunk
                self.sent += 1
                await self.hold.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.ended.set()


class FakeExperience:
    """Knows what it is told to know; records what is heard."""

    def __init__(self) -> None:
        self.news: list[Findings] = []
        self.taken: list[tuple[str, Findings]] = []
        self.forgotten: list[str] = []
        self.error: EdgeRouteError | None = None
        self.took = asyncio.Event()

    def findings(self, heard: Heard) -> Findings | None:
        return next((news for news in self.news if news.number > heard.number), None)

    def heard(self, peer: str) -> Heard:
        numbers = [findings.number for who, findings in self.taken if who == peer]
        return Heard(1, max(numbers, default=0))

    def take(self, peer: str, findings: Findings) -> None:
        self.took.set()
        if self.error is not None:
            raise self.error
        self.taken.append((peer, findings))

    def forget(self, peer: str) -> None:
        self.forgotten.append(peer)

    def verdicts(self, machine: str) -> int:
        return sum(who == machine for who, _ in self.taken)


class FakeElsewhere:
    """Keeps providers as the runtime would, and tells of every change."""

    def __init__(self) -> None:
        self.providers: dict[str, PeerProvider] = {}
        self.changed = asyncio.Condition()

    def add(self, provider: PeerProvider) -> None:
        self.providers[provider.name] = provider
        self.look_again(provider.name)

    def remove(self, name: str) -> None:
        self.providers.pop(name, None)
        self.look_again(name)

    def look_again(self, name: str) -> None:
        async def tell() -> None:
            async with self.changed:
                self.changed.notify_all()

        self.telling = asyncio.get_running_loop().create_task(tell())

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: bool(true()))


class NoDiscovery:
    """In place of multicast."""

    hints = ()

    def __init__(self, *_arguments: object) -> None:
        pass

    async def start(self, *, pairs: bool) -> None:
        pass

    async def say(self, *, pairs: bool) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class Machine:
    node: Node
    acquainting: Acquainting
    host: FakeHost
    elsewhere: FakeElsewhere
    experience: FakeExperience
    running: asyncio.Task[None] | None = field(default=None)
    slept_s: float = 0.0

    @property
    def address(self) -> str:
        return f"{HERE}:{self.node.world.port}"

    def peer(self, name: str) -> PeerProvider:
        return self.elsewhere.providers[name]

    async def linked(self, name: str) -> PeerProvider:
        await self.elsewhere.until(
            lambda: name in self.elsewhere.providers and self.peer(name).targets()
        )
        return self.peer(name)

    def told(self, name: str) -> dict[str, Any]:
        return next(told for told in self.node.status() if told["name"] == name)


@pytest.fixture(autouse=True)
def no_multicast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "Discovery", NoDiscovery)


async def identity(folder: Path) -> Identity:
    return await asyncio.to_thread(Identity.load, folder)


async def linking(who: Identity, other: Machine) -> ssl.SSLContext:
    certificates = [other.node.identity.certificate]
    return await asyncio.to_thread(tls.linking, who, certificates, accepts=False)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def machine(folder: Path, name: str, *, heeds: bool = True) -> AsyncIterator[Machine]:
    host, elsewhere, loop = FakeHost(), FakeElsewhere(), asyncio.get_running_loop()
    experience = FakeExperience()
    world = World(
        networks=Networks(["127.0.0.0/8"]), port=free_port(), release="0.1.0", host=host,
        elsewhere=elsewhere, experience=experience if heeds else None,
        clock=lambda: loop.time() + built.slept_s, wall_clock=lambda: 0.0, draw=lambda: 0.0,
        held=host.held, give_bytes_s=1e12,
    )  # fmt: skip
    me = await identity(folder)
    trust = await asyncio.to_thread(TrustStore, folder / "peers.json")
    node = Node(me, trust, world)
    built = Machine(node, Acquainting(node, name, lambda: {"auto"}), host, elsewhere, experience)
    built.running = asyncio.create_task(node.run())
    while not node.world.networks.places:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)
    try:
        yield built
    finally:
        await built.acquainting.close()
        built.running.cancel()
        await asyncio.gather(built.running, return_exceptions=True)


@asynccontextmanager
async def two(tmp_path: Path, *, b_heeds: bool = True) -> AsyncIterator[tuple[Machine, Machine]]:
    async with (
        machine(tmp_path / "a", "Desk") as a,
        machine(tmp_path / "b", "lap", heeds=b_heeds) as b,
    ):
        yield a, b


@asynccontextmanager
async def paired(tmp_path: Path, *, b_heeds: bool = True) -> AsyncIterator[tuple[Machine, Machine]]:
    async with two(tmp_path, b_heeds=b_heeds) as (a, b):
        shown = await a.acquainting.open(Label.INTERNAL)
        await b.acquainting.type_in(a.address, shown["code"], Label.PRIVATE)
        await a.linked("lap")
        await b.linked("desk")
        yield a, b


def asking(prompt: str) -> Request:
    return Request(id=RequestId("r1"), model="auto", messages=(Message("user", prompt),))


def approved(provider: PeerProvider, prompt: str = "hi") -> ApprovedPayload:
    target = ModelId(f"{provider.name}/m")
    body = encode_json(provider.compose(target, asking(prompt)))
    return ApprovedPayload(target, body, Label.PRIVATE)


async def answer(provider: PeerProvider) -> list[Chunk]:
    return [chunk async for chunk in provider.answer(approved(provider))]


# ---- pairing ----------------------------------------------------------------------------------


async def test_a_code_makes_two_machines_each_others_targets(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        assert a.told("lap")["fingerprint"] == b.acquainting.state()["fingerprint"]
        assert b.told("desk")["fingerprint"] == a.acquainting.state()["fingerprint"]
        (target,) = b.peer("desk").targets()
        assert (target.id, target.zone, target.identity) == ("desk/m", Zone.PEER, "0" * 64)
        assert target.max_label is Label.PRIVATE
        assert a.peer("lap").targets()[0].max_label is Label.INTERNAL
        assert await answer(b.peer("desk")) == a.host.chunks
        ((guest, method, body),) = a.host.asked
        assert (guest, method) == (b.node.identity.id[:16], "chat")
        assert b'"hi"' in body
        assert a.told("lap")["answered"] == b.told("desk")["asked"] == 1


async def test_a_wrong_code_makes_nobody_a_peer_and_three_close_the_window(tmp_path: Path) -> None:
    async with two(tmp_path) as (a, b):
        shown = await a.acquainting.open(Label.PRIVATE)
        wrong = f"{(int(shown['code']) + 1) % 10**8:08}"
        for _ in range(3):
            with pytest.raises(PairingFailed, match="code is wrong"):
                await b.acquainting.type_in(a.address, wrong, Label.PRIVATE)
        with pytest.raises((PairingFailed, LanUnavailable)):
            await b.acquainting.type_in(a.address, shown["code"], Label.PRIVATE)
        assert not a.acquainting.state()["open"]
        assert "wrong" in a.acquainting.state()["failure"]
        assert not len(a.node.trust)
        assert not len(b.node.trust)


async def test_nobody_pairs_while_no_code_is_shown(tmp_path: Path) -> None:
    async with two(tmp_path) as (a, b):
        with pytest.raises((PairingFailed, LanUnavailable)):
            await b.acquainting.type_in(a.address, "00000000", Label.PRIVATE)
        shown = await a.acquainting.open(Label.PRIVATE)
        await a.acquainting.close()
        with pytest.raises((PairingFailed, LanUnavailable)):
            await b.acquainting.type_in(a.address, shown["code"], Label.PRIVATE)


async def test_a_code_is_good_for_one_machine(tmp_path: Path) -> None:
    async with two(tmp_path) as (a, b), machine(tmp_path / "c", "third") as c:
        shown = await a.acquainting.open(Label.PRIVATE)
        await b.acquainting.type_in(a.address, shown["code"], Label.PRIVATE)
        await a.linked("lap")
        with pytest.raises((PairingFailed, LanUnavailable)):
            await c.acquainting.type_in(a.address, shown["code"], Label.PRIVATE)
        assert [peer.name for peer in a.node.trust] == ["lap"]


async def test_a_man_in_the_middle_with_a_certificate_of_his_own_gets_nothing(
    tmp_path: Path,
) -> None:
    """He relays every word of the pairing between two TLS connections, each with him."""
    async with two(tmp_path) as (a, b):
        mallory, served = await identity(tmp_path / "mallory"), asyncio.Event()

        async def relay(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
            far_in, far_out = await open_preface(a.node.world.port, PAIRING, tls.pairing(None))

            async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(4096):
                    sink.write(data)
                sink.close()

            await asyncio.gather(copy(near, far_out), copy(far_in, near_out))
            served.set()

        async with listening(mallory, relay) as port:
            shown = await a.acquainting.open(Label.PRIVATE)
            with pytest.raises(PairingFailed, match="not the one"):
                await b.acquainting.type_in(f"{HERE}:{port}", shown["code"], Label.PRIVATE)
            await served.wait()
        assert not len(a.node.trust)
        assert not len(b.node.trust)


async def test_no_peer_may_ever_see_what_is_secret(tmp_path: Path) -> None:
    async with two(tmp_path) as (a, b):
        with pytest.raises(InvalidRequest):
            await a.acquainting.open(Label.SECRET)
        with pytest.raises(InvalidRequest):
            await b.acquainting.type_in(a.address, "00000000", Label.SECRET)


async def test_an_address_in_no_allowed_network_is_not_called(tmp_path: Path) -> None:
    async with machine(tmp_path / "a", "desk") as a:
        with pytest.raises(LanUnavailable, match="in no network"):
            await a.acquainting.type_in("10.1.2.3", "00000000", Label.PRIVATE)
        with pytest.raises(InvalidRequest, match="no address"):
            await a.acquainting.type_in("desk", "00000000", Label.PRIVATE)


async def test_a_machine_that_has_slept_looks_for_its_peers_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeroute.mesh.link.EVERY_S", 0.01)
    async with paired(tmp_path) as (a, b):
        assert await answer(a.peer("lap"))
        assert a.told("lap")["answered"] == 0 < b.told("desk")["answered"]
        a.host.offered = Offer((replace(MODEL, slots=4, lent=3),))
        a.node.telling.now()
        await b.elsewhere.until(lambda: b.peer("desk").targets()[0].lent == 3)
        b.slept_s = 3600.0
        b.node.telling.doubt()
        (target,) = b.peer("desk").targets()
        assert target.lent == 0  # somebody else may have had it meanwhile
        for link in tuple(b.node._links.values()):
            link._beat()  # before it hears what desk has said since
        await b.elsewhere.until(lambda: b.told("desk")["linked"] and not b.told("desk")["answered"])
        await a.elsewhere.until(lambda: a.told("lap")["linked"] and not a.told("lap")["asked"])
        assert await answer(a.peer("lap"))
        await b.elsewhere.until(lambda: b.peer("desk").targets()[0].lent == 3)


# ---- who is not paired ------------------------------------------------------------------------


async def test_a_stranger_is_told_nothing_and_asks_nothing(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, _):
        stranger = await identity(tmp_path / "stranger")
        context = await linking(stranger, a)
        reader, writer = await open_preface(a.node.world.port, LINK, context)
        writer.write(encode(Hello(1, "0.1.0")) + encode(Ask(1, "chat", b"{}")))
        assert await read_to_the_end(reader) == b""
        assert a.host.asked == []
        writer.close()


async def test_who_shows_no_certificate_is_told_nothing(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, _):
        reader, writer = await open_preface(a.node.world.port, LINK, tls.pairing(None))
        writer.write(encode(Hello(1, "0.1.0")))
        assert await read_to_the_end(reader) == b""
        writer.close()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"ERL2", b"\x16\x03\x01\x02", b"ER"])
async def test_whatever_else_is_said_at_the_door_is_hung_up_on(tmp_path: Path, said: bytes) -> None:
    async with paired(tmp_path) as (a, _):
        reader, writer = await asyncio.open_connection(HERE, a.node.world.port)
        writer.write(said)
        writer.write_eof()
        assert await read_to_the_end(reader) == b""
        writer.close()


async def test_a_machine_that_answers_for_a_peer_with_another_key_is_told_nothing(
    tmp_path: Path,
) -> None:
    """Somebody has the peer's address, as after a spoofed announcement."""
    async with machine(tmp_path / "a", "desk") as a:
        mallory = await identity(tmp_path / "mallory")
        heard: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await read_to_the_end(reader))
            writer.close()

        async with listening(mallory, listen) as port:
            friend = await identity(tmp_path / "b")
            await a.node.trust_peer(
                Peer(friend.id, "lap", friend.certificate, Label.PRIVATE, (f"{HERE}:{port}",))
            )
            while "CERT" not in a.told("lap")["away"].upper():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        assert all(said == b"" for said in heard)
        assert a.told("lap")["linked"] is False


async def test_unpairing_ends_what_is_going_on_at_once(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.hold.clear()
        provider = b.peer("desk")
        chunks = provider.answer(approved(provider))
        assert (await anext(chunks)).text == "hel"
        await a.acquainting.unpair("lap")
        with pytest.raises(DestinationUnreachable):
            await anext(chunks)
        await asyncio.wait_for(a.host.ended.wait(), 5)
        assert a.elsewhere.providers == {}
        await b.elsewhere.until(lambda: not b.told("desk")["linked"])
        with pytest.raises(DestinationUnreachable):
            await answer(provider)
        assert len(a.host.asked) == 1


# ---- a link -----------------------------------------------------------------------------------


async def test_hanging_up_here_ends_the_work_there(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.hold.clear()
        provider = b.peer("desk")
        chunks = provider.answer(approved(provider))
        await anext(chunks)
        await chunks.aclose()
        await asyncio.wait_for(a.host.ended.wait(), 5)
        a.host.hold.set()
        assert await answer(provider) == a.host.chunks


async def test_a_slow_reader_holds_up_its_own_answer_and_no_other(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        provider = b.peer("desk")
        text = "x" * 50_000
        a.host.chunks = [Chunk(text)] * 100 + [Chunk("", "stop", USAGE)]
        slow = provider.answer(approved(provider))
        await anext(slow)
        assert len(await answer(provider)) == 101
        sent_to_both = a.host.sent
        assert sent_to_both - 101 <= WINDOW // len(text) + 2
        assert sum([1 async for _ in slow]) == 100


async def test_failures_keep_their_meaning_and_their_words_are_bounded(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.chunks = []
        a.host.error = Overloaded("full\n" + "x" * 1000, retry_after_s=2.5)
        with pytest.raises(Overloaded, match=r"^desk: full") as told:
            await answer(b.peer("desk"))
        assert told.value.retry_after_s == 2.5
        assert len(told.value.message) < 600
        a.host.error = RuntimeError("a mistake of ours, with a prompt in it")
        with pytest.raises(DestinationFailed) as failed:
            await answer(b.peer("desk"))
        assert "prompt" not in failed.value.message


async def test_both_ask_each_other_over_one_link(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        both = [answer(b.peer("desk")), answer(a.peer("lap"))] * 20
        answers = await asyncio.gather(*both)
        assert all(chunks == a.host.chunks for chunks in answers)


async def test_more_questions_than_a_peer_may_ask_are_refused(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.hold.clear()
        provider = b.peer("desk")
        running = [provider.answer(approved(provider)) for _ in range(MAX_ASKED)]
        for chunks in running:
            await anext(chunks)
        with pytest.raises(Overloaded):
            await answer(provider)
        for chunks in running:
            await chunks.aclose()


@pytest.mark.parametrize(
    "said",
    [
        encode(Ping(1)),  # before hello
        encode(Hello(1, "0")) * 2,
        encode(Hello(1, "0")) + encode(Ask(1, "chat", b"{}")) * 2,
        encode(Hello(1, "0")) + b"\xff\xff\xff\xff",
        encode(Hello(1, "0")) + (3).to_bytes(4, "big") + b"abc",
        encode(Hello(9, "0")),
    ],
)
async def test_a_peer_that_does_not_keep_to_the_protocol_is_hung_up_on(
    tmp_path: Path, said: bytes
) -> None:
    async with machine(tmp_path / "a", "desk") as a:
        friend = await identity(tmp_path / "b")
        await a.node.trust_peer(Peer(friend.id, "lap", friend.certificate, Label.PRIVATE))
        context = await linking(friend, a)
        reader, writer = await open_preface(a.node.world.port, LINK, context)
        writer.write(said)
        await read_to_the_end(reader)
        await a.elsewhere.until(lambda: not a.told("lap")["linked"])
        writer.close()


async def test_an_offer_that_is_withdrawn_takes_its_targets_away(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.offered = Offer(withheld="it is on battery", on_battery=True)
        a.node.telling.now()
        await b.elsewhere.until(lambda: not b.peer("desk").targets())
        with pytest.raises(DestinationUnreachable, match="on battery"):
            await b.peer("desk").probe()


async def test_of_two_links_made_at_once_both_sides_keep_the_same(tmp_path: Path) -> None:
    async with two(tmp_path) as (a, b):
        for one, other, name in ((a, b, "lap"), (b, a, "desk")):
            known = other.node.identity
            await one.node.trust_peer(
                Peer(known.id, name, known.certificate, Label.PRIVATE, (other.address,))
            )
        await a.linked("lap")
        await b.linked("desk")
        for _ in range(20):
            assert await answer(b.peer("desk")) == a.host.chunks
            assert await answer(a.peer("lap")) == b.host.chunks


@pytest.mark.parametrize("years", [(1970, 1971), (2500, 2501)])
async def test_dates_mean_nothing(
    tmp_path: Path, years: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a machine whose clock says 1970, every other certificate is from the future."""
    first, last = (datetime.datetime(year, 1, 2, tzinfo=datetime.UTC) for year in years)
    monkeypatch.setattr(identities, "_FIRST", first)
    monkeypatch.setattr(identities, "_LAST", last)
    async with paired(tmp_path) as (a, b):
        assert await answer(b.peer("desk")) == a.host.chunks


async def test_a_link_outlives_the_time_that_its_hello_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_HELLO_S", 0.2)
    async with paired(tmp_path) as (a, b):
        link = b.node._links[a.node.identity.id]
        for _ in range(4):
            await asyncio.sleep(0.1)
            assert await answer(b.peer("desk")) == a.host.chunks
        assert b.node._links[a.node.identity.id] is link
        assert not link.closed.done()


async def test_a_link_that_fell_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.hold.clear()
        provider = b.peer("desk")
        chunks = provider.answer(approved(provider))
        await anext(chunks)
        link = b.node._links[a.node.identity.id]
        monkeypatch.setattr(Link, "data_received", lambda *_: None)
        now = asyncio.get_running_loop().time()
        link._live.heard(now - 60)
        link._beat()
        with pytest.raises(DestinationUnreachable, match="fell silent"):
            await anext(chunks)


# ---- verdicts ---------------------------------------------------------------------------------


def news(number: int) -> Findings:
    return Findings(1, number, b"e" * 16, (), (), ())


async def test_verdicts_are_told_once_and_go_on_where_a_lost_link_ended(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        desk = a.node.identity.id
        a.experience.news = [news(3)]
        a.node.telling.now()
        await asyncio.wait_for(b.experience.took.wait(), 5)
        a.node.telling.now()
        b.experience.took.clear()
        link = a.node._links[b.node.identity.id]
        link.close("the cable was pulled")
        a.experience.news = [news(3), news(5)]
        await asyncio.wait_for(b.experience.took.wait(), 20)
        assert b.experience.taken == [(desk, news(3)), (desk, news(5))]
        assert b.told("desk")["verdicts"] == 2
        assert a.told("lap")["hears_verdicts"]
        await a.acquainting.unpair("lap")
        assert a.experience.forgotten == [b.node.identity.id]


async def test_who_keeps_its_verdicts_to_itself_is_told_none_and_tells_none(tmp_path: Path) -> None:
    async with paired(tmp_path, b_heeds=False) as (a, b):
        a.experience.news, b.experience.news = [news(3)], [news(4)]
        a.host.offered = b.host.offered = Offer((), withheld="later")
        for one in (a, b):
            one.node.telling.now()
        await b.elsewhere.until(lambda: not b.peer("desk").targets())
        await a.elsewhere.until(lambda: not a.peer("lap").targets())
        assert a.experience.taken == b.experience.taken == []
        assert not a.told("lap")["hears_verdicts"]
        a.node._links[b.node.identity.id].tell(news(3))  # unasked: it is hung up on
        await b.elsewhere.until(lambda: not b.told("desk")["linked"])
        assert b.experience.taken == []


async def test_who_tells_of_verdicts_all_the_time_is_hung_up_on(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        link = a.node._links[b.node.identity.id]
        for number in range(1, 3 * MOST_AT_ONCE):
            link.tell(news(number))
        await asyncio.wait_for(link.closed, 5)
        assert len(b.experience.taken) == MOST_AT_ONCE


async def test_verdicts_that_are_refused_cost_no_link(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        b.experience.error = Overloaded("it tells of too much")
        a.experience.news = [news(3)]
        a.node.telling.now()
        await asyncio.wait_for(b.experience.took.wait(), 5)
        assert b.told("desk")["verdicts_refused"] == "it tells of too much"
        assert await answer(b.peer("desk")) == a.host.chunks


# ---- raw connections --------------------------------------------------------------------------


async def open_preface(
    port: int, preface: bytes, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await dial(HERE, port, preface, lambda: protocol, context)
    loop = asyncio.get_running_loop()
    transport = protocol._transport  # type: ignore[attr-defined]
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except (ConnectionError, ssl.SSLError):
        return b""


@asynccontextmanager
async def listening(
    who: Identity,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    """A server that reads four bytes in the clear and goes on in TLS as `who`."""
    loop = asyncio.get_running_loop()
    context = await asyncio.to_thread(tls.pairing, who)

    def make() -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)

    with socket.socket() as door:
        door.bind((HERE, 0))
        door.listen()
        door.setblocking(False)

        async def accept() -> None:
            while True:
                caller, _ = await loop.sock_accept(door)
                await loop.sock_recv(caller, 4)
                try:
                    await loop.connect_accepted_socket(make, caller, ssl=context)
                except OSError:
                    caller.close()

        accepting = asyncio.create_task(accept())
        try:
            yield int(door.getsockname()[1])
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)


async def test_a_peer_with_a_question_that_says_nothing_is_not_there_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with paired(tmp_path) as (a, b):
        desk = b.peer("desk")
        heard = Link.data_received
        lost: list[tuple[Link, bytes]] = []
        monkeypatch.setattr(Link, "data_received", lambda link, data: lost.append((link, data)))
        asked = asyncio.create_task(answer(desk))
        await asyncio.sleep(0)  # it is asked in its first step
        assert b.told("desk")["asked"] == 1
        with pytest.raises(DestinationUnreachable, match="desk says nothing just now"):
            await desk.probe()
        monkeypatch.setattr(Link, "data_received", heard)
        for link, data in lost:
            link.data_received(data)
        assert await asked == a.host.chunks
        await desk.probe()


# ---- slots that a peer lends ------------------------------------------------------------------


async def test_what_a_silent_peer_lent_is_counted_on_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.offered = Offer((replace(MODEL, slots=4, lent=3),))
        a.node.telling.now()
        await b.elsewhere.until(lambda: b.peer("desk").targets()[0].lent == 3)
        b.node.telling.doubt()
        (target,) = b.peer("desk").targets()
        assert (target.slots, target.lent) == (4, 3)
        monkeypatch.setattr(Link, "silent_s", 3.5)
        b.node.telling.doubt()
        (target,) = b.peer("desk").targets()
        assert (target.slots, target.lent) == (4, 0)


async def test_a_question_that_begins_or_ends_is_told_to_all_at_once(tmp_path: Path) -> None:
    async with paired(tmp_path) as (a, b):
        a.host.offered = Offer((replace(MODEL, slots=4, lent=2),))
        assert await answer(b.peer("desk"))
        await b.elsewhere.until(lambda: b.peer("desk").targets()[0].lent == 2)
