"""The receipt service stores once and answers, on a real mosquitto; and the small soak."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import PLATE, eventually, sample_event
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import Encode, cloudevents
from alpr_edge.delivery.foreign import minimal, onvif, openalpr
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Topics
from alpr_edge.delivery.receipt_service import (
    Arrived,
    ReadStore,
    ReceiptService,
    Where,
    event_id_of,
    keep_until,
)
from alpr_edge.errors import PublishError

TOPICS = Topics("cam-1")
NOW = 1_800_000_000.0


def arrived(event_id: str, until: str = "2027-06-01T00:00:00Z") -> Arrived:
    payload = json.dumps({"id": event_id, "retention_until": until}).encode()
    return Arrived(1, "cam-1", payload, event_id)


def test_what_comes_twice_is_stored_once_and_goes_when_it_must(tmp_path: Path) -> None:
    store = ReadStore(tmp_path / "deep" / "reads.db")
    assert stat.S_IMODE((tmp_path / "deep" / "reads.db").stat().st_mode) == 0o600
    assert store.put([arrived("a"), arrived("b"), arrived("a")], NOW) == 2
    assert store.put([arrived("b"), arrived("c", "2020-01-01T00:00:00Z")], NOW) == 1
    assert sorted(store.ids()) == ["a", "b", "c"]
    assert store.purge(NOW) == 1
    assert sorted(store.ids()) == ["a", "b"]
    store.close()
    with pytest.raises(PublishError) as caught:
        ReadStore(tmp_path / "deep" / "reads.db" / "x")
    assert caught.value.code == "delivery.receipts.store"


@given(st.binary(max_size=300), st.dictionaries(st.text(), st.text(), max_size=2))
def test_any_payload_has_an_id_or_none_and_an_end(payload: bytes, given: dict[str, str]) -> None:
    assert isinstance(event_id_of(payload, given), str)
    assert isinstance(keep_until(payload, NOW), float)


@pytest.mark.parametrize(
    "payload", [b"7", b"[]", b'{"id": 7}', b'{"uuids": []}', b'{"uuids": [7]}', b'{"data": 7}']
)
def test_odd_payloads_have_no_id(payload: bytes) -> None:
    assert event_id_of(payload, {}) == ""
    assert keep_until(payload, NOW) == NOW + 86_400


class Running:
    """Service and device on one broker."""

    def __init__(self, folder: Path, port: int, encode: Encode, protocol: Any = "auto") -> None:
        self.store = ReadStore(folder / "reads.db")
        self.service = ReceiptService(
            Where("127.0.0.1", port, reconnect_s=1, mqtt5=protocol != "3.1.1"), self.store
        )
        self.thread = threading.Thread(target=self.service.run, daemon=True)
        self.thread.start()
        times = MqttTimes(connect=2.0, first_retry=0.1, most_retry=0.3)
        self.outbox = Outbox(folder / "outbox.db")
        self.courier = Courier(
            self.outbox,
            MqttLink(
                MqttSettings(
                    "127.0.0.1", port, TOPICS, receipts=True, times=times, protocol=protocol
                )
            ),
            encode,
            health=Health("test", time.monotonic()),
            settings=CourierSettings(receipt_timeout_s=1.0),
        )
        self.courier.start()

    def close(self) -> None:
        self.courier.close(0.0)
        self.service.stop()
        self.thread.join()
        self.store.close()


@pytest.fixture
def running(mosquitto: Any, tmp_path: Path) -> Iterator[Any]:
    made: list[Running] = []

    def make(encode: Encode, protocol: str = "auto") -> Running:
        made.append(Running(tmp_path, mosquitto.port, encode, protocol))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("encode", "protocol"),
    [
        (cloudevents(TOPICS), "auto"),
        (cloudevents(TOPICS), "3.1.1"),
        (openalpr(TOPICS), "3.1.1"),
        (minimal(TOPICS), "3.1.1"),
        (onvif(TOPICS), "5"),
    ],
    ids=["binary", "structured", "openalpr", "minimal", "onvif"],
)
def test_the_outbox_empties_when_the_service_has_stored(
    running: Any, encode: Encode, protocol: str
) -> None:
    one = running(encode, protocol)
    events = [sample_event() for _ in range(30)]
    assert one.courier.submit_all(events)
    eventually(lambda: one.outbox.counts.rows == 0, within_s=60)
    assert set(one.store.ids()) == {event.event_id for event in events}
    assert one.service.stored == 30
    row = one.store._db.execute("SELECT payload, keep_until FROM reads").fetchone()
    assert PLATE in json.dumps(json.loads(row[0]))
    if protocol == "auto":
        assert row[1] > time.time() + 29 * 86_400


@pytest.mark.mosquitto
def test_a_full_disk_at_the_service_gives_no_receipt(mosquitto: Any, tmp_path: Path) -> None:
    store = ReadStore(tmp_path / "reads.db")
    service = ReceiptService(Where("127.0.0.1", mosquitto.port), store)
    store._db.close()
    service._arrived.put(arrived("a"))
    with pytest.raises((PublishError, sqlite3.Error)):
        service._round()
    assert service.stored == 0


@pytest.mark.mosquitto
def test_the_command_serves_until_it_is_told_to_stop(mosquitto: Any, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "alpr_edge", "receipts", "--port", str(mosquitto.port), "--store",
         str(tmp_path / "reads.db")],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        eventually(lambda: "SUBACK" in mosquitto.log.read_text(), within_s=60)
        subprocess.run(
            ["mosquitto_pub", "-p", str(mosquitto.port), "-q", "1", "-t", TOPICS.reads, "-s"],
            input=sample_event().to_json(),
            check=True,
        )
        store = ReadStore(tmp_path / "reads.db")
        eventually(lambda: store.ids(), within_s=60)
        store.close()
        process.terminate()
        _, text = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1 reads stored" in text


@pytest.mark.mosquitto
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_random_kills_lose_nothing() -> None:
    """A small sample of `make soak-delivery` (10,000 events, 200 kills)."""
    from bench.soak_delivery import soak

    result = soak(200, 6, seed=4, show=False)
    assert result["missing"] == 0
    assert result["events"] >= 200
    assert sum(result["kills"].values()) == 6
