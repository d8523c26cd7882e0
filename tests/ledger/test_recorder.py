"""What the service tells the ledger, and what of it leaves by MQTT and serial."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import DIGEST, EVENT, HandClock, TestSigner, boot
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.observer import Batch
from alpr_edge.delivery.port import Topics
from alpr_edge.errors import AuditError
from alpr_edge.ledger.channel import (
    LedgerChannel,
    LedgerTopics,
    SerialCheckpoints,
    encode_seen,
    parse_seen,
)
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import (
    Body,
    ConfigChange,
    Egress,
    Hour,
    LinkDown,
    LinkUp,
    MaskChange,
    Retention,
    Stop,
    TimeCorrection,
    Trigger,
)
from alpr_edge.ledger.note import Submission
from alpr_edge.ledger.recorder import Recorder, coarse
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.types import DropReason

BATCH = Batch(2, EVENT, EVENT, "broker.city.example:8883", DIGEST, 0)


class Desk:
    """A recorder with its clock and its log."""

    def __init__(self, path: Path) -> None:
        self.hand = HandClock()
        self.identity = Identity("cam-0001", (TestSigner(),))
        self.ledger = Ledger(path, self.identity, clock=self.hand.clock())
        self.alarms: list[Trigger] = []
        self.recorder = Recorder(self.ledger, clock=self.hand.clock(), alarm=self.alarms.append)

    def bodies(self) -> list[Body]:
        self.recorder.end(Stop(reason="asked"))
        entries: list[Entry] = []
        path = self.ledger.folder
        verdict = verify(LedgerFolder(path), Question(self.identity.keys), visit=entries.append)
        assert verdict.holds
        return [entry.body for entry in entries]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "ledger")


def test_an_hour_is_told_coarsely_with_every_reason(desk: Desk) -> None:
    for _ in range(10):
        desk.recorder.frame()
    desk.recorder.frame(failed=True)
    desk.recorder.published(3)
    desk.recorder.erased(2, "delivered")
    desk.recorder.suppressed(DropReason.TOUCHES_MASK, 9)
    desk.hand.go(3600)
    desk.recorder.frame()
    hours = [b for b in desk.bodies() if isinstance(b, Hour)]
    first, last = hours
    assert (first.frames, first.failed_frames, first.published, first.delivered) == (11, 1, 3, 2)
    assert first.seconds == 3600
    assert first.suppressed_at_most == {
        reason: 16 if reason is DropReason.TOUCHES_MASK else 8 for reason in DropReason
    }
    assert (last.frames, last.seconds) == (1, 0)


@given(st.integers(0, 1 << 40))
def test_coarse_counts_are_bounds(count: int) -> None:
    assert max(8, count) <= coarse(count) < max(9, 2 * max(1, count))


def test_a_batch_is_on_disk_before_it_leaves(desk: Desk) -> None:
    desk.recorder.leaving(BATCH)
    raw = (desk.ledger.folder / "journal").read_text()
    assert EVENT in raw
    assert [b for b in desk.bodies() if isinstance(b, Egress)] == [
        Egress(
            count=2,
            first=EVENT,
            last=EVENT,
            destination="broker.city.example",
            port=8883,
            certificate=DIGEST,
        )
    ]


def test_links_deletions_and_triggers(desk: Desk) -> None:
    desk.recorder.link_up("broker.city.example:8883", DIGEST, "MQTT 5")
    desk.recorder.link_down("broker.city.example:8883", "delivery.link.lost")
    desk.recorder.link_up("broker.city.example:8883", DIGEST[::-1], "MQTT 5")
    for _ in range(3):
        desk.recorder.link_down("broker.city.example:8883", "delivery.link.tls")
    desk.recorder.link_down("10.0.0.7:8883", "delivery.link.tls_certificate")
    desk.recorder.erased(4, "expired")
    desk.recorder.erased(0, "overflow")
    assert [t.what for t in desk.alarms] == [
        "certificate_changed",
        "tls_clients_failed",
        "unknown_authority",
    ]
    bodies = desk.bodies()
    assert sum(isinstance(b, LinkUp) for b in bodies) == 2
    assert next(b.code for b in bodies if isinstance(b, LinkDown)) == "delivery.link.lost"
    assert [b for b in bodies if isinstance(b, Retention)] == [Retention(reason="expired", count=4)]
    assert [b for b in bodies if isinstance(b, Trigger)] == desk.alarms


def test_a_clock_that_is_set_is_on_record_and_slewing_is_not(desk: Desk) -> None:
    desk.recorder.frame()
    desk.hand.go(60)
    desk.hand.up_s -= 1.0
    desk.recorder.frame()
    desk.hand.go(60)
    desk.hand.up_s += 3600
    desk.recorder.frame()
    steps = [b for b in desk.bodies() if isinstance(b, TimeCorrection)]
    assert [round(s.step_ms / 1000) for s in steps] == [-3599]


def test_what_changed_between_two_runs_is_on_record(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "ledger")
    desk.recorder.begin(boot())
    desk.recorder.end(Stop(reason="asked"))
    ledger = Ledger(tmp_path / "ledger", desk.identity, clock=desk.hand.clock())
    other = boot(2).model_copy(update={"config": DIGEST[::-1], "mask": DIGEST[::-1]})
    desk.ledger = ledger
    desk.recorder = Recorder(ledger, clock=desk.hand.clock())
    desk.recorder.begin(other)
    bodies = desk.bodies()
    assert [b.old for b in bodies if isinstance(b, ConfigChange)] == [DIGEST]
    assert [b.new for b in bodies if isinstance(b, MaskChange)] == [DIGEST[::-1]]
    assert ledger.last_boot() == other


# --- out -------------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_a_strange_answer_of_a_witness_is_refused(data: bytes) -> None:
    with pytest.raises(AuditError):
        parse_seen(data)
    assert parse_seen(encode_seen(7, "— name AAAA")) == (7, "— name AAAA")


def test_checkpoints_go_out_by_serial(desk: Desk) -> None:
    controller, line = pty.openpty()
    serial = SerialCheckpoints(os.ttyname(line))
    desk.ledger.append(boot())
    desk.ledger.sync()
    note = desk.ledger.latest
    assert serial.show(note)
    assert not serial.show(note)
    shown = os.read(controller, 4096).decode().replace("\r", "")
    assert str(note) in shown
    os.close(line)
    os.close(controller)
    with pytest.raises(AuditError, match="cannot be written"):
        SerialCheckpoints("/nonexistent/tty").show(note)


@pytest.mark.mosquitto
def test_checkpoints_alarms_and_attestations_go_out_by_mqtt(desk: Desk, mosquitto) -> None:
    heard: dict[str, bytes] = {}
    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = lambda _c, _u, m: heard.__setitem__(m.topic, m.payload)
    subscriber.on_connect = lambda c, *_: c.subscribe("city/alpr/#", qos=1)
    subscriber.connect("127.0.0.1", mosquitto.port)
    subscriber.loop_start()
    topics = LedgerTopics("city/alpr", "cam-0001")
    settings = MqttSettings("127.0.0.1", mosquitto.port, Topics("cam-0001", "city/alpr"))
    ahead: list[int] = []
    submission = desk.ledger.submission
    channel = LedgerChannel(settings, topics, submission, every_s=0.05, ahead=ahead.append)
    desk.ledger.append(boot())
    desk.ledger.sync()
    channel.start()
    channel.alarm(Trigger(what="case_opened"))
    channel.attest(b"statement")
    _until(lambda: {topics.checkpoint, topics.alarm, topics.attestation} <= set(heard))
    assert Submission.parse(heard[topics.checkpoint]).old == 0
    assert b"case_opened" in heard[topics.alarm]
    subscriber.publish(topics.witness, encode_seen(1, "— w AAAA"), qos=1, retain=True)
    _until(lambda: channel.witnessed == 1)
    desk.ledger.append(boot())
    desk.ledger.sync()
    _until(lambda: Submission.parse(heard[topics.checkpoint]).old == 1)
    assert not ahead
    subscriber.publish(topics.witness, encode_seen(99, "— w AAAA"), qos=1, retain=True)
    _until(lambda: ahead == [99])
    channel.close()
    subscriber.disconnect()
    subscriber.loop_stop()


def test_a_forged_size_is_one_alarm_an_hour_and_changes_nothing(desk: Desk) -> None:
    ahead: list[int] = []
    topics = LedgerTopics("city/alpr", "cam-0001")
    channel = LedgerChannel(
        MqttSettings("127.0.0.1", 1, Topics("cam-0001", "city/alpr")),
        topics,
        desk.ledger.submission,
        ahead=ahead.append,
        answered=lambda _size, _line: False,
    )

    def say(size: int, line: str) -> None:
        message = paho.MQTTMessage(topic=topics.witness.encode())
        message.payload = encode_seen(size, line)
        channel._on_message(None, None, message)

    desk.ledger.append(boot())
    desk.ledger.sync()
    for size in range(90, 140):
        say(size, "— w AAAA")
        say(size, "— ask")
    assert ahead == [90]
    assert (channel.witnessed, channel.cosignature) == (0, "")


def _until(true: object, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
