"""`models tune` and `calibrate`, as a user runs them; what is measured is made up here.

So is the new file but for one test; how both are really done is `tests/contract/test_instruments`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgeroute.backends import instruments
from edgeroute.backends.engine import engine_name
from edgeroute.cli import calibrate as calibrate_cli
from edgeroute.cli import tune as tune_cli
from edgeroute.cli.library import reload_daemon
from edgeroute.cli.main import main
from edgeroute.cli.measuring import tuning_texts
from edgeroute.config import Folders
from edgeroute.domain.hardware import Memory, Telemetry
from edgeroute.domain.units import Bytes
from edgeroute.evaluation.formats import Comparison, Figures
from edgeroute.evaluation.speed import Sample, Spread
from edgeroute.evaluation.threads import ThreadRow
from edgeroute.sensors.machine import Machine
from edgeroute.store.journal import SqliteJournal
from tests.conftest import STARTER
from tests.e2e.conftest import House
from tests.unit.wire.gguf_files import write_gguf

TUNED = f"{STARTER}-q8_0"
MEASURED = {"Q8_0": (1.31, 1.51, 0.15), "Q4_0": (1.81, 2.2, 24.6)}
"""Speed-up for one and for eight, change of perplexity in percent."""


class Original:
    """Stands for the measurements."""

    def __init__(self, path: Path, *_: object) -> None:
        assert path.exists()

    def close(self) -> None: ...

    def compare(self, path: Path, *_: object) -> Comparison:
        one, eight, loss = MEASURED[path.stem.upper()]
        rate = Sample(50.0, 0.3, 0.02, 0.1)
        figures = Figures(path.stat().st_size, None, 20.0, rate, rate)
        speedups = [Spread(ratio, ratio, ratio) for ratio in (one, eight)]
        return Comparison(figures, figures, speedups[0], speedups[1], loss, 0.1, 0.96)


@pytest.fixture
def at_home(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    for name, folder in house.env.items():
        monkeypatch.setenv(name, folder)
    monkeypatch.setattr(tune_cli, "Original", Original)
    monkeypatch.setattr(tune_cli, "requantise", lambda _, target, *__: write_gguf(target))
    monkeypatch.setattr(tune_cli, "requantised_bytes", lambda *_: 100 << 20)
    for module in (tune_cli, calibrate_cli):
        monkeypatch.setattr(module, "foreign_cores", lambda *_: 0.1)
        monkeypatch.setattr(module, "reload_daemon", reload_if_there_is_one)
    return house


def reload_if_there_is_one(folders: Folders) -> bool:
    """In this process httpx would leave the socket of a failed connection to the collector."""
    return folders.http_socket.exists() and reload_daemon(folders)


def models(house: House) -> list[str]:
    return [model["id"] for model in house.json("models")["models"]]


def files(house: House) -> list[str]:
    return [file.name for file in (house.root / "data").rglob("*") if file.is_file()]


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_free_gain_is_proposed_and_kept_with_yes(
    at_home: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["models", "tune", STARTER, "--formats", "q4_0,q8_0", "--json"]
    assert main(arguments) == 0
    report = told(capsys)
    assert [row["format"] for row in report["formats"]] == ["Q8_0", "Q4_0"]
    assert (report["proposed"], report["kept"]) == ("Q8_0", None)
    assert files(at_home) == []
    monkeypatch.setattr(tune_cli, "requantise", instruments.requantise)
    assert main(["models", "tune", STARTER, "--formats", "q8_0", "--json", "--yes"]) == 0
    assert told(capsys)["kept"]["id"] == TUNED
    listed = {model["id"]: model for model in at_home.json("models")["models"]}
    assert listed.keys() == {STARTER, TUNED}
    assert listed[TUNED]["quantisation"] == "Q8_0"
    assert main(["models", "tune", TUNED, "--yes"]) == 2
    assert f"was made of {STARTER}" in capsys.readouterr().err


def test_a_bound_keeps_the_fastest_within_it(
    at_home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = ["models", "tune", STARTER, "--formats", "q8_0,q4_0", "--max-loss", "25"]
    assert main(tune) == 0
    said = capsys.readouterr().out
    assert "joules are" in said
    assert f"kept {STARTER}-q4_0" in said
    assert "it has no scores, for its loss" in said
    assert models(at_home) == [STARTER, f"{STARTER}-q4_0"]


@pytest.mark.parametrize(("answer", "kept"), [("y", [TUNED]), ("", []), (None, [])])
def test_on_a_terminal_it_asks(
    at_home: House,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    kept: list[str],
) -> None:
    def answered(question: str) -> str:
        assert question.startswith(f"Keep {TUNED} (")
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answered)
    assert main(["models", "tune", STARTER, "--formats", "q8_0"]) == 0
    assert ("`--yes` keeps it" in capsys.readouterr().out) == (not kept)
    assert models(at_home) == [STARTER, *kept]


def test_a_model_without_room_for_two_is_not_measured(
    at_home: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Telemetry(Memory(Bytes(1 << 30), Bytes(1 << 30), cgroup_headroom=Bytes(300 << 20)))
    monkeypatch.setattr(Machine, "telemetry", lambda _: small)
    assert main(["models", "tune", STARTER, "--formats", "q8_0", "--yes"]) == 1
    assert "300.0 MiB are available" in capsys.readouterr().err
    assert files(at_home) == []


def test_a_running_daemon_serves_the_new_model(
    at_home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    at_home.start()
    assert main(["models", "tune", STARTER, "--formats", "q8_0", "--yes", "--json"]) == 0
    assert told(capsys)["daemon"]
    assert at_home.model(TUNED)["warmth"] == "cold"


def test_without_a_gain_everything_stays(
    at_home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = ["models", "tune", STARTER, "--formats", "q4_0", "--yes"]
    assert main(tune) == 0
    assert "nothing is faster at a loss of at most 0.5 %" in capsys.readouterr().out
    assert files(at_home) == []


def test_a_full_disk_is_seen_beforehand(
    at_home: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 200 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert main(["models", "tune", STARTER, "--formats", "q8_0,q4_0", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "Q8_0, Q4_0 need 20" in said  # 100 MiB each and a header
    assert "has 200.0 MiB" in said
    assert files(at_home) == []
    assert main(["models", "tune", STARTER, "--formats", "q8_0", "--yes"]) == 0


def test_a_model_that_changes_meanwhile_is_not_replaced_by_a_stranger(
    at_home: House, starter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(starter.read_bytes())
    at_home.json("models", "link", str(mine), "--id", "mine")

    class Meddled(Original):
        def compare(self, path: Path, *_: object) -> Comparison:
            os.utime(mine, ns=(1, 1))
            return super().compare(path)

    monkeypatch.setattr(tune_cli, "Original", Meddled)
    assert main(["models", "tune", "mine", "--formats", "q8_0", "--yes"]) == 2
    assert files(at_home) == ["mine.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "no model 'nobody'"),
        (["../up"], "no model '../up'"),
        (["echo"], "echo is an echo model, without a file"),
        ([STARTER, "--formats", "q9_9"], "no fast kernels here for 'Q9_9'"),
        ([STARTER, "--formats", ""], "no fast kernels here for ''"),
        ([STARTER, "--max-loss", "-1"], "--max-loss -1 is not a loss of 0 % or more"),
    ],
)
def test_what_cannot_be_tuned_says_why(
    at_home: House, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    at_home.add_echo("echo")
    assert main(["models", "tune", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_texts_are_there_and_long_enough_to_tell_half_a_percent() -> None:
    words = [len(text.read_text("utf-8").split()) for text in tuning_texts()]
    assert sum(words) > 3000
    assert len(words) >= 8


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> list[ThreadRow]:
        rates = {1: 60.0, 2: 100.0}
        samples = {count: Sample(rate, 0.3, 0.02, 0.1) for count, rate in rates.items()}
        return [ThreadRow(count, (), each, each) for count, each in samples.items()]

    monkeypatch.setattr(calibrate_cli, "measure_threads", measured)


@pytest.mark.usefixtures("rates")
def test_the_best_thread_count_is_remembered(
    at_home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "--json"]) == 0
    report = told(capsys)
    assert report["models"][STARTER]["threads"] == 2
    assert report["foreign_cores"] == 0.1
    (sha256,) = (model["sha256"] for model in at_home.json("models")["models"])
    journal = SqliteJournal(at_home.folders.journal, 0)
    one, two = journal.calibrations(engine_name())[sha256]
    journal.close()
    assert (one.threads, one.chosen, one.tok_s_1, one.joules_8) == (1, False, 60.0, 0.1)
    assert (two.threads, two.chosen, two.counted) == (2, True, False)
    assert two.prefill_tok_s == pytest.approx(64 / 0.3)
    assert two.decode_tok_s == pytest.approx(31 / (32 / 100 - 0.3))
    at_home.start()
    (status,) = (each for each in at_home.status()["models"] if each["id"] == STARTER)
    assert [row["threads"] for row in status["calibrated"]] == [1, 2]
    assert status["rates"]["decode_tok_s"] == pytest.approx(two.decode_tok_s)
    assert status["rates"]["watts"] == pytest.approx(10.0)
    assert not status["rates"]["measured"]
    assert main(["calibrate", STARTER]) == 0
    said = capsys.readouterr().out
    assert "best thread count: 2" in said
    assert "0.1 cores were used by other programs" in said


@pytest.mark.usefixtures("rates")
def test_a_busy_machine_is_measured_by_force_alone(
    at_home: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_cli, "foreign_cores", lambda *_: 0.7)
    assert main(["calibrate"]) == 1
    assert "other programs use 0.7 cores" in capsys.readouterr().err
    assert not at_home.folders.journal.exists()
    assert main(["calibrate", "--force"]) == 0
    monkeypatch.setattr(calibrate_cli, "foreign_cores", lambda *_: None)
    assert main(["calibrate"]) == 0
    assert "not known how many cores were used" in capsys.readouterr().out


def test_a_model_that_is_not_there_cannot_be_calibrated(
    at_home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", STARTER, "nobody"]) == 2
    assert "no model 'nobody'" in capsys.readouterr().err
    assert not at_home.folders.journal.exists()
