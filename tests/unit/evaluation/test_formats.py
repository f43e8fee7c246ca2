"""Which formats are tried and which is proposed; which thread counts, and which is best."""

from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.hardware import Cpu
from edgeroute.evaluation.formats import Comparison, Figures, formats_for, proposal
from edgeroute.evaluation.speed import Sample, Spread, interleave, medians, ratios
from edgeroute.evaluation.threads import ThreadRow, best_threads, thread_counts

FIGURES = Figures(1, None, 10.0, Sample(1, 1, 1, 1), Sample(1, 1, 1, 1))


def compared(speedup_1: float, speedup_8: float, loss: float) -> Comparison:
    one, eight = (Spread(ratio, ratio, ratio) for ratio in (speedup_1, speedup_8))
    return Comparison(FIGURES, FIGURES, one, eight, loss, 0.1, 0.9)


def sample(tok_s: float) -> Sample:
    return Sample(tok_s, 1.0, 1.0, 1.0)


def test_formats_are_those_with_kernels_for_the_processor() -> None:
    assert formats_for("x86_64") == ("Q8_0", "Q4_K_M", "IQ4_NL", "Q4_0")
    assert formats_for("aarch64") == ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_NL", "Q4_0")
    assert formats_for("riscv64") == ("Q8_0",)


def test_the_fastest_within_the_bound_is_proposed() -> None:
    found = [
        ("Q8_0", compared(1.3, 1.5, 0.1)),
        ("Q4_K_M", compared(1.4, 1.8, 9.5)),
        ("Q4_0", compared(1.8, 2.2, 24.6)),
    ]
    names = [proposal(found, bound) for bound in (0.0, 0.5, 10.0, 30.0)]
    assert [name and name[0] for name in names] == [None, "Q8_0", "Q4_K_M", "Q4_0"]


def test_what_is_not_faster_is_not_proposed() -> None:
    assert proposal([("Q8_0", compared(1.04, 1.04, -1.0))], 0.5) is None
    assert proposal([("Q8_0", compared(0.7, 1.2, -1.0))], 0.5) is None
    assert proposal([], 0.5) is None


def test_rounds_are_interleaved_and_the_first_does_not_count() -> None:
    asked: list[str] = []

    def measure(name: str) -> Sample:
        asked.append(name)
        return sample(float(len(asked)))

    told: list[None] = []
    a, b = interleave([lambda: measure("a"), lambda: measure("b")], 2, lambda: told.append(None))
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert len(told) == 6
    assert [each.tok_s for each in a] == [4.0, 5.0]
    assert [each.tok_s for each in b] == [3.0, 6.0]
    assert ratios(a, b) == Spread((4 / 3 + 5 / 6) / 2, 5 / 6, 4 / 3)
    assert medians(a).tok_s == 4.5


@given(
    allowed=st.integers(1, 300),
    big=st.integers(1, 300),
    quota=st.none() | st.floats(0.1, 400),
)
def test_thread_counts_stay_within_the_cpus_and_the_quota(
    allowed: int, big: int, quota: float | None
) -> None:
    cpus = tuple(range(allowed))
    cpu = Cpu("m", "x86_64", allowed, allowed, cpus, cpus[:big], quota, (), min(big, allowed))
    counts = thread_counts(cpu)
    most = allowed if quota is None else max(1, min(allowed, int(quota)))
    assert counts[0] == 1
    assert counts[-1] == most
    assert cpu.threads in counts
    assert list(counts) == sorted(set(counts))
    assert len(counts) <= 12


def test_the_fewest_threads_that_are_as_fast_are_best() -> None:
    rates = {1: 60.0, 2: 97.0, 4: 100.0, 8: 70.0}
    rows = [ThreadRow(count, (), sample(rate), sample(rate)) for count, rate in rates.items()]
    assert best_threads(rows) == 2
    pinned = ThreadRow(1, (0, 1), sample(500.0), sample(500.0))  # serving would not reach it
    assert best_threads([*rows, pinned]) == 2
