"""What was spent: on the disk before it is asked for, in full where nobody settled it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from edgeroute.domain.errors import InvalidConfig
from edgeroute.store.spend import SpendStore

DAY = "2026-11-23"


async def test_what_was_settled_is_there_again_and_what_was_not_counts_in_full(
    tmp_path: Path,
) -> None:
    store = SpendStore(tmp_path / "spend.db", DAY)
    assert store.spent == {}
    await store.hold(1, DAY, "default", 500)
    await store.hold(2, DAY, "notes", 70)
    store.settle(1, DAY, "default", 300)
    await store.hold(3, DAY, "default", 40)
    # Nothing is closed: what a killed daemon leaves is what another one finds.
    again = SpendStore(tmp_path / "spend.db", DAY)
    assert again.spent == {(DAY, "default"): 340, (DAY, "notes"): 70}
    third = SpendStore(tmp_path / "spend.db", DAY)
    assert third.spent == again.spent  # folded once
    for each in (store, again, third):
        each.close()


async def test_many_at_once_are_all_written(tmp_path: Path) -> None:
    store = SpendStore(tmp_path / "spend.db", DAY)
    await asyncio.gather(*(store.hold(number, DAY, "a", 10) for number in range(64)))
    again = SpendStore(tmp_path / "spend.db", DAY)
    assert again.spent == {(DAY, "a"): 640}
    store.close()
    again.close()


async def test_what_cannot_be_written_is_told_and_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SpendStore(tmp_path / "spend.db", DAY)
    other = sqlite3.connect(tmp_path / "spend.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match="locked"):
        await store.hold(1, DAY, "a", 10)
    other.execute("ROLLBACK")
    store.settle(1, DAY, "a", 0)
    await store.hold(2, DAY, "a", 5)
    other.close()
    store.close()
    again = SpendStore(tmp_path / "spend.db", DAY)
    assert again.spent == {(DAY, "a"): 5}
    again.close()
    assert not caplog.records


async def test_the_latest_days_are_kept_and_today_whatever_the_clock_says(tmp_path: Path) -> None:
    store = SpendStore(tmp_path / "spend.db", DAY)
    for number in range(100):
        day = f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}"
        await store.hold(number, day, "a", 1)
        store.settle(number, day, "a", 1)
    store.close()
    again = SpendStore(tmp_path / "spend.db", "1970-01-01")
    assert len(again.spent) == 32
    assert max(again.spent) == ("2026-04-16", "a")
    await again.hold(1, "1970-01-01", "a", 7)
    again.close()
    for day, kept in (("1970-01-01", True), (DAY, False)):
        later = SpendStore(tmp_path / "spend.db", day)
        assert (("1970-01-01", "a") in later.spent) == kept
        assert len(later.spent) == 32 + kept
        later.close()


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "spend.db").write_text("no database, but long enough to look at" * 9)
    with pytest.raises(InvalidConfig, match="what was spent is not known"):
        SpendStore(tmp_path / "spend.db", DAY)
