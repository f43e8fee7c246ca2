"""`edgeroute eval`, as a user runs it: no daemon needed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.understanding.authored import AUTHORED

EVAL = [sys.executable, "-m", "edgeroute.cli.main", "eval"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EVAL, *arguments], capture_output=True, text=True, check=False)


def figures(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def lines(rows: list[dict[str, object]], file: Path) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_tasks_are_told_with_their_figures_and_row_by_row(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"r{number}", "text": text, "task": task.value, "source": "tests"}
        for number, (task, text) in enumerate(AUTHORED)
    ]
    rows.append({"id": "no label", "text": "Translate 'good night' into Finnish."})
    out = tmp_path / "out.jsonl"
    told = figures("tasks", lines(rows, tmp_path / "rows.jsonl"), "--out", str(out))
    assert told["n"] == len(AUTHORED)
    assert told["accuracy"] >= 0.85
    assert told["by_source"]["tests"]["n"] == len(AUTHORED)
    assert 0 < told["latency_us"]["p50"] <= told["latency_us"]["p99"]
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == len(rows)
    assert written[-1]["id"] == "no label"
    assert written[-1]["task"] == "translate"
    assert 0 < written[-1]["p"] <= 1


def test_sensitivity_is_told_with_its_figures_and_row_by_row(tmp_path: Path) -> None:
    card = "Please charge 4539 1488 0343 6467 for the hotel."
    start = card.index("4539")
    rows: list[dict[str, object]] = [
        {
            "id": 1,
            "text": card,
            "spans": [{"start": start, "end": start + 19, "type": "CREDIT_CARD"}],
            "sensitive": True,
        },
        {"id": 2, "text": "What is the capital of Australia?", "spans": [], "sensitive": False},
        {"id": 3, "text": "no label, mail me at jo.doe@example.org"},
    ]
    out = tmp_path / "out.jsonl"
    told = figures("sensitivity", lines(rows, tmp_path / "rows.jsonl"), "--out", str(out))
    assert told["sensitive"] == {"n": 1, "recall": 1.0}
    assert told["clean"] == {"n": 1, "flagged": 0.0}
    assert told["by_type"]["CREDIT_CARD"] == {"n": 1, "recall": 1.0}
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["label"] for row in written] == ["private", "public", "private"]
    assert written[2]["spans"][0]["type"] == "EMAIL_ADDRESS"


def test_a_bad_line_is_named_and_a_missing_file_too(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1, "text": "x", "task": "math"}\n{"id": 2}\n')
    done = run("tasks", str(bad))
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert "Traceback" not in done.stderr
    gone = run("sensitivity", str(tmp_path / "gone.jsonl"))
    assert gone.returncode == 1
    assert "gone.jsonl" in gone.stderr


@pytest.mark.parametrize("kind", ["tasks", "sensitivity"])
def test_rows_without_labels_are_predicted_and_no_figures_are_made_up(
    kind: str, tmp_path: Path
) -> None:
    file = lines([{"id": 1, "text": "What is the capital of Australia?"}], tmp_path / "rows.jsonl")
    out = tmp_path / "out.jsonl"
    assert figures(kind, file, "--out", str(out))["n"] == 0
    assert len(out.read_text().splitlines()) == 1
    done = run(kind, file)
    assert done.returncode == 2
    assert "no row" in done.stderr
