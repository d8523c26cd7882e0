"""Power cuts at any byte, clocks that lie, flash that is to be spared."""

from __future__ import annotations

import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery_samples import sample_event

from alpr_edge.delivery.clocks import SetClocks, SystemClocks
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxLimits
from alpr_edge.delivery.wear import WearBudget

DAY = 86_400.0


def seen_now(clocks: SetClocks) -> datetime:
    return datetime.fromtimestamp(clocks.wall, UTC)


def found(path: Path) -> list[str]:
    with Outbox(path) as outbox:
        assert outbox.counts.damaged == 0
        return [row.event_id for row in outbox.pending(10_000)]


# --- torn writes -----------------------------------------------------------------------------


def test_a_power_cut_at_any_byte_of_the_log_keeps_every_stored_event(tmp_path: Path) -> None:
    """What had been synced stays; behind it the disk may hold anything: nothing, or garbage."""
    live = tmp_path / "live"
    path, wal = live / "o.db", live / "o.db-wal"
    draw = random.Random(5)
    stored: list[tuple[int, str]] = []
    with Outbox(path) as outbox:
        outbox.tidy()
        for _ in range(30):
            event = sample_event()
            outbox.put(event)
            stored.append((wal.stat().st_size, event.event_id))
        files = {file.name: file.read_bytes() for file in live.iterdir()}
    log = files["o.db-wal"]
    assert len(log) == stored[-1][0]
    for n in range(24):
        cut = draw.randrange(len(log) + 1)
        sector = cut - cut % 512
        tail = [b"", bytes(len(log) - cut), draw.randbytes(len(log) - cut)][n % 3]
        copy = tmp_path / f"cut{n}"
        copy.mkdir()
        for name, data in files.items():
            (copy / name).write_bytes(data)
        (copy / "o.db-wal").write_bytes(log[: cut if n % 2 else sector] + tail)
        (copy / "o.db.key").chmod(0o600)
        kept = found(copy / "o.db")
        whole = [one for end, one in stored if end <= (cut if n % 2 else sector)]
        assert kept[: len(whole)] == whole
        assert kept == [one for _, one in stored][: len(kept)]


def test_a_power_cut_while_the_log_is_copied_into_the_file_loses_nothing(tmp_path: Path) -> None:
    live = tmp_path / "live"
    draw = random.Random(6)
    with Outbox(live / "o.db") as outbox:
        outbox.put_all([sample_event() for _ in range(40)])
        outbox.tidy()
        first = [row.event_id for row in outbox.pending(100)]
        outbox.settle(first[:10])
        outbox.put_all([sample_event() for _ in range(40)])
        left = [row.event_id for row in outbox.pending(100)]
        before = {file.name: file.read_bytes() for file in live.iterdir()}
        outbox.tidy()
        after = (live / "o.db").read_bytes()
    for n in range(10):
        copy = tmp_path / f"copy{n}"
        copy.mkdir()
        for name, data in before.items():
            (copy / name).write_bytes(data)
        (copy / "o.db.key").chmod(0o600)
        old = before["o.db"].ljust(len(after), b"\0")
        # Any mixture of old and new sectors, as a disk that reorders writes leaves it.
        torn = b"".join(
            (after if draw.random() < 0.5 else old)[at : at + 512]
            for at in range(0, len(after), 512)
        )
        (copy / "o.db").write_bytes(torn)
        assert found(copy / "o.db") == left


def test_a_deletion_that_a_power_cut_undoes_costs_a_repeat_only(tmp_path: Path) -> None:
    live = tmp_path / "live"
    with Outbox(live / "o.db") as outbox:
        outbox.put_all([sample_event() for _ in range(5)])
        ids = [row.event_id for row in outbox.pending(9)]
        synced = (live / "o.db-wal").read_bytes()
        outbox.settle(ids[:3])
        shutil.copytree(live, tmp_path / "copy")
    (tmp_path / "copy" / "o.db-wal").write_bytes(synced)
    assert found(tmp_path / "copy" / "o.db") == ids


# --- clocks ----------------------------------------------------------------------------------


def test_a_clock_that_jumps_ahead_expires_nothing_early(tmp_path: Path) -> None:
    clocks = SetClocks()
    with Outbox(tmp_path / "o.db", clocks=clocks) as outbox:
        outbox.put(sample_event(retention=timedelta(days=30), last_seen=seen_now(clocks)))
        clocks.wall += 5000 * DAY
        assert outbox.purge_expired() == 0
        (row,) = outbox.pending(9)
        assert row.left_s == pytest.approx(30 * DAY)
        clocks.boot += 30 * DAY
        assert outbox.pending(9) == []
        assert outbox.purge_expired() == 1


def test_a_clock_that_jumped_between_sighting_and_storing_shortens_by_an_hour_at_most(
    tmp_path: Path,
) -> None:
    clocks = SetClocks()
    with Outbox(tmp_path / "o.db", clocks=clocks) as outbox:
        event = sample_event(retention=timedelta(days=30), last_seen=seen_now(clocks))
        clocks.wall += 400 * DAY
        outbox.put(event)
        assert outbox.pending(1)[0].left_s == pytest.approx(30 * DAY - 3600)
        clocks.wall -= 900 * DAY
        late = sample_event(retention=timedelta(days=30), last_seen=seen_now(clocks))
        clocks.wall -= 900 * DAY
        outbox.put(late)
        assert outbox.pending(9)[1].left_s == pytest.approx(30 * DAY)


def test_a_clock_in_1970_keeps_nothing_for_ever(tmp_path: Path) -> None:
    clocks = SetClocks(wall=100.0)
    clocks.trusted = False
    path = tmp_path / "o.db"
    with Outbox(path, clocks=clocks) as outbox:
        outbox.put(sample_event(retention=timedelta(days=10), last_seen=seen_now(clocks)))
    for _ in range(10):
        # Each day switched off and on, the clock in 1970 again each time.
        clocks.boot += DAY
        with Outbox(path, clocks=clocks) as outbox:
            outbox.purge_expired()
        clocks.reboot(boot=0.0)
        clocks.wall = 100.0
    with Outbox(path, clocks=clocks) as outbox:
        outbox.purge_expired()
        assert outbox.counts.rows == 0


def test_time_that_the_device_was_off_counts_once_the_clock_is_believed(tmp_path: Path) -> None:
    clocks = SetClocks()
    path = tmp_path / "o.db"
    with Outbox(path, clocks=clocks) as outbox:
        outbox.put(sample_event(retention=timedelta(days=30), last_seen=seen_now(clocks)))
    clocks.reboot(off_s=31 * DAY)
    clocks.trusted = False
    with Outbox(path, clocks=clocks) as outbox:
        assert outbox.purge_expired() == 0
        clocks.trusted = True
        assert outbox.pending(9) == []
        assert outbox.purge_expired() == 1


def test_a_power_cut_hides_five_minutes_of_uptime_at_most(tmp_path: Path) -> None:
    clocks = SetClocks(boot=0.0)
    clocks.trusted = False
    path = tmp_path / "o.db"
    outbox = Outbox(path, clocks=clocks)
    outbox.put(sample_event(retention=timedelta(days=1), last_seen=seen_now(clocks)))
    for _ in range(100):
        clocks.pass_s(15)
        outbox.tidy()
    shutil.copytree(tmp_path, tmp_path / "cut")
    outbox.close()
    clocks.reboot(boot=0.0)
    with Outbox(tmp_path / "cut" / "o.db", clocks=clocks) as later:
        assert DAY - 1500 <= later.pending(1)[0].left_s <= DAY - 1500 + 300


def test_the_kernels_clocks_are_what_they_should_be() -> None:
    clocks = SystemClocks()
    first = clocks.boot_s()
    assert 0 < first <= clocks.boot_s()
    assert len(clocks.boot_id()) >= 30
    assert clocks.boot_id() == SystemClocks().boot_id()
    assert isinstance(clocks.believed(), bool)
    assert abs(clocks.wall_s() - datetime.now(UTC).timestamp()) < 5


# --- flash -----------------------------------------------------------------------------------


def test_the_budget_fills_evenly_and_is_bounded_both_ways() -> None:
    budget = WearBudget(86_400, 0.0)
    assert not budget.used_up(0.0)
    budget.spend(21_600, 0.0)
    assert budget.used_up(0.0)
    assert not budget.used_up(10.0)
    budget.spend(10_000_000, 10.0)
    assert budget.used_up(20_000.0)
    assert not budget.used_up(50_000.0)
    budget.spend(1, 40_000.0)  # a clock that goes back gives nothing
    assert budget.written == 10_021_601


def test_written_bytes_are_counted_as_the_files_tell(tmp_path: Path) -> None:
    clocks = SetClocks()
    limits = OutboxLimits(max_written_a_day=4_000_000)
    with Outbox(tmp_path / "o.db", limits, clocks=clocks) as outbox:
        before = outbox.counts.written_bytes
        size = (tmp_path / "o.db-wal").stat().st_size
        outbox.put(sample_event())
        grown = (tmp_path / "o.db-wal").stat().st_size - size
        assert outbox.counts.written_bytes - before == grown > 0
        outbox.tidy()
        assert outbox.counts.written_bytes - before >= 2 * grown - 4096
        assert not outbox.worn
        while not outbox.worn:
            outbox.put_all([sample_event() for _ in range(20)])
        clocks.pass_s(7200)
        assert not outbox.worn


def test_version_1_of_the_file_is_emptied_and_overwritten(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "o.db"
    db = sqlite3.connect(path)
    db.executescript(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, expires_at"
        " INTEGER, size INTEGER, sealed BLOB); INSERT INTO events VALUES (1, 'x', 1, 1, 'ZEBRA77');"
        " PRAGMA user_version=1"
    )
    db.close()
    assert b"ZEBRA77" in path.read_bytes()
    with Outbox(path) as outbox:
        assert outbox.counts.rows == 0
        assert not any(b"ZEBRA77" in file.read_bytes() for file in tmp_path.iterdir())
    assert os.access(path, os.W_OK)
