"""What one machine found of a model helps the others: counted once, whatever happens between."""

import signal
import sqlite3
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.lan_rig import (
    FIRST_OF_1970,
    Machine,
    Network,
    ask,
    fingerprint,
    linked,
    network,
    pair_quietly,
    peers,
    until,
)

pytestmark = pytest.mark.e2e

Row = tuple[str, str, int, int, int]


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as built:
        yield built


def judge(machine: Machine, verdict: str, times: int) -> None:
    for _ in range(times):
        told = ask(machine, model="both", max_tokens=1)
        with machine.house.client() as client:
            body = {"id": told["edgeroute"]["id"], "verdict": verdict}
            client.post("/edgeroute/feedback", body)


def device(of: Machine, at: Machine) -> str:
    """What a machine is called among the origins of a peer's journal."""
    return next(str(p["id"]) for p in peers(at) if p["fingerprint"] == fingerprint(of))


def counts(machine: Machine, origin: str) -> list[Row]:
    """What a machine's journal holds of an origin, by whichever names of apps."""
    query = "SELECT target, cell, bucket, ok, bad FROM beliefs WHERE origin GLOB ? ORDER BY 1, 2, 3"
    with sqlite3.connect(machine.house.folders.journal) as journal:
        return journal.execute(query, (f"{origin}/*",)).fetchall()


def test_verdicts_of_two_machines_come_to_the_same_after_they_were_cut_off(net: Network) -> None:
    desk, lap = net.add(name="desk"), net.add(name="lap")
    shy = net.add(name="shy", lan="verdicts = false")
    desk.house.env |= FIRST_OF_1970
    for machine in (desk, lap, shy):
        machine.house.add_echo("both", quality=0.5)
    daemons = {machine.name: machine.house.start() for machine in (desk, lap, shy)}
    pair_quietly(desk, lap)
    pair_quietly(lap, shy)
    until(lambda: linked(lap, 2) and linked(desk) and linked(shy))
    at_lap, at_desk = device(desk, lap), device(lap, desk)

    judge(lap, "good", 1)
    until(lambda: counts(desk, at_desk))
    desk.set_link("down")
    until(lambda: not peers(desk)[0]["linked"])
    judge(desk, "good", 4)
    judge(lap, "bad", 6)
    judge(shy, "bad", 2)
    assert not counts(lap, at_lap)
    desk.set_link("up")
    until(lambda: counts(lap, at_lap) == counts(desk, "here") != [])
    until(lambda: counts(desk, at_desk) == counts(lap, "here") != [])

    told = ask(desk, model="both")["edgeroute"]
    seen = next(ranked for ranked in told["plan"] if ranked["target"] == "both")
    assert (seen["ok"], seen["bad"], seen["heard"]) == (5, 6, 7)
    assert (
        "5 good 6 bad (4 of them here, 7 by peers)" in desk.house.run("explain", told["id"]).stdout
    )
    assert {row["name"]: row["verdicts"] for row in peers(lap)} == {"desk": 4, "shy": 0}
    assert {row["name"]: row["hears_verdicts"] for row in peers(lap)} == {
        "desk": True, "shy": False,
    }  # fmt: skip
    assert "0, hears none" in lap.house.run("peers").stdout
    assert "keeps its verdicts to itself" in shy.house.run("peers").stdout
    assert {row["verdicts"] for row in peers(shy)} == {0}

    daemons[lap.name].send_signal(signal.SIGKILL)
    psutil.wait_procs([daemons[lap.name]], timeout=10)
    lap.house.start()
    until(lambda: linked(lap, 2))
    assert counts(lap, at_lap) == counts(desk, "here")
    assert ask(lap, model="both")["edgeroute"]["plan"][0]["heard"] == 4
    lap.house.json("unpair", "desk")
    assert ask(lap, model="both")["edgeroute"]["plan"][0]["heard"] == 0
    until(lambda: not counts(lap, at_lap))
    assert counts(lap, "here")
