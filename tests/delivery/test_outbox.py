"""The outbox keeps what it was given: bounds, modes, damage, full and read-only disks, kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery_samples import PLATE, sample_event

from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxLimits
from alpr_edge.delivery.sealing import OVERHEAD_BYTES
from alpr_edge.errors import PublishError

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def ids(outbox: Outbox) -> list[str]:
    return [row.event_id for row in outbox.pending(10**6)]


def test_events_wait_in_order_and_go_when_settled(path: Path) -> None:
    events = [sample_event() for _ in range(5)]
    with Outbox(path) as outbox:
        for event in events:
            outbox.put(event)
        rows = outbox.pending(3)
        assert [row.event_id for row in rows] == [e.event_id for e in events[:3]]
        assert [row.payload for row in rows] == [e.to_json() for e in events[:3]]
        assert len(outbox.pending(9, after=rows[-1].seq)) == 2
        assert outbox.settle([events[1].event_id, "unknown"]) == 1
        assert outbox.settle([]) == 0
    with Outbox(path) as outbox:
        assert ids(outbox) == [e.event_id for n, e in enumerate(events) if n != 1]
        assert outbox.counts.rows == 4
        assert outbox.counts.size_bytes == sum(
            len(r.payload) + OVERHEAD_BYTES for r in outbox.pending(9)
        )


def test_the_same_event_is_stored_once(path: Path) -> None:
    event = sample_event()
    with Outbox(path) as outbox:
        outbox.put(event)
        outbox.put_all([event, event])
        assert outbox.counts.rows == 1
        assert outbox.counts.size_bytes == len(event.to_json()) + OVERHEAD_BYTES


def test_a_sequence_number_is_never_used_twice(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.put(sample_event())
        (first,) = outbox.pending(1)
        outbox.settle([first.event_id])
        outbox.put(sample_event())
        assert outbox.pending(1)[0].seq > first.seq


def test_beyond_the_rows_the_oldest_goes_and_is_counted(path: Path) -> None:
    events = [sample_event() for _ in range(30)]
    with Outbox(path, OutboxLimits(max_rows=10)) as outbox:
        outbox.put_all(events[:25])
        for event in events[25:]:
            outbox.put(event)
        assert ids(outbox) == [e.event_id for e in events[20:]]
        assert outbox.counts.dropped == 20


def test_beyond_the_bytes_the_oldest_goes_and_is_counted(path: Path) -> None:
    size = len(sample_event().to_json()) + OVERHEAD_BYTES
    with Outbox(path, OutboxLimits(max_bytes=3 * size + size // 2)) as outbox:
        for _ in range(5):
            outbox.put(sample_event())
        assert outbox.counts.rows == 3
        assert outbox.counts.dropped == 2
        assert outbox.counts.size_bytes <= 3 * size + size // 2


def test_an_event_larger_than_all_is_an_own_error(path: Path) -> None:
    event = sample_event()
    with Outbox(path, OutboxLimits(max_bytes=100)) as outbox:
        with pytest.raises(PublishError) as caught:
            outbox.put(event)
        assert caught.value.code == "delivery.outbox.too_large"
        assert PLATE not in str(caught.value)


def test_nothing_outlives_its_retention(path: Path) -> None:
    clocks = SetClocks()
    now = datetime.fromtimestamp(clocks.wall_s(), UTC)
    with Outbox(path, clocks=clocks) as outbox:
        old = sample_event(retention=timedelta(hours=1), last_seen=now - timedelta(minutes=50))
        new = sample_event(retention=timedelta(hours=1), last_seen=now)
        outbox.put_all([old, new])
        clocks.pass_s(700)
        assert [row.event_id for row in outbox.pending(9)] == [new.event_id]
        assert outbox.purge_expired() == 1
        assert ids(outbox) == [new.event_id]
        assert outbox.counts.expired == 1
        assert outbox.counts.rows == 1


def test_files_are_for_the_owner_only(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    with Outbox(path) as outbox:
        outbox.put(sample_event())
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError) as caught:
        Outbox(path)
    assert caught.value.code == "delivery.outbox.unopenable"


def test_no_plate_is_in_the_files_and_no_sealed_byte_of_a_settled_one(path: Path) -> None:
    plate = "ZEBRA77"
    event = sample_event(plate)
    with Outbox(path) as outbox:
        outbox.put(event)
        assert not any(plate.encode() in file.read_bytes() for file in path.parent.iterdir())
        (row,) = outbox._db.execute("SELECT sealed FROM events").fetchall()
        assert any(row[0] in file.read_bytes() for file in path.parent.iterdir())
        outbox.settle([event.event_id])
        outbox.tidy()
        assert not any(row[0][-40:] in file.read_bytes() for file in path.parent.iterdir())


def test_rows_do_not_show_their_payload(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.put(sample_event())
        assert PLATE not in repr(outbox.pending(1))


def test_a_second_process_is_refused(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.put(sample_event())
        code = "import sys; from alpr_edge.delivery.outbox import Outbox; "
        code += "from alpr_edge.errors import PublishError\nfrom pathlib import Path\n"
        code += "try: Outbox(Path(sys.argv[1]))\nexcept PublishError as err: print(err.code)"
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "delivery.outbox.in_use"


def test_many_threads_lose_nothing(path: Path) -> None:
    with Outbox(path) as outbox:

        def fill() -> None:
            for _ in range(10):
                outbox.put(sample_event())

        threads = [threading.Thread(target=fill) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ids(outbox))) == 50


def test_kill_9_loses_nothing_that_was_stored(path: Path) -> None:
    stored: list[str] = []
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, str(WORKER), "put", str(path)], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            for _ in range(25):
                stored.append(worker.stdout.readline().strip())
            worker.kill()
            stored += worker.stdout.read().split("\n")[:-1]
    with Outbox(path) as outbox:
        found = ids(outbox)
        assert outbox.counts.damaged == 0
        assert not path.with_name("outbox.db.damaged").exists()
    # The last event of a run may be stored without having been printed.
    assert set(stored) <= set(found)
    assert len(found) <= len(stored) + 4


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "text"])
def test_a_damaged_file_is_set_aside_and_counted(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path) as outbox:
        outbox.put_all([sample_event() for _ in range(200)])
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:100] = os.urandom(100)
    elif damage == "middle":
        data[8192 : len(data) // 2] = os.urandom(len(data) // 2 - 8192)
    elif damage == "cut":
        data = data[: len(data) // 2 + 77]
    else:
        data = bytearray(b"not a database at all, " * 1000)
    path.write_bytes(data)
    clocks = SetClocks(wall=time.time())
    with Outbox(path, clocks=clocks) as outbox:
        assert outbox.counts.damaged == 1
        assert outbox.counts.rows == 0
        event = sample_event()
        outbox.put(event)
        assert ids(outbox) == [event.event_id]
        aside = path.with_name("outbox.db.damaged")
        assert stat.S_IMODE(aside.stat().st_mode) == 0o600
        outbox.purge_expired()
        assert aside.exists()
        clocks.pass_s(8 * 86_400)
        outbox.purge_expired()
        assert not aside.exists()
    assert [r.code for r in caplog.records] == ["delivery.outbox.damaged"]  # type: ignore[attr-defined]
    assert PLATE not in caplog.text


def test_damage_while_in_use_starts_anew_and_keeps_the_new_event(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.put_all([sample_event() for _ in range(200)])
        outbox.tidy()
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(40 * 4096))
        event = sample_event()
        for _ in range(50):
            outbox.put(sample_event())
        outbox.put(event)
        rows = ids(outbox)
        assert rows[-1] == event.event_id
        outbox.settle(rows)
        assert outbox.counts.damaged <= 1


def test_a_file_of_a_newer_software_is_left_alone(path: Path) -> None:
    Outbox(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(PublishError) as caught:
        Outbox(path)
    assert caught.value.code == "delivery.outbox.newer"
    assert not path.with_name("outbox.db.damaged").exists()


def test_a_folder_that_is_a_file_is_an_own_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(PublishError) as caught:
        Outbox(tmp_path / "state" / "outbox.db")
    assert caught.value.code == "delivery.outbox.unopenable"
    assert caught.value.hint


def test_use_after_close_is_an_own_error(path: Path) -> None:
    outbox = Outbox(path)
    outbox.close()
    outbox.close()
    with pytest.raises(PublishError):
        outbox.put(sample_event())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def put_many(outbox: Outbox, count: int, stored: list[str] | None = None) -> None:
    for _ in range(count):
        event = sample_event()
        outbox.put(event)
        if stored is not None:
            stored.append(event.event_id)


def test_a_full_disk_is_an_own_error_and_keeps_what_there_is(small_disk: Path) -> None:
    with Outbox(small_disk / "outbox.db") as outbox:
        stored: list[str] = []
        with pytest.raises(PublishError) as caught:
            put_many(outbox, 5000, stored)
        assert caught.value.code == "delivery.outbox.full_disk"
        assert caught.value.hint
        assert len(stored) > 20
        assert ids(outbox) == stored
        assert outbox.counts.rows == len(stored)
        assert outbox.counts.damaged == 0
    with Outbox(small_disk / "outbox.db") as outbox:
        assert ids(outbox) == stored


def test_a_full_disk_that_has_room_again_goes_on(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with Outbox(small_disk / "outbox.db") as outbox:
        outbox.put(sample_event())
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(512)) == 512:
                pass
        with pytest.raises(PublishError) as caught:
            put_many(outbox, 50)
        assert caught.value.code == "delivery.outbox.full_disk"
        filler.unlink()
        event = sample_event()
        outbox.put(event)
        assert event.event_id in ids(outbox)


def test_a_read_only_disk_is_an_own_error(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    Outbox(path).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(PublishError) as caught:
        Outbox(path)
    assert caught.value.code == "delivery.outbox.read_only"
    assert caught.value.hint


def test_payloads_are_json(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.put(sample_event())
        assert json.loads(outbox.pending(1)[0].payload)["data"]["plate"] == PLATE
