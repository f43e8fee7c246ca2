"""A small part of `bench/chaos.py`: a failing target behind the real daemon, and its money."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

BENCH = Path(__file__).resolve().parents[2] / "bench" / "chaos.py"


def test_faults_are_survived_told_and_never_paid_beyond_a_limit() -> None:
    command = [sys.executable, str(BENCH), "--quick", "--requests", "60", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    *table, figures = done.stdout.splitlines()
    told = json.loads(figures)
    assert set(told) == {
        "requests", "answered_share", "typed_error_share", "late", "retried_after_first_token",
        "overspend",
    }  # fmt: skip
    assert told["requests"] == 60
    assert told["answered_share"] >= 54 / 60, table  # six are streams, which may be broken
    assert told["typed_error_share"] == 1.0, table
    assert told["retried_after_first_token"] == 0
    assert told["overspend"] <= 0.0
    kinds = [kind.rpartition(" ")[2] for kind in table[0].removeprefix("faults").split(",")]
    assert sum(map(int, kinds)) >= 2
    (streams,) = [line for line in table if line.startswith("streams")]
    broken, told_so = (int(piece.split()[0]) for piece in streams.split(", ")[1:])
    assert broken >= 1
    assert told_so == broken
