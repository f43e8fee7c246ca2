"""Cases of `bench/engine.py` that have no peer but our own fresh answer in the same run."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from clients import Answer, Question, ask, words
from servers import Server, Shape, start_edgeroute

from edgeroute.client import Client

HISTORY_WORDS = 1850
"""About 2,000 tokens of conversation."""


def session_return(model: Path, rounds: int) -> dict[str, Any]:
    """The second turn of a long session after its model was evicted, against a fresh prefill.

    The budget holds one model, so that a question to another one evicts the first; the second turn
    then loads it again and restores the conversation. Fresh is a conversation of the same length
    that was never seen, asked of the warm model.
    """
    import fetch_models  # noqa: PLC0415 - the other model is needed here alone

    rng = random.Random(time.time_ns())
    other = fetch_models.fetch("qwen-coder-0.5b")
    server = start_edgeroute(Shape(model, 4096, 1), {"other": other}, memory='{budget = "640MiB"}')
    returns, reloads, fresh = [], [], []
    try:
        for _ in range(rounds):
            first = Question(f"Remember this: {words(rng, HISTORY_WORDS)}", max_tokens=16)
            answer = asyncio.run(ask(server, first))
            _evict(server)
            second = Question(
                "Which words did I use?",
                max_tokens=16,
                history=(("user", first.user), ("assistant", answer.text)),
            )
            returns.append(asyncio.run(ask(server, second)).ttft_s)
            unseen = Question(f"Remember this: {words(rng, HISTORY_WORDS)}", max_tokens=16)
            fresh.append(asyncio.run(ask(server, unseen)).ttft_s)
            _evict(server)
            short = Question(f"Hello {words(rng, 3)}", max_tokens=4)
            reloads.append(asyncio.run(ask(server, short)).ttft_s)
    finally:
        server.stop()
    back, load, whole = map(statistics.median, (returns, reloads, fresh))
    return {
        "case": "session_return",
        "model": "smollm2",
        "ttft_ratio": round((back - load) / whole, 3),
        "ttft_ratio_with_load": round(back / whole, 3),
        "return_s": round(back, 3),
        "load_and_short_prompt_s": round(load, 3),
        "fresh_prefill_s": round(whole, 3),
        "rounds": rounds,
    }


def _evict(server: Server) -> None:
    evictor = Server(server.name, server.address, "other", server.process)
    asyncio.run(ask(evictor, Question("Say hi.", max_tokens=2)))
    with Client(Path(str(server.address))) as client:
        models = client.get("/edgeroute/status")["models"]
    states = {model["id"]: model["warmth"] for model in models}
    if states["bench"] != "cold":
        raise SystemExit(f"the model was not evicted: {states}")


def cancel(model: Path, rounds: int) -> dict[str, Any]:
    """How soon the only slot is free after its client has hung up.

    A short question waits behind a stream; from the hang-up to its first token, less what it takes
    alone.
    """
    server = start_edgeroute(Shape(model, 4096, 1))
    rng = random.Random(time.time_ns())
    try:
        asyncio.run(ask(server, Question("hello", max_tokens=4)))
        alone = [asyncio.run(_short(server, rng)) for _ in range(rounds)]
        steps: list[float] = []
        decode = [asyncio.run(_hang_up_in_decode(server, rng, steps)) for _ in range(rounds)]
        prefill = [asyncio.run(_hang_up_in_prefill(server, rng)) for _ in range(rounds)]
    finally:
        server.stop()
    base = statistics.median(alone)
    return {
        "case": "cancel",
        "model": "smollm2",
        "decode_ms": round((statistics.median(decode) - base) * 1e3, 1),
        "decode_step_ms": round(statistics.median(steps) * 1e3, 1),
        "prefill_ms": round((statistics.median(prefill) - base) * 1e3, 1),
        "alone_ms": round(base * 1e3, 1),
        "rounds": rounds,
    }


async def _short(server: Server, rng: random.Random) -> float:
    return (await ask(server, Question(f"Hi {words(rng, 3)}", max_tokens=2))).ttft_s


async def _hang_up_in_decode(server: Server, rng: random.Random, steps: list[float]) -> float:
    stream = Answer(0.0)
    running = asyncio.create_task(
        ask(server, Question(f"Write a long story: {words(rng, 9)}", max_tokens=800), stream)
    )
    await stream.until(20)
    steps += [b - a for a, b in pairwise(stream.times)]
    return await _first_token_after_hang_up(server, rng, running)


async def _hang_up_in_prefill(server: Server, rng: random.Random) -> float:
    long = Question(f"Sum up: {words(rng, 2800)}", max_tokens=2)
    running = asyncio.create_task(ask(server, long))
    await asyncio.sleep(1.0)  # in the middle of some ten seconds of prefill
    return await _first_token_after_hang_up(server, rng, running)


async def _first_token_after_hang_up(
    server: Server, rng: random.Random, running: asyncio.Task[Answer]
) -> float:
    waiting = Answer(0.0)
    queued = asyncio.create_task(
        ask(server, Question(f"Hi {words(rng, 3)}", max_tokens=2), waiting)
    )
    await asyncio.sleep(0.05)  # it is in the queue now
    if running.done():
        raise SystemExit(f"it ended before it was hung up: {running.exception()}")
    hung_up = time.perf_counter()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await queued
    return waiting.times[0] - hung_up
