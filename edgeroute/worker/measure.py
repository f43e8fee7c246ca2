"""Measures a model file on this machine, in a process of its own.

    python -m edgeroute.worker.measure speed MODEL TEXT ... [--cpus 0,1]
    python -m edgeroute.worker.measure quality MODEL TEXT ... --threads N

`speed` says `Ready`, then answers each `MeasureSpeed` by `Speed`: the engine as serving uses it.
`quality` says `Share`s, then `Quality`. Either may say `Failed` instead; exit status 0 or 1.
"""

import argparse
import os
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from edgeroute.domain.errors import LoadFailed
from edgeroute.domain.load import LoadPlan
from edgeroute.domain.units import ModelId
from edgeroute.wire.measuring import (
    MOST_SEQUENCES,
    MOST_TOKENS,
    PROMPT_TOKENS,
    Failed,
    MeasureSpeed,
    Ready,
    Speed,
)
from edgeroute.worker.engine import LlamaEngine
from edgeroute.worker.lines import listen, say, share_teller
from edgeroute.worker.perplexity import measure_quality
from edgeroute.worker.sequence import Run


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m edgeroute.worker.measure")
    modes = parser.add_subparsers(required=True, dest="mode")
    for mode in ("speed", "quality"):
        mode_parser = modes.add_parser(mode)
        mode_parser.add_argument("model")
        mode_parser.add_argument("texts", nargs="+", metavar="TEXT")
        if mode == "speed":
            mode_parser.add_argument("--cpus", help="CPUs to keep to")
        else:
            mode_parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    texts = [Path(text).read_text("utf-8") for text in arguments.texts]
    try:
        if arguments.mode == "quality":
            listen()
            say(measure_quality(arguments.model, texts, arguments.threads, share_teller()))
        else:
            _keep_to(arguments.cpus)
            _measure_speed(arguments.model, texts)
    except LoadFailed as error:
        say(Failed(error.message))
        return 1
    return 0


def _keep_to(cpus: str | None) -> None:
    """Bind this process to CPUs, before it has threads that would not follow."""
    if cpus is not None:
        os.sched_setaffinity(0, map(int, cpus.split(",")))


def _measure_speed(path: str, texts: Sequence[str]) -> None:
    orders = listen()
    stopwatch = Stopwatch(path, texts)
    say(Ready())
    while True:  # until the input ends
        say(stopwatch.measure(orders.get()))


class Stopwatch:
    """A loaded model that answers prompts made of the texts, each time others.

    Raises:
        LoadFailed: In llama.cpp's words.
    """

    def __init__(self, path: str, texts: Sequence[str]) -> None:
        plan = LoadPlan(
            ModelId("measured"),
            path,
            context=PROMPT_TOKENS + MOST_TOKENS,
            slots=MOST_SEQUENCES,
            threads=1,
            batch=PROMPT_TOKENS * MOST_SEQUENCES,
        )
        self._engine = LlamaEngine(plan, lambda _share: None)
        self._tokens = self._engine.vocabulary.tokenise("\n".join(texts), markup=False)
        self._asked = 0

    def measure(self, order: MeasureSpeed) -> Speed:
        """Answer prompts together, greedily, whatever ends an answer."""
        engine = self._engine
        engine.set_threads(order.threads, order.threads)
        for slot in range(MOST_SEQUENCES):
            engine.cells.trim(slot, 0)
        prompts = [self._prompt() for _ in range(order.sequences)]
        cpu, began = time.process_time(), time.perf_counter()
        drawn = self._step(0, prompts)
        first = time.perf_counter()
        for position in range(PROMPT_TOKENS, PROMPT_TOKENS + order.tokens - 1):
            drawn = self._step(position, [array("i", [token]) for token in drawn])
        return Speed(
            prefill_s=first - began,
            decode_s=time.perf_counter() - first,
            cpu_s=time.process_time() - cpu,
            tokens=order.sequences * order.tokens,
        )

    def _prompt(self) -> "array[int]":
        start = self._asked * PROMPT_TOKENS % (len(self._tokens) - PROMPT_TOKENS)
        self._asked += 1
        return self._tokens[start : start + PROMPT_TOKENS]

    def _step(self, start: int, pieces: Sequence["array[int]"]) -> list[int]:
        """Decode the next tokens of all sequences from a position, and draw what follows."""
        size = len(pieces[0])
        runs = [
            Run(id=slot, slot=slot, row=slot * size, start=start, tokens=piece, draws=True)
            for slot, piece in enumerate(pieces)
        ]
        self._engine.decode(runs, None)
        return [token.id for token in self._engine.draw(runs)]


if __name__ == "__main__":
    sys.exit(main())
