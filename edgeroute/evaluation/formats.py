"""A model file in other formats: how much faster each is here, and what it loses.

Owns the comparison with the file that it was made of, and which format is proposed.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import exp, sqrt
from pathlib import Path

import numpy as np

from edgeroute.backends.instruments import Progress, Speedometer, measure_quality
from edgeroute.domain.load import Footprint
from edgeroute.evaluation.speed import EnergyMeter, Sample, Spread, interleave, medians, ratios
from edgeroute.wire.ggml import REPACKED
from edgeroute.wire.measuring import MOST_SEQUENCES, Quality

FREE_LOSS = 0.5
"""Percent of perplexity: a loss up to this is within what the same text tells apart."""
_GAIN = 1.05
"""Faster by less than this is noise."""

_TYPES = {
    "Q8_0": "Q8_0", "Q6_K": "Q6_K", "Q5_K_M": "Q5_K", "Q4_K_M": "Q4_K", "IQ4_NL": "IQ4_NL",
    "Q4_0": "Q4_0",
}  # fmt: skip
"""Formats, best quality first, to the type of most of their tensors."""


def formats_for(machine: str) -> tuple[str, ...]:
    """Formats that have fast kernels on a processor, best quality first.

    Those that are repacked for it, and Q8_0, whose plain layout is fast everywhere.

    Args:
        machine: As `platform.machine()` names it.
    """
    repacked = REPACKED.get(machine, {})
    return tuple(name for name, kind in _TYPES.items() if kind == "Q8_0" or kind in repacked)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one file.

    Attributes:
        memory: Held by a process that has loaded it for eight short conversations; `None` where
            the machine does not tell.
        one: Medians while it answers one prompt at a time.
        many: While it answers eight together.
    """

    file_bytes: int
    memory: Footprint | None
    perplexity: float
    one: Sample
    many: Sample


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file in another format beside the one that it was made of.

    Attributes:
        original: Figures of that one in the same rounds.
        speedup_1: Ratio of tokens per second for one prompt at a time.
        speedup_8: The same for eight together.
        perplexity_change_pct: Positive is worse.
        perplexity_error_pct: Standard error of that.
        top1_agreement: Share of tokens where both would have drawn the same.
    """

    figures: Figures
    original: Figures
    speedup_1: Spread
    speedup_8: Spread
    perplexity_change_pct: float
    perplexity_error_pct: float
    top1_agreement: float

    @property
    def gain(self) -> float:
        """How much faster it is on the whole."""
        return sqrt(self.speedup_1.median * self.speedup_8.median)


def proposal(
    compared: Iterable[tuple[str, Comparison]], max_loss: float
) -> tuple[str, Comparison] | None:
    """The fastest format that loses no more than `max_loss` percent and is faster at all."""
    allowed = [
        (name, found)
        for name, found in compared
        if found.perplexity_change_pct <= max_loss and found.gain >= _GAIN
    ]
    return max(allowed, key=lambda pair: pair[1].gain, default=None)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What files are measured with.

    Attributes:
        texts: Files that are read, and that prompts are made of.
        threads: To compute with.
        rounds: That count.
        footprint: Reads the bytes that a process holds, `None` where it cannot.
    """

    texts: Sequence[Path]
    threads: int
    rounds: int
    meter: EnergyMeter
    footprint: Callable[[int], Footprint | None]


class Original:
    """The file that others are compared with, loaded until it is closed.

    Raises:
        LoadFailed: In llama.cpp's words.
        WorkerDied: A process was killed.
    """

    def __init__(self, path: Path, conditions: Conditions, progress: Progress) -> None:
        self._path = path
        self._conditions = conditions
        self._quality = measure_quality(path, conditions.texts, conditions.threads, progress)
        self._speedometer = Speedometer(path, conditions.texts)

    def close(self) -> None:
        """Let go of it."""
        self._speedometer.close()

    def compare(self, path: Path, progress: Progress) -> Comparison:
        """Measure another file of the same model beside it, round by round.

        Raises:
            LoadFailed: In llama.cpp's words.
            WorkerDied: A process was killed.
        """
        with_ = self._conditions
        quality = measure_quality(path, with_.texts, with_.threads, lambda s: progress(s / 2))
        count = 4 * (with_.rounds + 1)
        done = iter(range(1, count + 1))
        with closing(Speedometer(path, with_.texts)) as other:
            measures = [
                partial(with_.meter.sample, speedometer, sequences, with_.threads)
                for sequences in (1, MOST_SEQUENCES)
                for speedometer in (other, self._speedometer)
            ]
            new_1, old_1, new_8, old_8 = interleave(
                measures, with_.rounds, lambda: progress(0.5 + next(done) / count / 2)
            )
            figures = self._figures(path, other, quality, new_1, new_8)
        surprise = np.subtract(quality.surprise, self._quality.surprise)
        return Comparison(
            figures=figures,
            original=self._figures(self._path, self._speedometer, self._quality, old_1, old_8),
            speedup_1=ratios(new_1, old_1),
            speedup_8=ratios(new_8, old_8),
            perplexity_change_pct=100 * float(np.expm1(surprise.mean())),
            perplexity_error_pct=100 * float(surprise.std() / sqrt(len(surprise))),
            top1_agreement=float(np.equal(quality.likeliest, self._quality.likeliest).mean()),
        )

    def _figures(
        self,
        path: Path,
        speedometer: Speedometer,
        quality: Quality,
        one: Sequence[Sample],
        many: Sequence[Sample],
    ) -> Figures:
        return Figures(
            file_bytes=path.stat().st_size,
            memory=self._conditions.footprint(speedometer.pid),
            perplexity=exp(np.mean(quality.surprise)),
            one=medians(one),
            many=medians(many),
        )
