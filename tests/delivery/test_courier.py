"""The courier on the fake link: at least once, resent after trouble, silent on plates."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from delivery_samples import (
    PLATE,
    PROVENANCE,
    USAGE,
    closed_track,
    eventually,
    released,
    sample_event,
)
from schemas import check, check_message

from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.commands import Command, command_payload
from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.desk import Desk, NoAbilities
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.event import make_event
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.ids import new_event_id
from alpr_edge.delivery.memory_link import MemoryLink
from alpr_edge.delivery.observer import RecordingObserver
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxLimits
from alpr_edge.delivery.port import Topics
from alpr_edge.delivery.throttle import Throttle
from alpr_edge.errors import AlprEdgeError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keys import PrivateKey

TOPICS = Topics("cam-1")
DURABLE = CourierSettings(settle_on="puback")


class Bench:
    """A courier between an outbox and a fake link."""

    def __init__(self, folder: Path, link: MemoryLink, settings: CourierSettings) -> None:
        self.clocks = SetClocks(wall=time.time())
        self.outbox = Outbox(folder / "outbox.db", clocks=self.clocks)
        self.link = link
        self.checked = 0
        self.health = Health("test", time.monotonic())
        self.courier = Courier(
            self.outbox,
            link,
            cloudevents(TOPICS),
            health=self.health,
            settings=settings,
        )

    def submit(self, count: int = 1) -> list[str]:
        events = [sample_event() for _ in range(count)]
        for event in events:
            self.courier.submit(event)
        return [event.event_id for event in events]

    def pump(self, rounds: int = 4) -> None:
        for _ in range(rounds):
            self.courier.pump()
        for message in self.link.sent[self.checked :]:
            check_message(message.topic, message.payload)
            if message.binary is not None:
                check("read-data.v1", json.loads(message.binary.payload))
        self.checked = len(self.link.sent)
        for state in self.link.announced:
            check_message(TOPICS.state, state)
        for topic, payload, _, _ in self.link.told:
            check_message(topic, payload)

    @property
    def sent(self) -> list[str]:
        return [message.event_id for message in self.link.sent]

    @property
    def told(self) -> dict[str, object]:
        return self.courier.health_document()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path, MemoryLink(window=20), DURABLE)
    one.link.start()
    yield one
    one.outbox.close()


@pytest.fixture
def receipts(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path, MemoryLink(), CourierSettings(settle_on="receipt", max_unsettled=5))
    one.link.start()
    yield one
    one.outbox.close()


def test_events_go_out_in_order_and_leave_the_outbox(bench: Bench) -> None:
    ids = bench.submit(50)
    bench.pump(10)
    assert bench.sent == ids
    assert bench.outbox.counts.rows == 0
    assert {m.topic for m in bench.link.sent} == {TOPICS.reads}
    told = bench.told
    assert (told["published"], told["settled"], told["pending"]) == (50, 50, 0)


def test_no_more_than_the_window_is_out(bench: Bench) -> None:
    bench.link.holding = True
    bench.submit(50)
    bench.pump()
    assert len(bench.sent) == 20
    assert bench.outbox.counts.rows == 50
    bench.link.confirm()
    bench.pump()
    assert len(bench.sent) == 40
    assert bench.outbox.counts.rows == 30


def test_what_was_out_when_the_link_broke_goes_again(bench: Bench) -> None:
    bench.link.holding = True
    ids = bench.submit(3)
    bench.pump()
    bench.link.cut()
    bench.pump()
    assert bench.sent == ids
    bench.link.holding = False
    bench.link.mend()
    bench.pump()
    assert bench.sent == ids + ids
    assert bench.outbox.counts.rows == 0
    assert bench.told["last_error"] == "delivery.link.lost"


def test_a_new_process_sends_what_the_old_one_left(tmp_path: Path) -> None:
    old = Bench(tmp_path, MemoryLink(reachable=False), DURABLE)
    old.link.start()
    ids = old.submit(5)
    old.pump()
    assert old.courier.close(1.0) == 5
    new = Bench(tmp_path, MemoryLink(), DURABLE)
    new.link.start()
    new.pump()
    assert new.sent == ids
    assert new.courier.close(1.0) == 0


def test_a_refused_event_rests_and_holds_up_nobody(bench: Bench) -> None:
    bench.link.refuse_with = LinkCode.PUBLISH_NOT_AUTHORISED
    (refused,) = bench.submit()
    bench.pump(2)
    bench.link.refuse_with = LinkCode.NONE
    others = bench.submit(3)
    bench.pump()
    assert bench.sent == [refused, *others]
    assert [row.event_id for row in bench.outbox.pending(9)] == [refused]
    assert bench.told["refused"] == 1
    assert bench.told["last_error"] == "delivery.publish.not_authorised"


def test_only_a_receipt_settles_where_receipts_are_asked_for(receipts: Bench) -> None:
    ids = receipts.submit(8)
    receipts.pump()
    assert receipts.sent == ids[:5]  # bounded by max_unsettled
    assert receipts.outbox.counts.rows == 8
    receipts.link.receipt(*ids[:4])
    receipts.pump()
    receipts.link.receipt(*ids[4:])
    receipts.pump()
    assert receipts.sent == ids
    assert receipts.outbox.counts.rows == 0


def test_what_has_no_receipt_goes_again_after_a_broken_link(receipts: Bench) -> None:
    ids = receipts.submit(2)
    receipts.pump()
    receipts.link.cut()
    receipts.link.mend()
    receipts.pump()
    assert receipts.sent == ids + ids


def test_what_has_expired_is_never_sent(bench: Bench) -> None:
    bench.submit(3)
    bench.clocks.pass_s(31 * 86_400)
    bench.pump()
    assert bench.sent == []
    assert bench.outbox.counts.expired == 3
    assert bench.outbox.counts.rows == 0


def test_messages_say_how_long_they_may_be_kept(bench: Bench) -> None:
    bench.submit()
    bench.pump()
    (message,) = bench.link.sent
    assert message.expires_in_s is not None
    assert 29 * 86_400 < message.expires_in_s <= 30 * 86_400
    assert message.content_type.startswith("application/cloudevents+json")


def test_health_goes_out_on_connection_and_holds_no_plate(bench: Bench) -> None:
    bench.submit(3)
    bench.pump()
    bench.courier.close(1.0)
    first, *_, last = [json.loads(state) for state in bench.link.announced]
    assert first["state"] == "online"
    assert last == {"state": "offline", "reason": "shutdown"}
    assert PLATE.encode() not in b"".join(bench.link.announced)


def test_the_thread_delivers_soon_after_submit_and_drains_on_close(bench: Bench) -> None:
    bench.courier.start()
    bench.courier.start()
    bench.submit(100)
    eventually(lambda: bench.outbox.counts.rows == 0)
    bench.link.holding = True
    ids = bench.submit(3)
    eventually(lambda: bench.sent[-3:] == ids)
    began = time.monotonic()
    assert bench.courier.drain(0.3) == 3
    assert time.monotonic() - began < 2
    bench.link.holding = False
    bench.link.confirm()
    assert bench.courier.close(1.0) == 0


def test_a_courier_without_a_link_does_not_wait_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, MemoryLink(reachable=False), DURABLE)
    bench.courier.start()
    bench.submit(2)
    began = time.monotonic()
    assert bench.courier.close(30.0) == 2
    assert time.monotonic() - began < 5


def test_an_unforeseen_error_neither_stops_the_courier_nor_logs_its_text(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenClocks(SetClocks):
        def boot_s(self) -> float:
            if time.monotonic() < until:
                raise RuntimeError(PLATE)
            return 100.0

    bench.submit(2)
    until = time.monotonic() + 0.3
    bench.outbox.clocks = BrokenClocks()
    caplog.set_level(logging.DEBUG)
    bench.courier.start()
    eventually(lambda: bench.outbox.counts.rows == 0)
    bench.courier.close(1.0)
    assert PLATE not in caplog.text
    assert any(getattr(r, "type", "") == "RuntimeError" for r in caplog.records)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs the right to mount: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(512)) == 512:
            pass


def test_with_a_full_disk_events_are_sent_from_memory(full_disk: Path) -> None:
    bench = Bench(full_disk, MemoryLink(), DURABLE)
    bench.link.start()
    fill(full_disk)
    ids = bench.submit(10)
    held = bench.told["pending_in_memory"]
    assert isinstance(held, int)
    assert held > 0
    assert bench.told["last_error"] == "delivery.outbox.full_disk"
    bench.pump(6)
    assert set(bench.sent) == set(ids)
    assert bench.told["pending_in_memory"] == 0
    (full_disk / "filler").unlink()
    assert bench.courier.close(1.0) == 0


def test_with_a_full_disk_and_no_link_events_wait_in_memory_bounded(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(
        full_disk, MemoryLink(reachable=False), CourierSettings(settle_on="puback", max_in_memory=4)
    )
    bench.link.start()
    fill(full_disk)
    bench.submit(60)
    told = bench.told
    assert told["pending_in_memory"] == 4
    stored = bench.outbox.counts.rows
    assert told["lost"] == {
        "overflow": 0,
        "expired": 0,
        "damaged_outboxes": 0,
        "unreadable": 0,
        "not_stored": 56 - stored,
    }
    (full_disk / "filler").unlink()
    bench.courier._disk_again_s = 0.0
    bench.pump(1)
    assert bench.told["pending_in_memory"] == 0
    assert bench.outbox.counts.rows == stored + 4
    bench.courier.close(0.1)
    assert PLATE not in caplog.text


def test_what_neither_disk_nor_broker_took_is_counted_at_the_end(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(full_disk, MemoryLink(reachable=False), DURABLE)
    bench.link.start()
    fill(full_disk)
    bench.submit(60)
    in_memory = 60 - bench.outbox.counts.rows
    bench.courier.close(0.1)
    assert [r.lost for r in caplog.records if r.msg.startswith("events lost")] == [in_memory]  # type: ignore[attr-defined]


def test_an_event_that_cannot_be_encoded_is_counted_and_stops_nothing(bench: Bench) -> None:
    track = closed_track(confidence=float("nan"))
    assert not bench.courier.submit(make_event(released(track), PROVENANCE, USAGE, new_event_id()))
    ids = bench.submit(2)
    bench.pump()
    assert bench.sent == ids
    lost = bench.told["lost"]
    assert isinstance(lost, dict)
    assert lost["not_stored"] == 1
    assert bench.told["last_error"] == "delivery.event.invalid"


def test_overflow_of_the_outbox_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, MemoryLink(reachable=False), DURABLE)
    bench.outbox.close()
    bench.outbox = Outbox(tmp_path / "small.db", OutboxLimits(max_rows=3))
    courier = Courier(bench.outbox, bench.link, cloudevents(TOPICS), health=bench.health)
    for _ in range(5):
        courier.submit(sample_event())
    lost = courier.health_document()["lost"]
    assert isinstance(lost, dict)
    assert lost["overflow"] == 2
    courier.close(0.1)


# --- the observer ----------------------------------------------------------------------------


class Watched(Bench):
    """With an observer that writes everything down."""

    def __init__(self, folder: Path, settings: CourierSettings = DURABLE) -> None:
        super().__init__(folder, MemoryLink(window=20), settings)
        self.observer = RecordingObserver()
        self.courier = Courier(
            self.outbox,
            self.link,
            cloudevents(TOPICS),
            health=self.health,
            settings=settings,
            observer=self.observer,
        )
        self.link.start()


def test_the_observer_hears_of_each_batch_before_it_leaves(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    bench.link.holding = True
    ids = bench.submit(25)
    bench.pump(1)
    (batch,) = bench.observer.batches
    assert (batch.count, batch.first_id, batch.last_id) == (20, ids[0], ids[19])
    assert batch.destination == "memory"
    assert batch.repeated == 0
    bench.link.cut()
    bench.link.mend()
    bench.link.holding = False
    bench.pump()
    assert bench.observer.batches[1].repeated == 20
    assert {because for _, because in bench.observer.erasures} == {"delivered"}
    assert sum(count for count, _ in bench.observer.erasures) == 25
    assert [one[0] for one in bench.observer.links] == ["up", "down", "up"]
    bench.courier.close(0.1)


def test_a_batch_that_the_observer_refuses_does_not_leave(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    bench.observer.refuse_with = AlprEdgeError("no ledger", code="ledger.full")
    bench.submit(3)
    bench.pump()
    assert bench.sent == []
    assert bench.told["last_error"] == "ledger.full"
    bench.observer.refuse_with = None
    bench.pump()
    assert len(bench.sent) == 3
    bench.courier.close(0.1)


def test_what_is_deleted_unsent_is_told_with_its_reason(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    bench.link.cut()
    bench.submit(3)
    bench.clocks.pass_s(31 * 86_400)
    bench.courier._housekeeping_at_s = 0.0
    bench.pump(1)
    assert bench.observer.erasures == [(3, "expired")]
    bench.courier.close(0.1)


# --- flash and bandwidth ---------------------------------------------------------------------


def test_worn_flash_stores_late_and_what_was_delivered_never(tmp_path: Path) -> None:
    bench = Bench(tmp_path, MemoryLink(), DURABLE)
    bench.outbox.close()
    bench.outbox = Outbox(
        tmp_path / "worn.db", OutboxLimits(max_written_a_day=1), clocks=bench.clocks
    )
    courier = Courier(
        bench.outbox, bench.link, cloudevents(TOPICS), health=bench.health, settings=DURABLE
    )
    bench.courier = courier
    bench.link.start()
    assert bench.outbox.worn
    bench.outbox.tidy()
    written = bench.outbox.counts.written_bytes
    assert not courier.submit(sample_event())
    bench.pump()
    assert len(bench.sent) == 1
    assert bench.outbox.counts.written_bytes == written
    bench.link.cut()
    courier.submit(sample_event())
    bench.pump()
    assert bench.outbox.counts.rows == 0
    courier._spare_until_s = 0.0
    bench.pump()
    assert bench.outbox.counts.rows == 1
    courier.submit(sample_event())
    assert courier.close(0.1) == 2
    assert bench.told["pending_in_memory"] == 0


def test_a_bandwidth_limit_is_kept(tmp_path: Path) -> None:
    settings = CourierSettings(settle_on="puback", max_bytes_per_s=400)
    bench = Bench(tmp_path, MemoryLink(), settings)
    bench.link.start()
    bench.submit(30)
    bench.pump(20)
    size = sum(len(m.payload) for m in bench.link.sent)
    assert 2 <= len(bench.sent) < 6
    assert size < 400 * 10 + 3000
    bench.courier.close(0.0)


def test_the_throttle_fills_and_never_sticks() -> None:
    throttle = Throttle(100, 0.0)
    assert throttle.open(0.0)
    throttle.spend(5000)
    assert not throttle.open(30.0)
    assert throttle.open(60.0)
    free = Throttle(0, 0.0)
    free.spend(10**9)
    assert free.open(0.0)


def test_several_events_share_one_write(bench: Bench) -> None:
    bad = make_event(
        released(closed_track(confidence=float("nan"))), PROVENANCE, USAGE, new_event_id()
    )
    assert bench.courier.submit_all([sample_event(), sample_event()])
    assert not bench.courier.submit_all([sample_event(), bad, sample_event()])
    assert bench.outbox.counts.rows == 4
    assert bench.told["last_error"] == "delivery.event.invalid"


def test_a_stored_event_of_another_form_is_deleted_and_counted(bench: Bench) -> None:
    event = sample_event()
    sealed = bench.outbox.vault.seal(event.event_id, event.schema, b'{"no": "event"}')
    bench.submit()
    bench.outbox._db.execute("UPDATE events SET event_id = ?, sealed = ?", (event.event_id, sealed))
    bench.outbox._fresh.begin(1)  # as after a restart: from disk
    bench.pump()
    assert bench.sent == []
    assert bench.outbox.counts.rows == 0
    assert bench.outbox.counts.unreadable == 1


# --- requests of the city --------------------------------------------------------------------


def test_requests_are_answered_and_greetings_are_sent_on_each_connection(tmp_path: Path) -> None:
    city = PrivateKey.generate()
    bench = Bench(tmp_path, MemoryLink(), DURABLE)
    desk = Desk(
        TOPICS,
        [city.public],
        NoAbilities(),
        number_file=tmp_path / "number",
        clocks=bench.clocks,
        trouble=bench.health.error,
    )
    bench.courier = Courier(
        bench.outbox,
        bench.link,
        cloudevents(TOPICS),
        health=bench.health,
        settings=DURABLE,
        desk=desk,
        greetings=[("hello", b"{}")],
    )
    bench.link.start()
    bench.pump(1)
    assert bench.link.told == [("hello", b"{}", True, b"")]
    begin = datetime.fromtimestamp(bench.clocks.wall, UTC)
    payload = command_payload("cam-1", Command.STATUS, number=1, not_before=begin)
    bench.link.ask(b"garbage")
    bench.link.ask(sign(DocumentType.COMMAND, payload, city), "alpr-edge/desk", b"c7")
    eventually(lambda: bench.pump(1) or len(bench.link.told) == 2)
    topic, answer, retained, correlation = bench.link.told[1]
    assert (topic, retained, correlation) == ("alpr-edge/desk", False, b"c7")
    assert json.loads(answer)["code"] == "delivery.command.not_available"
    assert bench.told["errors"] == {"delivery.command.unsigned": 1}
    for _ in range(50):
        bench.link.ask(b"garbage")
    bench.pump(1)
    assert bench.told["errors"]["delivery.command.not_heard"] > 0
    bench.courier.close(0.1)
