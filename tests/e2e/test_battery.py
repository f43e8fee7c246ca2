"""A machine whose battery is drawn files in a namespace of mounts: what models may take of it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeroute.sensors.power import SUPPLIES
from tests.e2e.conftest import House, chat
from tests.unit.sensors.drawn import draw, merged, supply

pytestmark = pytest.mark.e2e

MOUNT = f'mount --bind "$0" {SUPPLIES} && exec "$@"'
PROFILE = """
description = "A tenth of the battery, until midnight"
per_second = 0.0001
battery_share = 0.1
"""


def can_mount() -> bool:
    """As root, and where the kernel shows supplies at all."""
    if os.geteuid() or not Path(SUPPLIES).is_dir() or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.fixture
def on_battery() -> Iterator[House]:
    if not can_mount():
        pytest.skip("NO NAMESPACE OF MOUNTS: no daemon is tried on a drawn battery here")
    root = Path(tempfile.mkdtemp(prefix="er-"))
    half = supply("BAT0", type="Battery", status="Discharging", energy_now=1000, energy_full=2000)
    drawn = draw(root / "drawn", merged(half, supply("AC", type="Mains", online=0)))
    house = House(root, ("unshare", "-m", "sh", "-c", MOUNT, f"{drawn}{SUPPLIES}"))
    yield house
    house.run("stop")
    shutil.rmtree(root)


def test_a_joule_weighs_more_than_an_answer_where_the_share_is_gone_and_nobody_is_refused(
    on_battery: House,
) -> None:
    """A tenth of 3.6 J is for models; a real one would take some five times that for an answer."""
    house = on_battery
    house.add_echo("m", tok_s=200)
    house.configure('profile = "thrifty"')
    profiles = house.root / "config" / "profiles"
    (profiles / "thrifty.toml").write_text(PROFILE)
    house.start()
    (left,) = house.status()["joules_left"]
    assert (left["of"], left["joules"]) == ("battery", pytest.approx(0.36))
    assert "0 J of the battery's charge are left for models" in house.run("status").stdout
    with house.client() as client:
        for _ in range(2):  # before anything was asked nobody knows what it is worth
            answer = client.post("/v1/chat/completions", chat("m", model="m"))
    assert answer["choices"][0]["message"]["content"]
    told = house.json("explain", answer["id"])
    assert told["profile_reason"].startswith("as configured; 0 J of the battery's charge are left")
    terms = told["plan"][0]["terms"]
    assert -terms["energy"] > 10 * terms["quality"]
