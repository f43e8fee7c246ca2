"""How fast model files are on this machine, in interleaved rounds, and at what energy.

Owns the rounds and the joules: read from the processor where it tells, else a model, CPU seconds
times the watts that the router assumes of a thread.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgeroute.backends.instruments import Speedometer
from edgeroute.domain.hardware import Cpu
from edgeroute.sensors.machine import Machine
from edgeroute.sensors.rapl import Counter, joules_between, read_energy
from edgeroute.sensors.sysfs import Tree

TOKENS = 32
"""Drawn for each prompt of 64."""
_LOOK_S = 1.0


class Sample(NamedTuple):
    """One answer, or several at once.

    Attributes:
        tok_s: Tokens drawn per second, the reading of the prompts included.
        ttft_s: Until the first token of all.
        cpu_s: CPU seconds per token drawn.
        joules: Per token drawn.
    """

    tok_s: float
    ttft_s: float
    cpu_s: float
    joules: float


class Spread(NamedTuple):
    """Median, least and greatest of several rounds."""

    median: float
    low: float
    high: float


class EnergyMeter:
    """Tells joules.

    Args:
        watts_per_thread: Of the model that stands in where the processor tells nothing.
        root: Of the machine's files.

    Attributes:
        measured: The joules are the processor packages', whoever caused them.
    """

    def __init__(self, watts_per_thread: float, root: Path = Path("/")) -> None:
        self._watts = watts_per_thread
        self._root = root
        self.measured = self._read() is not None

    @property
    def source(self) -> str:
        """Where the joules are from, in words."""
        if self.measured:
            return "joules are those of the whole processor, by its own counter (RAPL)"
        return f"joules are a model: CPU seconds x {self._watts:g} W; no counter can be read here"

    def sample(self, speedometer: Speedometer, sequences: int, threads: int) -> Sample:
        """Let a model answer once.

        Raises:
            WorkerDied: Its process was killed.
        """
        before = self._read()
        took = speedometer.measure(sequences, threads, TOKENS)
        after = self._read()
        joules = took.cpu_s * self._watts
        if before is not None and after is not None:
            joules = joules_between(before, after)
        return Sample(
            tok_s=took.tokens / (took.prefill_s + took.decode_s),
            ttft_s=took.prefill_s,
            cpu_s=took.cpu_s / took.tokens,
            joules=joules / took.tokens,
        )

    def _read(self) -> Mapping[str, Counter] | None:
        return read_energy(Tree(self._root))


def interleave(
    measures: Sequence[Callable[[], Sample]], rounds: int, told: Callable[[], None]
) -> list[list[Sample]]:
    """Take a sample of each in turn, round by round, beginning with another each time.

    A first round warms up and is not counted.

    Args:
        measures: Take one sample each.
        rounds: That count.
        told: Called after each sample.

    Returns:
        The samples of each, in order of rounds.
    """
    samples: list[list[Sample]] = [[] for _ in measures]
    for number in range(rounds + 1):
        for turn in range(len(measures)):
            which = (number + turn) % len(measures)
            sample = measures[which]()
            if number > 0:
                samples[which].append(sample)
            told()
    return samples


def foreign_cores(machine: Machine, cpu: Cpu) -> float | None:
    """Cores that all others use while this process sleeps; `None` where it cannot be told."""
    before, began = machine.cpu_times(cpu.allowed, ()), time.monotonic()
    time.sleep(_LOOK_S)
    after, took = machine.cpu_times(cpu.allowed, ()), time.monotonic() - began
    if before is None or after is None:
        return None
    return round((after.everybody - before.everybody) / took, 2)


def told_use(foreign: float | None) -> str:
    """Say what others took of the machine just before a measurement."""
    cores = "it is not known how many cores" if foreign is None else f"{foreign:.1f} cores"
    return f"{cores} were used by other programs when this began"


def spread(values: Sequence[float]) -> Spread:
    """Sum up what several rounds gave."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(new: Sequence[Sample], old: Sequence[Sample]) -> Spread:
    """Tokens per second, new over old, by the ratios within each round."""
    return spread([a.tok_s / b.tok_s for a, b in zip(new, old, strict=True)])


def medians(samples: Sequence[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(*map(statistics.median, zip(*samples, strict=True)))
