"""Requantising and measuring with the real starter model, and every way that it may end."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from edgeroute.backends.environment import worker_environment
from edgeroute.backends.instruments import (
    CannotRequantise,
    NoSpace,
    Speedometer,
    measure_quality,
    requantise,
    requantised_bytes,
)
from edgeroute.domain.errors import LoadFailed, WorkerDied
from edgeroute.domain.load import Footprint
from edgeroute.evaluation import formats, speed
from edgeroute.evaluation.formats import Conditions, Original
from edgeroute.evaluation.speed import EnergyMeter
from edgeroute.wire.gguf import read_header
from edgeroute.wire.shape import shape_of
from tests.unit.wire.gguf_files import write_gguf

TEXT = """The ferry left at ten past six, as it had every morning since the bridge was closed, and
Ines stood at the rail with a thermos between her boots. The river was the colour of slate. On the
far bank the mill chimneys gave up thin lines of steam that leaned with the wind and then vanished.
She had been told not to bring the letter. Her aunt had said it twice, once in the kitchen and once
at the door."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text(TEXT)
    return file


@pytest.fixture(scope="module")
def requantised(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("requantised") / "q8_0.gguf"
    told: list[float] = []
    requantise(starter, target, "Q8_0", 1, told.append)
    assert told == sorted(told)
    assert 0 <= told[0] < 0.1
    assert told[-1] > 0.9
    return target


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if any(name.startswith("edgeroute.worker.") for name in child.cmdline())
    ]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Stands for a full disk: no file of ours or of our children may grow beyond it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_new_file_is_the_same_model_in_another_format(starter: Path, requantised: Path) -> None:
    old, new = (shape_of(read_header(path)) for path in (starter, requantised))
    assert (old.quantisation, new.quantisation) == ("Q4_1", "Q8_0")
    assert (new.name, new.parameters, new.n_vocab) == (old.name, old.parameters, old.n_vocab)
    assert new.chat_template


def test_the_size_is_known_beforehand(starter: Path, requantised: Path) -> None:
    tensors = sum(tensor.size for tensor in read_header(requantised).tensors)
    assert tensors <= requantised_bytes(starter, "Q8_0") <= tensors + (1 << 16)


def test_a_quantiser_that_is_killed_leaves_no_file(starter: Path, tmp_path: Path) -> None:
    def kill(share: float) -> None:
        if share > 0.3:
            for child in children():
                child.kill()

    with pytest.raises(WorkerDied, match="should requantise was ended by SIGKILL"):
        requantise(starter, tmp_path / "x.gguf", "Q8_0", 1, kill)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_user_leaves_neither_file_nor_process(starter: Path, tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        assert children()
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        requantise(starter, tmp_path / "x.gguf", "Q8_0", 1, interrupt)
    assert list(tmp_path.iterdir()) == []
    assert children() == []


def test_a_full_disk_is_told_from_other_failures(starter: Path, tmp_path: Path) -> None:
    with largest_file(20 << 20), pytest.raises(NoSpace, match="File too large"):
        requantise(starter, tmp_path / "x.gguf", "Q8_0", 1)
    assert list(tmp_path.iterdir()) == []


def test_what_llama_cpp_refuses_is_told_in_its_words(starter: Path, tmp_path: Path) -> None:
    broken = write_gguf(tmp_path / "broken.gguf")
    for source in (broken, tmp_path / "none.gguf"):
        with pytest.raises(CannotRequantise, match="failed to quantize"):
            requantise(source, tmp_path / "x.gguf", "Q8_0", 1)
        assert not (tmp_path / "x.gguf").exists()
        with pytest.raises(CannotRequantise):
            requantised_bytes(source, "Q8_0")


@pytest.mark.parametrize("module", ["requantise", "measure"])
def test_no_process_outlives_who_started_it(
    starter: Path, text: Path, tmp_path: Path, module: str
) -> None:
    target = tmp_path / "x.gguf"
    arguments = {
        "requantise": [starter, target, "IQ4_NL", "--threads", "1"],  # takes half a minute
        "measure": ["speed", starter, text],
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", f"edgeroute.worker.{module}", *map(str, arguments[module])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(os.environ.items()),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()  # in the midst of it
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_same_file_reads_the_same_and_another_format_nearly(
    starter: Path, requantised: Path, text: Path
) -> None:
    once, again, other = (
        measure_quality(path, [text], 1) for path in (starter, starter, requantised)
    )
    assert once == again
    assert len(once.surprise) == len(once.likeliest) > 80
    assert all(value >= -1e-4 for value in once.surprise)
    mean = sum(once.surprise) / len(once.surprise)
    assert 1 < mean < 5  # perplexity of plain English: 3 to 150
    assert sum(other.surprise) / len(other.surprise) == pytest.approx(mean, abs=0.1)
    same = sum(a == b for a, b in zip(once.likeliest, other.likeliest, strict=True))
    assert 0.85 < same / len(once.likeliest) < 1
    assert other.surprise != once.surprise


def test_texts_are_read_apart_and_long_ones_in_windows(
    starter: Path, text: Path, tmp_path: Path
) -> None:
    apart = measure_quality(starter, [text, text], 1)
    half = len(apart.surprise) // 2
    assert apart.surprise[:half] == apart.surprise[half:]
    long = tmp_path / "long.txt"
    long.write_text(" ".join([TEXT] * 6))
    assert len(measure_quality(starter, [long], 1).surprise) > 512


def test_speed_counts_what_was_drawn(starter: Path, text: Path) -> None:
    with closing(Speedometer(starter, [text], cpus=[min(os.sched_getaffinity(0))])) as speedometer:
        for sequences in (1, 2):
            took = speedometer.measure(sequences, threads=1, tokens=3)
            assert took.tokens == 3 * sequences
            assert min(took.prefill_s, took.decode_s, took.cpu_s) > 0
        assert psutil.Process(speedometer.pid).cpu_affinity() == [min(os.sched_getaffinity(0))]
    assert children() == []


def test_a_measurement_that_is_killed_says_so(starter: Path, text: Path) -> None:
    with closing(Speedometer(starter, [text])) as speedometer:
        os.kill(speedometer.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="should measure was ended by SIGKILL"):
            speedometer.measure(1, 1, 2)


def test_an_order_that_is_none_ends_it(starter: Path, text: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "edgeroute.worker.measure", "speed", starter, text],
        input=b'{"type":"sing"}\n',
        capture_output=True,
        env=worker_environment(os.environ.items()),
        check=False,
    )
    assert done.returncode == 65
    assert b"speed" not in done.stdout


def test_a_file_that_cannot_be_loaded_is_told(text: Path, tmp_path: Path) -> None:
    broken = write_gguf(tmp_path / "broken.gguf")
    for measure in (partial(measure_quality, threads=1), Speedometer):
        with pytest.raises(LoadFailed):
            measure(broken, [text])
    assert children() == []


def test_formats_are_compared_in_every_figure(
    starter: Path, requantised: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "TOKENS", 2)
    monkeypatch.setattr(formats, "MOST_SEQUENCES", 2)
    held = {"bytes": 0}

    def footprint(pid: int) -> Footprint | None:
        held["bytes"] += psutil.Process(pid).memory_info().rss
        return None

    told: list[float] = []
    conditions = Conditions([text], 1, 1, EnergyMeter(5.0, Path("/nowhere")), footprint)
    with closing(Original(starter, conditions, lambda _share: None)) as original:
        found = original.compare(requantised, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert held["bytes"] > 2 * starter.stat().st_size
    assert found.figures.file_bytes == requantised.stat().st_size
    assert found.original.file_bytes == starter.stat().st_size
    assert found.figures.one.joules == pytest.approx(5.0 * found.figures.one.cpu_s)
    change = found.figures.perplexity / found.original.perplexity - 1
    assert found.perplexity_change_pct == pytest.approx(100 * change)
    assert abs(found.perplexity_change_pct) < 5
    assert found.perplexity_error_pct > 0
    assert 0.85 < found.top1_agreement < 1
    ratio = found.figures.many.tok_s / found.original.many.tok_s
    assert found.speedup_8.median == pytest.approx(ratio)
    assert children() == []
