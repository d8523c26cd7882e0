"""The witness: judges by the book, finds forks and silence, keeps up with a whole city."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import TestSigner
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.ledger.channel import ASK, parse_seen
from alpr_edge.ledger.merkle import LeafList, consistency_proof, leaf_hash, root_of
from alpr_edge.ledger.note import (
    Checkpoint,
    Submission,
    VerifierKey,
    cosigned,
    parse_note,
    sign,
)
from alpr_edge.ledger.witness import Broker, Witness, WitnessService, WitnessSettings
from alpr_edge.ledger.witness_book import WitnessBook

CITY = 474
NAME = "witness.city.example"


@dataclass
class Device:
    """A device's log in memory."""

    name: str
    signer: TestSigner = field(default_factory=TestSigner)
    leaves: list[bytes] = field(default_factory=list)
    generation: int = 1

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(f"alpr-edge/{self.name}", self.signer.public_key)

    def grow(self, count: int, story: str = "") -> Device:
        start = len(self.leaves)
        self.leaves += [leaf_hash(f"{story}{start + n}".encode()) for n in range(count)]
        return self

    def submission(self, old: int) -> bytes:
        source = LeafList(self.leaves)
        size = len(self.leaves)
        origin = f"alpr-edge/{self.name}/ledger/{self.generation}"
        head = Checkpoint(origin, size, root_of(source, 0, size))
        note = sign(head, f"alpr-edge/{self.name}", [self.signer])
        return Submission(old, tuple(consistency_proof(source, old, size)), note).encode()


class Desk:
    """A witness with a clock that is set by hand."""

    def __init__(self, path: Path, devices: list[Device]) -> None:
        self.now = 1_790_000_000.0
        self.signer = TestSigner()
        self.book = WitnessBook(path)
        self.witness = Witness(
            self.book,
            self.signer,
            [d.key for d in devices],
            WitnessSettings(NAME),
            clock=lambda: self.now,
        )

    def hear(self, device: str, data: bytes) -> tuple[tuple[int, str] | None, list[str]]:
        answers, alarms = self.witness.take([(device, data)])
        answer = parse_seen(answers[device]) if device in answers else None
        return answer, [alarm.kind for alarm in alarms]


@pytest.fixture
def device() -> Device:
    return Device("cam-0001").grow(3)


@pytest.fixture
def desk(tmp_path: Path, device: Device) -> Desk:
    return Desk(tmp_path / "book.sqlite3", [device])


def test_it_cosigns_what_continues(desk: Desk, device: Device) -> None:
    first, alarms = desk.hear(device.name, device.submission(0))
    assert first is not None
    assert (first[0], alarms) == (3, [])
    device.grow(10)
    data = device.submission(3)
    answer, alarms = desk.hear(device.name, data)
    assert answer is not None
    assert (answer[0], alarms) == (13, [])
    whole = str(Submission.parse(data).note).encode() + answer[1].encode() + b"\n"
    key = VerifierKey(NAME, desk.signer.public_key, kind=4)
    assert cosigned(parse_note(whole), [key]) == {key: 1_790_000_000}
    assert desk.book.head_note(device.name) == whole.decode()
    # Again the same, and an older one that comes late, change nothing.
    assert desk.hear(device.name, data)[0] == answer
    assert desk.hear(device.name, Device(**vars(device)).submission(3))[1] == []


def test_without_a_proof_it_asks(desk: Desk, device: Device) -> None:
    desk.hear(device.name, device.submission(0))
    device.grow(4)
    assert desk.hear(device.name, device.submission(1)) == ((3, ASK), [])
    desk.now += 700
    assert [a.kind for a in desk.witness.look_for_silence()] == ["gap"]
    assert desk.hear(device.name, device.submission(3))[0] is not None


def test_two_stories_are_a_fork(desk: Desk, device: Device) -> None:
    desk.hear(device.name, device.submission(0))
    other = Device(device.name, device.signer).grow(3, "other ")
    assert desk.hear(device.name, other.submission(0)) == (None, ["fork"])
    other.grow(4)
    assert desk.hear(device.name, other.submission(3)) == (None, ["fork"])
    evidence = desk.book.alarms()[0].evidence
    assert (
        Submission.parse(evidence).note.text
        == Submission.parse(
            Device(device.name, device.signer).grow(3, "other ").submission(0)
        ).note.text
    )


def test_a_log_that_begins_anew_is_told(desk: Desk, device: Device) -> None:
    desk.hear(device.name, device.submission(0))
    anew = Device(device.name, device.signer, generation=2).grow(1)
    answer, alarms = desk.hear(device.name, anew.submission(0))
    assert answer is not None
    assert (answer[0], alarms) == (1, ["restarted"])


def test_strangers_are_not_cosigned(desk: Desk, device: Device) -> None:
    assert desk.hear("cam-0002", device.submission(0)) == (None, ["unknown"])
    assert desk.hear(device.name, Device(device.name).grow(3).submission(0)) == (None, ["forged"])
    assert desk.hear(device.name, b"rubbish") == (None, ["malformed"])


@given(data=st.binary(max_size=200))
def test_rubbish_never_stops_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    desk = Desk(tmp_path_factory.mktemp("w") / "book", [])
    assert desk.hear("cam-0001", data) == (None, ["malformed"])
    desk.book.close()


def test_silence_is_told_once_and_its_end_too(desk: Desk, device: Device) -> None:
    desk.hear(device.name, device.submission(0))
    desk.now += 901
    assert [a.kind for a in desk.witness.look_for_silence()] == ["silence"]
    assert desk.witness.look_for_silence() == []
    assert desk.book.standings()[0].silent
    assert desk.hear(device.name, device.submission(0))[1] == ["heard_again"]


def test_the_book_survives(tmp_path: Path, device: Device) -> None:
    desk = Desk(tmp_path / "book", [device])
    desk.hear(device.name, device.submission(0))
    desk.book.close()
    again = Desk(tmp_path / "book", [device])
    other = Device(device.name, device.signer).grow(3, "other ")
    assert again.hear(device.name, other.submission(0)) == (None, ["fork"])
    assert (tmp_path / "book").stat().st_mode & 0o777 == 0o600


@pytest.mark.mosquitto
@pytest.mark.timeout(240)
def test_a_city_of_474_devices_over_mosquitto(tmp_path: Path, mosquitto) -> None:
    devices = [Device(f"cam-{n:04d}").grow(5) for n in range(CITY)]
    book = WitnessBook(tmp_path / "book")
    settings = WitnessSettings(NAME, silence_s=3600.0)
    witness = Witness(book, TestSigner(), [d.key for d in devices], settings)
    service = WitnessService(witness, Broker("127.0.0.1", mosquitto.port))
    running = threading.Thread(target=service.run)
    running.start()
    seen: dict[str, int] = {}
    alarms: list[dict[str, object]] = []

    def on_message(client: object, _: object, message: paho.MQTTMessage) -> None:
        if message.topic.endswith("/alarms"):
            alarms.append(json.loads(message.payload))
        else:
            seen[message.topic.split("/")[1]] = parse_seen(message.payload)[0]

    fleet = paho.Client(CallbackAPIVersion.VERSION2)
    fleet.on_message = on_message
    fleet.max_inflight_messages_set(200)
    ready = threading.Event()
    fleet.on_subscribe = lambda *_: ready.set()
    fleet.connect("127.0.0.1", mosquitto.port)
    fleet.loop_start()
    fleet.subscribe([("alpr-edge/+/ledger/witness", 1), ("alpr-edge/witness/alarms", 1)])
    assert ready.wait(20)

    def publish(data: list[tuple[Device, bytes]]) -> None:
        for device, one in data:
            fleet.publish(f"alpr-edge/{device.name}/ledger/checkpoint", one, qos=1, retain=True)

    publish([(d, d.submission(0)) for d in devices])
    _until(lambda: len(seen) == CITY and set(seen.values()) == {5})
    round_two = [(d, d.grow(7).submission(5)) for d in devices]
    publish(round_two)
    _until(lambda: set(seen.values()) == {12})
    assert alarms == []
    forked = Device(devices[99].name, devices[99].signer).grow(20, "other ")
    publish([(forked, forked.submission(12))])
    _until(lambda: bool(alarms))
    assert [(a["kind"], a["device"]) for a in alarms] == [("fork", "cam-0099")]
    service.stop()
    running.join(20)
    assert {s.size for s in book.standings()} == {12}
    fleet.disconnect()
    fleet.loop_stop()
    book.close()


def _until(true: object, within_s: float = 90.0) -> None:
    end = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
