"""What it brings that a conversation stays where its beginning is in memory.

usage: python bench/conversations.py [--rounds N] [--quick] [--json]

Two daemons with the same two models (SmolLM2 twice, so that nothing but queues and memory tells
them apart), both warm. One is as it is; its peer, in the same run and in turns, is the same daemon
whose `PrefixAffinity.held` says nothing. Clients hold conversations that begin with a long text of
their own and pause for a moment between turns. Of all turns but the first: seconds until the first
token and the last one (medians), how much of the prompt was in memory, and how many turns were
answered by another model than the one before (means). The ratio is the median of rounds.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
from dataclasses import dataclass

from clients import Answer, Question, ask, words
from places import SMOLLM2
from servers import Server, Shape, start_edgeroute

_CONTEXT, _SLOTS = 2048, 4
_OPENING, _ANSWER = 250, 24
_PAUSE_S = 0.1
_BLIND = (
    "-c",
    "from edgeroute.routing.affinity import PrefixAffinity;"
    "PrefixAffinity.held = lambda *_: ();"
    "from edgeroute.cli.main import main; main()",
)


@dataclass(frozen=True, slots=True)
class Round:
    """Medians over all turns but the first of each conversation."""

    ttft_s: float
    total_s: float
    cached_share: float
    moved_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds, turns = (1, 3) if options.quick else (options.rounds, options.turns)
    shape = Shape(SMOLLM2, _CONTEXT, _SLOTS)
    servers: dict[str, Server] = {}
    try:
        servers["stays"] = start_edgeroute(shape, {"other": SMOLLM2})
        servers["blind"] = start_edgeroute(shape, {"other": SMOLLM2}, program=_BLIND)
        for server in servers.values():
            warm(server)
        found: dict[str, list[Round]] = {name: [] for name in servers}
        for number in range(rounds):
            order = sorted(servers, reverse=bool(number % 2))
            for name in order:
                found[name].append(asyncio.run(talk(servers[name], number, options.clients, turns)))
    finally:
        for server in servers.values():
            server.stop()
    report(found, as_json=options.json)


def warm(server: Server) -> None:
    """Load both models, and let each be read from once so that its rates are known."""
    for model in ("bench", "other"):
        rng = random.Random(model)
        for _ in range(2):
            question = Question(words(rng, _OPENING), max_tokens=_ANSWER)
            asyncio.run(ask(Server(server.name, server.address, model, server.process), question))
    server.model = "auto"


async def talk(server: Server, seed: int, clients: int, turns: int) -> Round:
    """All conversations of a round at once."""
    told = await asyncio.gather(
        *(converse(server, random.Random(seed * 100 + at), turns) for at in range(clients))
    )
    later = [answer for answers in told for answer in answers[1:]]
    moved = [
        one.model != other.model for answers in told for one, other in itertools.pairwise(answers)
    ]
    return Round(
        statistics.median(answer.ttft_s for answer in later),
        statistics.median(answer.ended - answer.started for answer in later),
        sum(answer.cached_tokens for answer in later)
        / sum(answer.prompt_tokens for answer in later),
        statistics.mean(moved),
    )


async def converse(server: Server, rng: random.Random, turns: int) -> list[Answer]:
    history: tuple[tuple[str, str], ...] = ()
    answers = []
    for turn in range(turns):
        said = words(rng, 12 if turn else _OPENING)
        await asyncio.sleep(rng.uniform(0, _PAUSE_S))
        answer = await ask(server, Question(said, max_tokens=_ANSWER, history=history))
        history = (*history, ("user", said), ("assistant", answer.text))
        answers.append(answer)
    return answers


def report(found: dict[str, list[Round]], *, as_json: bool) -> None:
    ratios = [
        stays.ttft_s / blind.ttft_s
        for stays, blind in zip(found["stays"], found["blind"], strict=True)
    ]
    figures: dict[str, object] = {
        "ttft_ratio": round(statistics.median(ratios), 3),
        "ttft_ratio_min_max": [round(min(ratios), 3), round(max(ratios), 3)],
        "rounds": len(ratios),
    }
    for name, rounds in found.items():
        figures[name] = {
            "ttft_s": round(statistics.median(each.ttft_s for each in rounds), 4),
            "total_s": round(statistics.median(each.total_s for each in rounds), 4),
            "cached_share": round(statistics.mean(each.cached_share for each in rounds), 3),
            "moved_share": round(statistics.mean(each.moved_share for each in rounds), 3),
        }
    for name, value in figures.items():
        print(f"{name:<20} {value}")
    if as_json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
