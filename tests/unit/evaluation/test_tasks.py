"""The figures of `eval tasks`, on predictions whose figures are known."""

from pathlib import Path

import msgspec
import pytest

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.features import Features, Task
from edgeroute.domain.request import AnyRequest, Request
from edgeroute.evaluation.rows import read_rows, write_rows
from edgeroute.evaluation.tasks import Prediction, TaskRow, out_rows, predict, report


class SaysTheFirstWord:
    """Understands a prompt's first word as its task, surely."""

    def features(self, request: AnyRequest) -> Features:
        assert isinstance(request, Request)
        return Features(Task(request.messages[0].content.split()[0]), 0.75, 1, 1)


def made(actual: Task | None, told: Task, probability: float, source: str = "s") -> Prediction:
    row = TaskRow(id="r", text="", task=actual, source=source)
    return Prediction(row, told, probability, took_us=100.0)


def test_figures_are_counted_by_task_and_by_source() -> None:
    right = [made(Task.MATH, Task.MATH, 0.9, "a")] * 45
    missed = [made(Task.CODING, Task.UNKNOWN, 0.4, "b")] * 30
    caught = [made(Task.CODING, Task.CODING, 0.6, "a")] * 30
    few = [made(Task.CREATIVE, Task.MATH, 0.5, "c")] * 5
    told = report([*right, *missed, *caught, *few])
    assert told["n"] == 110
    assert told["accuracy"] == pytest.approx(75 / 110, abs=1e-4)
    assert told["macro_accuracy"] == pytest.approx((1 + 0.5) / 2)  # creative has under 30 rows
    assert told["macro_source"] == pytest.approx((1 + 0 + 0) / 3, abs=1e-4)
    f1 = {"math": 90 / (50 + 45), "coding": 60 / (30 + 60), "creative": 0.0}
    assert told["macro_f1"] == pytest.approx(sum(f1.values()) / 3, abs=1e-4)
    assert told["by_source"] == {
        "a": {"n": 75, "accuracy": 1.0},
        "b": {"n": 30, "accuracy": 0.0},
        "c": {"n": 5, "accuracy": 0.0},
    }
    assert told["latency_us"] == {"p50": 100.0, "p99": 100.0}


def test_the_calibration_error_is_what_is_claimed_less_what_is_true() -> None:
    five = [made(Task.MATH, Task.MATH, 0.8)] * 4 + [made(Task.MATH, Task.CODING, 0.8)]
    assert report(five * 30)["ece"] == pytest.approx(0.0)  # each of 15 bins has ten rows
    boastful = [made(Task.MATH, Task.CODING, 0.9)] * 60
    assert report(boastful)["ece"] == pytest.approx(0.9)


def test_rows_without_a_task_are_predicted_and_not_counted(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"id": 1, "text": "math 2+2", "task": "math", "licence": "none"}\n'
        "\n"
        '{"id": "two", "text": "coding x"}\n'
    )
    predictions = predict(read_rows(file, TaskRow), SaysTheFirstWord())
    assert report(predictions)["n"] == 1
    write_rows(tmp_path / "out.jsonl", out_rows(predictions))
    written = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in written] == [
        {"id": 1, "task": "math", "p": 0.75},
        {"id": "two", "task": "coding", "p": 0.75},
    ]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": 1}', '{"id": 1, "text": "x", "task": "maths"}']
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": 1, "text": "x"}\n' + line)
    with pytest.raises(InvalidRequest, match="line 2"):
        list(read_rows(file, TaskRow))


def test_without_any_label_there_is_no_figure() -> None:
    told = report([made(None, Task.MATH, 0.5)])
    assert told == {"n": 0, "latency_us": {"p50": 100.0, "p99": 100.0}}
    assert report([]) == {"n": 0, "latency_us": {"p50": None, "p99": None}}
