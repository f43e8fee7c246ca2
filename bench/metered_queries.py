"""Real queries under a real daemon's meter: how well they are predicted, and how they are shared.

Used by energy.py. The meter is the best that this machine has; where no counter can be read that is
CPU time, so that errors are those of CPU seconds.
"""

import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fetch_models import SOURCES, path_of
from places import folders

from edgeroute.client.http import Client
from edgeroute.domain.target import Rates
from edgeroute.routing.consumption import Lengths, learn, predict, prior

SMALL, BIG = "smollm2-135m-instruct", "qwen-0.5b"
TAUGHT = 30
SHAPES = ((150, 40), (12, 100))
"""Words of prompt and tokens of answer of the two queries of a pair: one mostly reads."""
WORDS = """river stone morning window letter garden winter market bridge paper silver harbour
lantern forest clock mountain table village candle ocean mirror station orchard thunder"""
ENDLESS = "root ::= [a-z ]{1500}"
"""An answer that only its length ends: queries alone and together draw as many tokens."""


class Taken(NamedTuple):
    """A query that was answered."""

    lengths: Lengths
    joules: float
    quality: str


@contextmanager
def daemon(*, big: bool) -> Iterator[Path]:
    """The socket of a daemon with the starter model, and where it is there a bigger one."""
    root = Path(tempfile.mkdtemp(prefix="er-"))
    env = folders(root)

    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "edgeroute.cli.main", *arguments]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)

    run("serve", "--detach")
    try:
        file = path_of(next(iter(SOURCES)))
        if big and file.exists():
            run("models", "link", str(file), "--id", BIG)
        yield root / "runtime" / "http.sock"
    finally:
        run("stop")
        shutil.rmtree(root)


def models_of(client: Client) -> list[str]:
    listed = {model["id"] for model in client.get("/edgeroute/status")["models"]}
    return [model for model in (SMALL, BIG) if model in listed]


def ask(client: Client, model: str, words: int, tokens: int, seed: int) -> Taken:
    """A prompt that nobody has asked before, of so many words, and an answer of so many tokens."""
    draw, words_of = random.Random(seed), WORDS.split()
    text = " ".join(draw.choice(words_of) for _ in range(words))
    prompt = f"{seed} {text}. Count from one upwards in words, without an end."
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0.8,
        "seed": seed,
        "edgeroute": {"explain": True, "grammar": ENDLESS},
    }
    told = client.post("/v1/chat/completions", body)["edgeroute"]
    usage, joules = told["usage"], told["joules"]
    assert joules["of"] == "what was taken"
    cached = usage["cached_tokens"]
    lengths = Lengths(usage["prompt_tokens"] - cached, usage["completion_tokens"], cached)
    return Taken(lengths, joules["device"], joules["quality"])


def length(draw: random.Random, low: float, high: float) -> int:
    """Lengths spread evenly in ratio."""
    return round(math.exp(draw.uniform(math.log(low), math.log(high))))


def prediction(client: Client, *, quick: bool) -> dict[str, Any]:
    """Thirty queries teach a fit; of the others each is predicted before it is looked at.

    The daemon goes on learning, so it predicts each by all before it. Beside that stands what the
    fit of the first thirty says of all the others, as if learning had ended there.
    """
    taught, held_out, longest = (TAUGHT, 10, 60) if quick else (TAUGHT, 25, 250)
    medians: dict[str, float] = {}
    frozen_medians: dict[str, float] = {}
    asked: dict[str, list[dict[str, Any]]] = {}
    quality = ""
    for model in models_of(client):
        draw = random.Random(5)
        ask(client, model, 20, 16, 1)  # loads it
        fit = prior(Rates(1.0, 300.0, 60.0, 10.0))
        frozen = fit
        errors: list[float] = []
        frozen_errors: list[float] = []
        asked[model] = []
        for number in range(taught + held_out):
            words, tokens = length(draw, 4, 1.5 * longest), length(draw, 8, longest)
            taken = ask(client, model, words, tokens, 1000 + number)
            quality = taken.quality
            expected = predict(fit.rates, taken.lengths).joules
            asked[model].append(
                {**taken.lengths._asdict(), "joules": taken.joules, "expected": expected}
            )
            fit = learn(fit, taken.lengths, taken.joules, "model")
            if number < taught:
                frozen = fit
                continue
            errors.append(100 * abs(expected / taken.joules - 1))
            then = predict(frozen.rates, taken.lengths).joules
            frozen_errors.append(100 * abs(then / taken.joules - 1))
        medians[model] = round(statistics.median(errors), 2)
        frozen_medians[model] = round(statistics.median(frozen_errors), 2)
        print(
            f"prediction   {model}: each by all before it, {spread(errors)}; all by the first "
            f"{taught}, {spread(frozen_errors)} ({len(errors)} queries, meter: {quality})"
        )
    return {
        "prediction_error_pct": max(medians.values()),
        "prediction_error_pct_by_model": medians,
        "prediction_error_frozen_pct_by_model": frozen_medians,
        "prediction_queries": asked,
        "meter": quality,
    }


def spread(errors: Sequence[float]) -> str:
    ranked = sorted(errors)
    return f"median error {statistics.median(ranked):.1f}%, nine in ten under " + (
        f"{ranked[int(0.9 * len(ranked))]:.1f}%"
    )


def attribution(client: Client, socket: Path, *, quick: bool) -> dict[str, Any]:
    """Two queries alone and together; what each is charged, against its share when alone.

    Together they take less or more than apart, where one step draws a token of each or where they
    stand in each other's way: that is a gain or a loss and no error, so both are scaled by the same
    factor, which is told, and so is the error without it.
    """
    rounds = 3 if quick else 8
    models = models_of(client)
    pairs = {"one model": (SMALL, SMALL)} | ({"two models": (SMALL, BIG)} if BIG in models else {})
    told: dict[str, float] = {}
    for name, pair in pairs.items():
        errors, plain, gains = [], [], []
        for model in set(pair):
            ask(client, model, 20, 16, 2)
        for number in range(rounds):
            seeds = [10_000 * (1 + number) + at for at in range(4)]
            alone = [
                ask(client, model, *shape, seed)
                for model, shape, seed in zip(pair, SHAPES, seeds[:2], strict=True)
            ]
            together = at_once(socket, pair, seeds[2:])
            gain = sum(t.joules for t in together) / sum(t.joules for t in alone)
            gains.append(gain)
            for both, one in zip(together, alone, strict=True):
                errors.append(100 * abs(both.joules / gain / one.joules - 1))
                plain.append(100 * abs(both.joules / one.joules - 1))
        told[name] = round(statistics.median(errors), 2)
        print(
            f"attribution  {name}: median error {told[name]:.1f}%, worst {max(errors):.1f}% "
            f"({2 * rounds} queries); together they took {statistics.median(gains):.2f} of alone; "
            f"not scaled by that, median error {statistics.median(plain):.1f}%"
        )
    return {"attribution_error_pct": max(told.values()), "attribution_error_pct_by_pair": told}


def at_once(socket: Path, models: Sequence[str], seeds: Sequence[int]) -> list[Taken]:
    """Two queries at the same time, each over a connection of its own."""
    taken: dict[int, Taken] = {}

    def one(at: int) -> None:
        with Client(socket) as own:
            taken[at] = ask(own, models[at], *SHAPES[at], seeds[at])

    threads = [threading.Thread(target=one, args=(at,)) for at in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [taken[at] for at in range(len(models))]
