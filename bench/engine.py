#!/usr/bin/env python3
"""The serving loop against llama-server: the same model file, slots, threads and questions.

    python bench/engine.py [--quick] [--json] [--rounds N] [--case NAME ...]

The peer is a native llama-server, built from the very source that our workers run (see
`llama_server.py`); both sides answer the same fresh questions over /v1/chat/completions, a whole
daemon with its worker on our side. Rounds are interleaved and the order turns; quoted is the median
of the ratios of rounds, ours over the peer's. CPU is that of all processes of a server, per
generated token. In every case but `neighbour` both have the same wait policy (GOMP_SPINCOUNT).

`--quick`: `distinct` at 4 and `shared_cold` at 8 clients, 32 tokens, three rounds. Where the native
build is missing it takes a prebuilt llama-server (xllamacpp) and marks the rows: never quoted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import fetch_models
import llama_server
from clients import Answer, Question, ask, story, turned, wave, words
from engine_cases import cancel, session_return
from engine_forms import embeddings, grammar
from places import SMOLLM2
from servers import (
    SAME_SPIN,
    Server,
    Shape,
    neighbours,
    start_edgeroute,
    start_llama_cpp_server,
    start_llama_server,
    start_xllamacpp,
)

DISTINCT_WORDS = 30
"""Makes prompts of about 64 tokens, template included."""
SHARED_WORDS = 380
LONG_WORDS = 3700
Plans = list[list[Question]]
"""What each client asks, in turn."""


@dataclass(frozen=True, slots=True)
class Run:
    """One wave of clients against one server."""

    tok_s: float
    cpu_ms: float
    ttft_p95_s: float
    gap_p95_s: float = 0.0


@dataclass(slots=True)
class Row:
    """A case's runs by server, round by round; the first server is ours."""

    case: str
    clients: int
    model: str
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def ratio(self, peer: str, of: Callable[[Run], float]) -> list[float]:
        """Ours over the peer's, one ratio a round."""
        ours, theirs = self.runs["edgeroute"], self.runs[peer]
        return [of(a) / of(b) for a, b in zip(ours, theirs, strict=True)]

    def figures(self) -> list[dict[str, Any]]:
        """One JSON object per peer."""
        told = []
        for peer in [name for name in self.runs if name != "edgeroute"]:
            speeds = self.ratio(peer, lambda run: run.tok_s)
            row: dict[str, Any] = {
                "case": self.case,
                "clients": self.clients,
                "model": self.model,
                "tok_s_ratio": _median(speeds),
                "tok_s_ratio_min_max": [round(min(speeds), 3), round(max(speeds), 3)],
                "cpu_per_token_ratio": _median(self.ratio(peer, lambda run: run.cpu_ms)),
                "ttft_p95_ratio": _median(self.ratio(peer, lambda run: run.ttft_p95_s)),
                "tok_s": _median([run.tok_s for run in self.runs["edgeroute"]]),
                "peer_tok_s": _median([run.tok_s for run in self.runs[peer]]),
                "rounds": len(speeds),
                "peer": peer,
            }
            if self.case == "long_prompt":
                gaps = self.ratio(peer, lambda run: run.gap_p95_s)
                row["inter_token_p95_ratio"] = _median(gaps)
                row["inter_token_p95_ms"] = _median(
                    [run.gap_p95_s * 1e3 for run in self.runs["edgeroute"]]
                )
            told.append(row)
        return told


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def p95(values: Sequence[float]) -> float:
    """The largest of fewer than twenty."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


# ---- one wave -----------------------------------------------------------------------------------


def run_wave(server: Server, plans: Plans) -> Run:
    """Let the clients loose and take the figures."""
    cpu = server.cpu_s()
    began = time.perf_counter()
    answers = asyncio.run(wave(server, plans))
    took = time.perf_counter() - began
    return _run(answers, took, server.cpu_s() - cpu)


def _run(answers: Sequence[Answer], took_s: float, cpu_s: float) -> Run:
    tokens = sum(answer.tokens for answer in answers)
    return Run(tokens / took_s, cpu_s / tokens * 1e3, p95([a.ttft_s for a in answers]))


def run_long_prompt(server: Server, rng: random.Random) -> Run:
    """Four streams run when a prompt of 4,000 tokens arrives: their gaps until its first token."""

    async def scene() -> tuple[list[Answer], Answer]:
        streams = [Answer(0.0) for _ in range(4)]
        tasks = [
            asyncio.create_task(ask(server, story(rng, DISTINCT_WORDS, 600), answer))
            for answer in streams
        ]
        await asyncio.gather(*(answer.until(8) for answer in streams))
        long = await ask(server, Question(f"Sum this up: {words(rng, LONG_WORDS)}", "", 2))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return streams, long

    cpu = server.cpu_s()
    began = time.perf_counter()
    streams, long = asyncio.run(scene())
    took, cpu = time.perf_counter() - began, server.cpu_s() - cpu
    gaps = []
    for stream in streams:
        during = [t for t in stream.times if long.started <= t <= long.times[0]]
        edges = [long.started, *during, long.times[0]]
        gaps += [b - a for a, b in pairwise(edges)]
    tokens = sum(len(stream.times) for stream in streams) + long.prompt_tokens
    return Run(tokens / took, cpu / tokens * 1e3, long.ttft_s, p95(gaps))


# ---- cases --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run."""

    rounds: int
    tokens: int
    cases: frozenset[str]
    quick: bool


def distinct(rng: random.Random, clients: int, tokens: int) -> Plans:
    """No two prompts alike; few clients ask more than once, so that a wave lasts seconds."""
    each = max(1, 4 // clients)
    return [[story(rng, DISTINCT_WORDS, tokens) for _ in range(each)] for _ in range(clients)]


def shared(rng: random.Random, clients: int, tokens: int, system: str) -> Plans:
    """One system prompt for all, each with a short question of its own."""
    return [[story(rng, 16, tokens, system)] for _ in range(clients)]


class Bench:
    """Servers side by side, rounds in turn."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows: list[Row] = []
        self.others: list[dict[str, Any]] = []
        self.rng = random.Random(time.time_ns())

    def wants(self, *cases: str) -> bool:
        """Whether any of these was asked for."""
        return bool(self.plan.cases & set(cases))

    def rounds(
        self, row: Row, servers: Sequence[Server], one: Callable[[Server, random.Random], Run]
    ) -> None:
        """Run a case round by round, every server on the same questions, the order turning."""
        self.rows.append(row)
        for number in range(self.plan.rounds):
            seed = self.rng.getrandbits(32)
            for server in turned(servers, number):
                run = one(server, random.Random(seed))
                row.runs.setdefault(server.name, []).append(run)
        names = [server.name for server in servers]
        row.runs = {name: row.runs[name] for name in names}
        for figures in row.figures():
            print(_line(figures), flush=True)

    def waves(
        self, name: str, model: str, servers: Sequence[Server], counts: Sequence[int]
    ) -> None:
        """The case `distinct`, or `neighbour` beside busy programs."""
        for server in servers:
            run_wave(server, distinct(self.rng, counts[-1], 8))  # warms up, not counted
        for clients in counts:
            row = Row(name, clients, model)
            self.rounds(
                row,
                servers,
                lambda server, rng, n=clients: run_wave(  # type: ignore[misc]
                    server, distinct(rng, n, self.plan.tokens)
                ),
            )

    def sharing(self, model: str, servers: Sequence[Server]) -> None:
        """A new system prompt seen for the first time, then again."""
        size = SHARED_WORDS if not self.plan.quick else SHARED_WORDS // 2
        cold, warm = Row("shared_cold", 8, model), Row("shared_warm", 8, model)
        systems: dict[int, str] = {}

        def first(server: Server, rng: random.Random) -> Run:
            system = words(rng, size)
            systems[id(server)] = system
            return run_wave(server, shared(rng, 8, self.plan.tokens, system))

        def again(server: Server, rng: random.Random) -> Run:
            return run_wave(server, shared(rng, 8, self.plan.tokens, systems[id(server)]))

        if self.wants("shared_cold", "shared_warm"):
            self.rounds(cold, servers, first)
        if self.wants("shared_warm"):
            self.rounds(warm, servers, again)


def _line(row: dict[str, Any]) -> str:
    low, high = row["tok_s_ratio_min_max"]
    text = (
        f"{row['case']:<17} {row['model']:<8} {row['clients']:>2} clients  vs {row['peer']:<22}"
        f" tok/s {row['tok_s']:6.1f} / {row['peer_tok_s']:6.1f} = {row['tok_s_ratio']:.2f}x"
        f" ({low:.2f}-{high:.2f})  CPU/token {row['cpu_per_token_ratio']:.2f}x"
        f"  TTFT p95 {row['ttft_p95_ratio']:.2f}x  n={row['rounds']}"
    )
    if "inter_token_p95_ratio" in row:
        text += f"  inter-token p95 {row['inter_token_p95_ratio']:.2f}x"
    return text


def peer(shape: Shape, env: dict[str, str], name: str, stack: ExitStack) -> Server:
    """llama-server, native where it is built."""
    start = start_llama_server if llama_server.binary().exists() else start_xllamacpp
    server = start(shape, env)
    stack.callback(server.stop)
    if server.name == "llama-server":
        server.name = name
    return server


def ours(shape: Shape, stack: ExitStack) -> Server:
    """A daemon of ours."""
    server = start_edgeroute(shape)
    stack.callback(server.stop)
    return server


def smollm2_16_slots(bench: Bench) -> None:
    """Distinct prompts, shared prefixes, memory: 16 slots of 1,024 tokens."""
    with ExitStack() as stack:
        shape = Shape(SMOLLM2, 1024, 16)
        servers = [ours(shape, stack), peer(shape, SAME_SPIN, "llama-server", stack)]
        counts = (4,) if bench.plan.quick else (1, 4, 8, 16)
        if bench.wants("distinct"):
            bench.waves("distinct", "smollm2", servers, counts)
        bench.sharing("smollm2", servers)
        if bench.wants("memory"):
            for server in servers:
                run_wave(server, distinct(bench.rng, 16, bench.plan.tokens))
            held = {server.name: server.pss() for server in servers}
            mine, theirs = held.values()
            bench.others.append(
                {
                    "case": "memory",
                    "pss_ratio": round(mine / theirs, 3),
                    "pss_mb": round(mine / 1e6, 1),
                    "peer_pss_mb": round(theirs / 1e6, 1),
                    "peer": servers[1].name,
                }
            )
        if bench.wants("llama_cpp_server"):
            servers[1].stop()
            stack.pop_all()
            stack.callback(servers[0].stop)
            old = start_llama_cpp_server(shape)
            stack.callback(old.stop)
            bench.waves("llama_cpp_server", "smollm2", [servers[0], old], (8,))


def qwen(bench: Bench) -> None:
    """The bigger model at few clients."""
    with ExitStack() as stack:
        shape = Shape(fetch_models.fetch("qwen-coder-1.5b"), 1024, 4)
        servers = [ours(shape, stack), peer(shape, SAME_SPIN, "llama-server", stack)]
        bench.waves("distinct", "qwen1.5b", servers, (1, 4))


def long_prompt(bench: Bench) -> None:
    """A long prompt beside running streams."""
    with ExitStack() as stack:
        shape = Shape(SMOLLM2, 5120, 5)
        servers = [ours(shape, stack), peer(shape, SAME_SPIN, "llama-server", stack)]
        for server in servers:
            run_wave(server, distinct(bench.rng, 4, 8))
        bench.rounds(Row("long_prompt", 4, "smollm2"), servers, run_long_prompt)


def beside_neighbours(bench: Bench) -> None:
    """Two programs want all of a core each; the peer at its defaults and with our wait policy."""
    with ExitStack() as stack:
        shape = Shape(SMOLLM2, 1024, 4)
        servers = [
            ours(shape, stack),
            peer(shape, {}, "llama-server", stack),
            peer(shape, SAME_SPIN, "llama-server, our spin", stack),
        ]
        with neighbours(2):
            bench.waves("neighbour", "smollm2", servers, (1, 4))


def others(bench: Bench) -> None:
    """Cases that are not waves of questions to two servers."""
    if bench.wants("session_return"):
        bench.others.append(session_return(SMOLLM2, bench.plan.rounds))
    if bench.wants("cancel"):
        bench.others.append(cancel(SMOLLM2, bench.plan.rounds))
    if bench.wants("grammar"):
        bench.others += grammar(SMOLLM2, bench.plan.rounds)
    if bench.wants("embeddings"):
        bench.others.append(embeddings(bench.plan.rounds))


ALL = (
    *("distinct", "shared_cold", "shared_warm", "long_prompt", "neighbour", "session_return"),
    *("llama_cpp_server", "memory", "cancel", "grammar", "embeddings"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="under 50 s")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=ALL, help="only this case")
    options = parser.parse_args()
    if options.quick:
        plan = Plan(3, 32, frozenset({"distinct", "shared_cold"}), quick=True)
    else:
        llama_server.build()
        plan = Plan(options.rounds, 64, frozenset(options.case or ALL), quick=False)
    print(
        f"machine {platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )
    bench = Bench(plan)
    if bench.wants("distinct", "shared_cold", "shared_warm", "memory", "llama_cpp_server"):
        smollm2_16_slots(bench)
    if bench.wants("distinct") and not plan.quick:
        qwen(bench)
    if bench.wants("long_prompt"):
        long_prompt(bench)
    if bench.wants("neighbour"):
        beside_neighbours(bench)
    others(bench)
    for other in bench.others:
        print(json.dumps(other))
    if options.json:
        rows = [figures for row in bench.rows for figures in row.figures()]
        print(json.dumps({"rows": [*rows, *bench.others]}))


if __name__ == "__main__":
    main()
