#!/usr/bin/env python3
"""What becomes of requests while the best target keeps failing, and of money when many spend it.

    python bench/chaos.py [--quick] [--json] [--requests N]

A real server behind `fault_proxy` is the target that the daemon prefers; a model of its own, an
`echo` worker, is the healthy one. The server is llama.cpp's out of `xllamacpp` with the starter
model; with --quick it is a second daemon with an echo worker, and 300 requests instead of 2,000.
One request in ten is streamed; each may take 8 s. They come at a steady rate, eight at once at
most, so that the target fails, is left alone, and comes back, again and again. Then 300 streams
more (--quick: 60) with nothing but faults after the first token: what was shown is not repeated, so
these cannot be answered whole, and count in all figures but the first two.

- requests: of the mix.
- answered_share: of the mix, answered whole.
- typed_error_share: of those that were not, those that ended in an error with a code of ours.
- late: requests that took 0.25 s longer than they may take.
- retried_after_first_token: streams for which anybody was asked after a token had come.
- overspend: dollars that the server counted beyond what the daemon booked, or beyond a limit, the
  worst of all: of the runs above, and of 50 runs (--quick: 5) of 64 requests at once, wave after
  wave until a limit is reached that pays for some of them; in half of the runs the daemon is
  killed in the middle of a first wave.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from fault_proxy import IN_THE_STREAM, KINDS, Authority, Episodes, FaultProxy
from house import House
from places import SMOLLM2

from edgeroute.domain.errors import error_of

ROOT = Path(__file__).resolve().parent.parent
MODEL = "gpt-4o-mini"
"""So called, it is believed to be good, and preferred to the model of the daemon's own."""
KEY = "sk-of-a-bench"
USD_IN, USD_OUT = 0.5, 1.5
AT_ONCE = 8
STREAMED = 10
"""One in so many of the mix."""
DEADLINE_S = 8.0
GRACE_S = 0.25
TOKENS = 12
EVERY_S = 0.09
SPENDERS = 64
WAVES = 8
LIMIT_USD = 0.0006


def spender(config: str, authority: Authority) -> House:
    """A daemon that trusts an authority and has a key and a poor model of its own."""
    house = House(config, SSL_CERT_FILE=str(authority.file))
    key = house.root / "config" / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    house.add_model("own", "[scores]\nknowledge_qa = 0.2\nunknown = 0.2\n[echo]\n")
    return house


def client_of(house: House) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=str(house.socket))
    return httpx2.AsyncClient(transport=transport, base_url="http://edgeroute", timeout=60)


@contextlib.contextmanager
def real_server() -> Iterator[tuple[str, dict[str, str]]]:
    """llama.cpp's server with the starter model, and the header that it wants."""
    command = [sys.executable, "-m", "tests.e2e.llama_server", str(SMOLLM2), MODEL, "0", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), {"authorization": f"Bearer {KEY}"}
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def upstream(*, quick: bool) -> AsyncIterator[tuple[str | Path, dict[str, str]]]:
    """The server behind the proxy, and what it wants to be told."""
    if not quick:
        with real_server() as (url, headers):
            yield url, headers
        return
    house = House()
    house.add_model(MODEL, "[echo]\ntok_s = 200\n")
    try:
        await asyncio.to_thread(house.start)
        yield house.socket, {}
    finally:
        house.remove()


def configured(port: int, more: str = "") -> str:
    return f"""
        slots = 32
        [[destinations]]
        name = "shaky"
        url = "https://127.0.0.1:{port}/v1"
        models = ["{MODEL}"]
        key_file = "key"
        usd_in = {USD_IN}
        usd_out = {USD_OUT}
        first_token_s = 1.5
        between_tokens_s = 1.0
        {more}
        """


@dataclass
class Ended:
    """How one request ended.

    Attributes:
        code: Of its error; empty where it was answered.
        shown: Somebody saw a token of it.
        target: Whose answer was shown.
    """

    number: int
    streamed: bool
    seconds: float = 0.0
    code: str = ""
    shown: bool = False
    target: str = ""
    request: str = ""


@dataclass
class Tally:
    """All requests, and what was counted beyond what was booked or allowed."""

    ended: list[Ended] = field(default_factory=list)
    streams: list[Ended] = field(default_factory=list)
    retried: int = 0
    overspend: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    paid_shares: list[float] = field(default_factory=list)

    @property
    def all(self) -> list[Ended]:
        return self.ended + self.streams

    def figures(self) -> dict[str, float]:
        answered = sum(not one.code for one in self.ended)
        failed = [one for one in self.all if one.code]
        typed = sum(is_typed(one.code) for one in failed)
        return {
            "requests": len(self.ended),
            "answered_share": answered / len(self.ended),
            "typed_error_share": typed / len(failed) if failed else 1.0,
            "late": sum(one.seconds > DEADLINE_S + GRACE_S for one in self.all),
            "retried_after_first_token": self.retried,
            "overspend": self.overspend,
        }


def is_typed(code: str) -> bool:
    """Whether it is one of the errors that the daemon knows."""
    return code != "internal" and error_of(code, "").code == code


async def ask(
    client: httpx2.AsyncClient, number: int, *, streamed: bool, model: str = "auto"
) -> Ended:
    ended = Ended(number, streamed)
    question = f"What is the capital of country number {number}?"
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": TOKENS,
        "stream": streamed,
        "edgeroute": {"label": "public", "deadline_s": DEADLINE_S},
    }
    began = time.monotonic()
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            ended.request = response.headers.get("x-edgeroute-id", "")
            ended.target = response.headers.get("x-edgeroute-target", "")
            if streamed and response.status_code == httpx2.codes.OK:
                await _follow(response, ended)
            else:
                told = json.loads(await response.aread())
                ended.code = told["error"]["code"] if "error" in told else ""
                ended.shown = not ended.code
    except (httpx2.HTTPError, ValueError) as error:
        ended.code = f"untyped: {error!r}"
    ended.seconds = time.monotonic() - began
    return ended


async def _follow(response: httpx2.Response, ended: Ended) -> None:
    ended.code = "untyped: the stream has no end"
    async for line in response.aiter_lines():
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            ended.code = ""
        elif data.startswith("{"):
            event = json.loads(data)
            if "error" in event:
                ended.code = event["error"]["code"]
                return
            delta = (event.get("choices") or [{}])[0].get("delta") or {}
            ended.shown |= bool(delta.get("content"))


async def faulty_run(
    tally: Tally, proxy: FaultProxy, authority: Authority, requests: int, streamed: int
) -> list[Ended]:
    """Requests while the best target keeps failing, one in `streamed` as a stream."""
    all_ended = []
    async with proxy.running():
        house = spender(configured(proxy.port, "[spend]\nusd_per_day = 100"), authority)
        try:
            await asyncio.to_thread(house.start)
            async with client_of(house) as client:
                await reachable(client)
                numbers = iter(range(requests))

                began = time.monotonic()

                async def work() -> None:
                    for number in numbers:
                        await asyncio.sleep(began + number * EVERY_S - time.monotonic())
                        streams = number % streamed == streamed - 1
                        all_ended.append(await ask(client, number, streamed=streams))

                await asyncio.gather(*(work() for _ in range(AT_ONCE)))
                for one in all_ended:
                    tally.targets[one.target] += not one.code
                    tally.retried += one.streamed and await went_on(client, one)
                await proxy.settled()
                booked = (await client.get("/edgeroute/status")).json()["spend"]["usd"]
            if any(one.code and not is_typed(one.code) for one in all_ended):
                print(house.log.read_text(), file=sys.stderr)
        finally:
            house.remove()
    tally.faults += proxy.faults
    tally.overspend = max(tally.overspend, proxy.charged.usd - booked)
    return all_ended


async def went_on(client: httpx2.AsyncClient, one: Ended) -> bool:
    """Whether anybody was asked after one whose answer had begun; a hedge was asked before that."""
    told = (await client.get(f"/edgeroute/explain/{one.request}")).json()
    begun = False
    for attempt in told["attempts"]:
        if begun and attempt["reason"] != "hedge":
            return True
        begun |= attempt["ttft_s"] is not None and attempt["error"] != "outrun"
    return False


async def reachable(client: httpx2.AsyncClient) -> None:
    """Wait until the daemon knows its destinations."""
    for _ in range(500):
        providers = (await client.get("/edgeroute/status")).json()["providers"]
        if all(provider["reachable"] for provider in providers):
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"not reachable: {providers}")


async def spending_run(tally: Tally, proxy: FaultProxy, house: House, *, killed: bool) -> None:
    """Many at once, wave after wave, at a limit that pays for some of them."""
    (house.root / "state" / "spend.db").unlink(missing_ok=True)
    proxy.charged.usd = 0.0
    proxy.charged.some.clear()
    await asyncio.to_thread(house.start)
    if killed:
        async with client_of(house) as client:
            await reachable(client)
            lost = asyncio.gather(*(spend(client, number) for number in range(SPENDERS)))
            await proxy.charged.some.wait()
            house.stop(signal.SIGKILL)
            await lost
        tally.kills += 1
        await asyncio.to_thread(house.start)
    async with client_of(house) as client:
        await reachable(client)
        for _ in range(WAVES):
            ended = await asyncio.gather(*(spend(client, number) for number in range(SPENDERS)))
            untyped = [one.code for one in ended if one.code and not is_typed(one.code)]
            assert not untyped, untyped
            if all(one.code for one in ended):
                break
    house.stop()
    await proxy.settled()
    tally.overspend = max(tally.overspend, proxy.charged.usd - LIMIT_USD)
    tally.paid_shares.append(proxy.charged.usd / LIMIT_USD)


async def spend(client: httpx2.AsyncClient, number: int) -> Ended:
    return await ask(client, number, streamed=bool(number % 2), model=f"shaky/{MODEL}")


async def spending(tally: Tally, proxy: FaultProxy, runs: int, authority: Authority) -> None:
    """Runs at a limit."""
    async with proxy.running():
        limit = f"[spend]\nusd_per_day = {LIMIT_USD}"
        house = spender(configured(proxy.port, limit), authority)
        try:
            for run in range(runs):
                await spending_run(tally, proxy, house, killed=run % 2 == 1)
        finally:
            house.remove()


async def measure(requests: int, runs: int, *, quick: bool) -> Tally:
    """All of it."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="er-"))
    hits, calm = (2, 18) if quick else (5, 20)
    mix = Episodes(KINDS, hits, min(calm, requests // 15))
    breaking = Episodes(IN_THE_STREAM, hits, hits)
    price = (USD_IN / 1e6, USD_OUT / 1e6)
    try:
        authority = Authority(folder)
        async with upstream(quick=quick) as (server, headers):
            faulty = FaultProxy(server, headers, authority, mix, price)
            tally.ended = await faulty_run(tally, faulty, authority, requests, STREAMED)
            streams = requests // 5 if quick else 300
            faulty = FaultProxy(server, headers, authority, breaking, price)
            tally.streams = await faulty_run(tally, faulty, authority, streams, 1)
            sound = FaultProxy(server, headers, authority, Episodes(), price)
            await spending(tally, sound, runs, authority)
    finally:
        shutil.rmtree(folder)
    return tally


def report(tally: Tally) -> None:
    print("faults     " + ", ".join(f"{kind} {tally.faults[kind]}" for kind in KINDS))
    print("answered   " + ", ".join(f"{name} {n}" for name, n in tally.targets.most_common() if n))
    codes = Counter(
        (one.code, "after its first token" if one.shown else "before it")
        for one in tally.all
        if one.code
    )
    for (code, when), count in codes.most_common():
        print(f"failed     {count} x {code}, {when}")
    broken = [one for one in tally.all if one.shown and one.streamed and one.code]
    streamed = sum(one.streamed for one in tally.all)
    told = sum(is_typed(one.code) for one in broken)
    print(f"streams    {streamed}, {len(broken)} broke off after the first token, {told} told so")
    seconds = sorted(one.seconds for one in tally.all)
    at = [seconds[int(share * (len(seconds) - 1))] for share in (0.5, 0.95, 1.0)]
    print("took       " + " / ".join(f"{s:.2f}" for s in at) + " s: half, 19 in 20, all within")
    print(
        f"spending   {len(tally.paid_shares)} runs of {SPENDERS} at once, {tally.kills} killed; "
        f"{statistics.median(tally.paid_shares):.0%} of the limit spent, "
        f"at most {max(tally.paid_shares):.0%}"
    )
    for name, value in tally.figures().items():
        print(f"{name:26} {value:.6g}")


def main() -> None:
    parser = argparse.ArgumentParser(description="requests and money while targets fail")
    parser.add_argument("--quick", action="store_true", help="300 requests, an echo worker behind")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--requests", type=int, help="so many instead")
    asked = parser.parse_args()
    requests = asked.requests or (300 if asked.quick else 2000)
    runs = 5 if asked.quick else 50
    tally = asyncio.run(measure(requests, min(runs, max(2, requests // 40)), quick=asked.quick))
    report(tally)
    if asked.json:
        print(json.dumps(tally.figures()))


if __name__ == "__main__":
    main()
