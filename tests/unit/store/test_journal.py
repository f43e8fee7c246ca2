"""The journal: what is written is there, also after a restart; nothing blocks, nothing is lost."""

import logging
import os
import threading
from pathlib import Path

import pytest

from edgeroute.domain.belief import BucketKey, Counts
from edgeroute.domain.calibration import Calibration
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Rates
from edgeroute.domain.units import Bytes, RequestId
from edgeroute.ports import DecisionRow
from edgeroute.store import bounds
from edgeroute.store.journal import SqliteJournal

DAY_S = 24 * 3600.0
RATES = Rates(0.5, 300.0, 60.0, 10.0, measured=True)


async def test_a_read_comes_after_every_write_before_it(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", now=0)
    for number in range(200):
        journal.write_decision(RequestId(f"r{number}"), 1.0, f"view {number}".encode())
    assert await journal.read_decision(RequestId("r199")) == DecisionRow(b"view 199", None)
    journal.write_outcome(RequestId("r199"), b"done")
    assert await journal.read_decision(RequestId("r199")) == DecisionRow(b"view 199", b"done")
    assert await journal.read_decision(RequestId("other")) is None
    journal.close()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    taken = Footprint(Bytes(100), Bytes(50), (Bytes(7), Bytes(0)))
    first = SqliteJournal(tmp_path / "j.db", now=0)
    first.write_decision(RequestId("r"), 1.0, b"view")
    first.write_footprint("abc", "c4096", "engine 1", taken)
    first.write_footprint("abc", "c4096", "engine 2", Footprint(Bytes(1), Bytes(2)))
    first.write_rates("abc", RATES)
    first.close()
    second = SqliteJournal(tmp_path / "j.db", now=2)
    assert await second.read_decision(RequestId("r")) == DecisionRow(b"view", None)
    assert second.footprints("engine 1") == {("abc", "c4096"): taken}
    assert second.rates() == {"abc": RATES}
    second.close()


async def test_a_newer_measurement_replaces_the_older(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", now=0)
    for size in (1, 2):
        journal.write_footprint("abc", "p", "e", Footprint(Bytes(size), Bytes(size)))
    assert journal.footprints("e") == {("abc", "p"): Footprint(Bytes(2), Bytes(2))}
    journal.close()


async def test_decisions_are_forgotten_after_ninety_days_with_their_verdicts(
    tmp_path: Path,
) -> None:
    first = SqliteJournal(tmp_path / "j.db", now=0)
    for number in range(300):  # more than one batch
        first.write_decision(RequestId(f"old{number}"), float(number), b"view")
    first.write_decision(RequestId("new"), 80 * DAY_S, b"view")
    for judged in ("old0", "new"):
        first.write_verdict(RequestId(judged), 1.0)
    first.close()
    second = SqliteJournal(tmp_path / "j.db", now=91 * DAY_S)
    await settled(second)
    assert await second.read_decision(RequestId("new")) is not None
    assert await second.read_verdict(RequestId("new")) == 1.0
    for number in range(300):
        assert await second.read_decision(RequestId(f"old{number}")) is None
    assert await second.read_verdict(RequestId("old0")) is None
    second.close()


async def test_the_oldest_decisions_go_where_the_journal_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_BYTES", 1 << 20)
    path = tmp_path / "j.db"
    journal = SqliteJournal(path, now=0)
    for number in range(1500):
        journal.write_decision(RequestId(f"r{number}"), float(number), os.urandom(4000))
        if number % 100 == 0:
            await settled(journal)  # so that the queue does not overflow
    await settled(journal)
    assert path.stat().st_size < 2 << 20
    kept = [n for n in range(1500) if await journal.read_decision(RequestId(f"r{n}"))]
    assert 128 < len(kept) < 300
    assert kept == list(range(kept[0], 1500))
    journal.close()


def test_what_is_believed_is_bounded(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", now=0)
    for bucket in range(100):
        for target in ("", "a", "b"):
            for seen in (1, 2):
                key = BucketKey("o", target, "math", bucket)
                journal.write_beliefs([(key, Counts(seen + 7, 0))])
        journal.write_beliefs([(BucketKey("other", "", "math", 0), Counts(1, 0))])
    rows = {tuple(key) for key, _ in journal.beliefs()}
    journal.close()
    assert rows == {
        ("other", "", "math", 0),
        *(("o", target, "math", bucket) for target in ("", "a", "b") for bucket in range(60, 100)),
    }


async def settled(journal: SqliteJournal) -> None:
    """All that is queued is done, and what that queued in turn."""
    for _ in range(40):
        await journal.read_verdict(RequestId("none"))


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"this is not a database at all, and longer than a header" * 100)
    with pytest.raises(InvalidConfig, match=r"j\.db"):
        SqliteJournal(path, now=0)


def test_rows_beyond_the_queue_are_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeroute.store.journal._MOST_QUEUED", 10)
    journal = SqliteJournal(tmp_path / "j.db", now=0)
    release = threading.Event()
    journal._thread.submit(release.wait)
    for number in range(25):
        journal.write_decision(RequestId(f"r{number}"), 1.0, b"view")
    release.set()
    journal.close()
    assert "15 rows were dropped" in caplog.text


def test_a_write_that_fails_is_told_and_does_not_stop_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = SqliteJournal(tmp_path / "j.db", now=0)
    journal._write("INSERT INTO nowhere VALUES (1)", ())
    journal.write_rates("abc", RATES)
    with caplog.at_level(logging.WARNING):
        assert journal.rates() == {"abc": RATES}
    journal.close()
    assert "nowhere" in caplog.text


def test_calibrations_are_valid_for_one_engine_and_the_last_ones_count(tmp_path: Path) -> None:
    def row(threads: int, *, chosen: bool = False) -> Calibration:
        return Calibration(threads, chosen, 300.5, 60.0, 40.0, 0.2, 90.0, 0.1, counted=True)

    first = SqliteJournal(tmp_path / "j.db", now=0)
    first.write_calibrations("abc", "engine 1", [row(1), row(8, chosen=True)])
    first.write_calibrations("abc", "engine 1", [row(4), row(2, chosen=True)])
    first.write_calibrations("abc", "engine 2", [row(8)])
    first.close()
    second = SqliteJournal(tmp_path / "j.db", now=1)
    assert second.calibrations("engine 1") == {"abc": [row(2, chosen=True), row(4)]}
    assert second.calibrations("engine 3") == {}
    second.close()


def test_the_last_uses_are_kept(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", 0.0)
    assert journal.uses() == []
    for number in range(4010):
        journal.write_use("m", "app", float(number), number + 0.5)
        if number % 500 == 0:
            journal.uses()  # so that the queue does not overflow
    uses = journal.uses()
    journal.close()
    assert len(uses) == 4000
    assert (uses[0], uses[-1]) == (("m", "app", 10.0, 10.5), ("m", "app", 4009.0, 4009.5))


async def test_verdicts_and_beliefs_are_there_after_a_restart(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", 0.0)
    key = BucketKey("here/app", "sha", "math", 3)
    journal.write_decision(RequestId("r1"), 1.0, b"{}")
    journal.write_beliefs([(key, Counts(16, 0))])
    journal.write_beliefs([(key, Counts(32, 8))])
    journal.write_verdict(RequestId("r1"), 0.5)
    journal.write_verdict(RequestId("r1"), 1.0)
    journal.write_verdict(RequestId("without a decision"), 1.0)
    assert await journal.read_verdict(RequestId("r1")) == 0.5
    journal.close()
    again = SqliteJournal(tmp_path / "journal.db", 2.0)
    assert again.beliefs() == [(key, Counts(32, 8))]
    assert await again.read_verdict(RequestId("r1")) == 0.5
    assert await again.read_verdict(RequestId("without a decision")) is None
    again.close()
