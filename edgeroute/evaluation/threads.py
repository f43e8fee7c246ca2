"""How many threads a model is fastest with on this machine.

Owns which counts are tried and which of them is best.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import sqrt
from pathlib import Path

from edgeroute.backends.instruments import Progress, Speedometer
from edgeroute.domain.calibration import Calibration
from edgeroute.domain.hardware import Cpu
from edgeroute.evaluation.speed import TOKENS, EnergyMeter, Sample, interleave, medians
from edgeroute.wire.measuring import MOST_SEQUENCES, PROMPT_TOKENS

_AS_GOOD = 0.95
"""A count that reaches this share of the best rate is as good: the rest is noise."""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """What a thread count achieves.

    Attributes:
        cpus: CPUs that the threads were kept to; empty is all. Serving does not keep to any, so
            such a row is for comparison.
        one: Medians while one prompt is answered at a time.
        many: While eight are answered together.
    """

    threads: int
    cpus: tuple[int, ...]
    one: Sample
    many: Sample

    @property
    def tok_s(self) -> float:
        """One rate for both."""
        return sqrt(self.one.tok_s * self.many.tok_s)

    def calibration(self, *, chosen: bool, counted: bool) -> Calibration:
        """As it is remembered (see `domain.calibration`)."""
        decode_s = TOKENS / self.one.tok_s - self.one.ttft_s
        return Calibration(
            self.threads,
            chosen,
            prefill_tok_s=PROMPT_TOKENS / self.one.ttft_s,
            decode_tok_s=(TOKENS - 1) / decode_s,  # the first comes with the prompt
            tok_s_1=self.one.tok_s,
            joules_1=self.one.joules,
            tok_s_8=self.many.tok_s,
            joules_8=self.many.joules,
            counted=counted,
        )


def thread_counts(cpu: Cpu) -> tuple[int, ...]:
    """Counts worth a try: powers of two, one per big physical core, and all CPUs, in a quota."""
    most = len(cpu.allowed)
    if cpu.quota_cores is not None:
        most = max(1, min(most, int(cpu.quota_cores)))
    doubled = (1 << power for power in range(most.bit_length()))
    return tuple(sorted({*doubled, min(cpu.threads, most), most}))


def best_threads(rows: Sequence[ThreadRow]) -> int:
    """The fewest threads that are as fast as any, since each one costs energy."""
    free = [row for row in rows if not row.cpus]
    enough = _AS_GOOD * max(row.tok_s for row in free)
    return min(row.threads for row in free if row.tok_s >= enough)


def measure_threads(
    model: Path,
    texts: Sequence[Path],
    cpu: Cpu,
    meter: EnergyMeter,
    rounds: int,
    progress: Progress,
) -> list[ThreadRow]:
    """Try every count, and where cores differ, the big ones alone as well.

    Args:
        model: The file.
        texts: Files to make prompts of.
        cpu: As this process may use it.
        meter: Takes the samples.
        rounds: That count.
        progress: Told the share done, 0..1.

    Raises:
        LoadFailed: In llama.cpp's words.
        WorkerDied: A process was killed.
    """
    placings = list(_placings(cpu))
    whole = 2 * (rounds + 1) * sum(len(counts) for _, counts in placings)
    done = iter(range(1, whole + 1))
    rows: list[ThreadRow] = []
    for cpus, counts in placings:
        with closing(Speedometer(model, texts, cpus)) as speedometer:
            measures = [
                partial(meter.sample, speedometer, sequences, threads)
                for threads in counts
                for sequences in (1, MOST_SEQUENCES)
            ]
            samples = interleave(measures, rounds, lambda: progress(next(done) / whole))
        for threads, one, many in zip(counts, samples[::2], samples[1::2], strict=True):
            rows.append(ThreadRow(threads, cpus, medians(one), medians(many)))
    return rows


def _placings(cpu: Cpu) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """CPUs to keep to, and the counts to try on them."""
    counts = thread_counts(cpu)
    yield (), counts
    if cpu.hybrid:
        yield cpu.performance, tuple(count for count in counts if count <= len(cpu.performance))
