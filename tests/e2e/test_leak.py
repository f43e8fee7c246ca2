"""A tenth of the leak bench: nothing private leaves the real daemon, and what is public may."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

BENCH = Path(__file__).parents[2] / "bench" / "leak.py"


def test_nothing_private_leaves_by_any_way_out() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["leaks"] == 0, done.stderr
    assert told["cases"] >= 200
    assert told["hedges"] >= 1
    assert told["public_used_cloud_share"] >= 0.9
