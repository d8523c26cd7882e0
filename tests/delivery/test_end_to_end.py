"""Outbox, courier, link and a real mosquitto together: nothing is lost, whoever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import PLATE, Subscriber, eventually, sample_event

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.flight import SettleOn
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Topics

TOPICS = Topics("cam-1")
WORKER = Path(__file__).with_name("worker.py")
DURABLE = """
autosave_interval 1
autosave_on_changes true
persistence true
persistence_location {}/
user root"""

pytestmark = pytest.mark.mosquitto
Subscribe = Callable[..., Subscriber]
Start = Callable[..., Courier]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Courier] = []

    def make(port: int, settle_on: SettleOn = "puback") -> Courier:
        times = MqttTimes(connect=2.0, first_retry=0.1, most_retry=0.3)
        receipts = settle_on == "receipt"
        link = MqttLink(MqttSettings("127.0.0.1", port, TOPICS, receipts=receipts, times=times))
        made.append(
            Courier(
                Outbox(tmp_path / "outbox.db"),
                link,
                cloudevents(TOPICS, "structured"),
                health=Health("test", time.monotonic()),
                settings=CourierSettings(settle_on=settle_on, receipt_timeout_s=2.0),
            )
        )
        made[-1].start()
        return made[-1]

    yield make
    for courier in made:
        courier.close(0.5)


def pending(courier: Courier) -> object:
    return courier.health_document()["pending"]


def test_reads_arrive_and_the_outbox_empties(
    mosquitto: Any, start: Start, subscribe: Subscribe
) -> None:
    sub = subscribe(mosquitto.port)
    courier = start(mosquitto.port)
    events = [sample_event() for _ in range(50)]
    for event in events:
        assert courier.submit(event)
    eventually(lambda: pending(courier) == 0)
    eventually(lambda: len(sub.reads) == 50)
    assert [m.payload for m in sub.reads] == [e.to_json() for e in events]
    assert not any(m.retain for m in sub.reads)


def test_a_broker_that_is_away_at_the_start_loses_nothing(
    mosquitto: Any, start: Start, subscribe: Subscribe
) -> None:
    sub = subscribe(mosquitto.port, receipts=True)
    mosquitto.stop()
    courier = start(mosquitto.port, "receipt")
    ids = set()
    for _ in range(30):
        event = sample_event()
        ids.add(event.event_id)
        courier.submit(event)
    eventually(lambda: courier.health_document()["last_error"] == "delivery.link.unreachable")
    assert pending(courier) == 30
    mosquitto.start()
    eventually(lambda: sub.ids >= ids, within_s=30)
    eventually(lambda: pending(courier) == 0, within_s=30)


@pytest.mark.slow
@pytest.mark.parametrize("settle_on", ["puback", "receipt"])
def test_a_broker_killed_again_and_again_loses_nothing(
    mosquitto: Any, start: Start, subscribe: Subscribe, tmp_path: Path, settle_on: SettleOn
) -> None:
    """With `puback` the broker is durable, as the setting says; with `receipt` it forgets all.

    mosquitto is durable only where it ends in order: it acknowledges, and writes a moment later.
    """
    if settle_on == "puback":
        mosquitto.stop()
        mosquitto.settings = DURABLE.format(mosquitto.folder)
        mosquitto.start()
    sub = subscribe(mosquitto.port, receipts=settle_on == "receipt")
    courier = start(mosquitto.port, settle_on)
    ids = []
    over = threading.Event()

    def flow() -> None:
        while not over.is_set():
            event = sample_event()
            courier.submit(event)
            ids.append(event.event_id)
            time.sleep(0.005)

    flowing = threading.Thread(target=flow)
    flowing.start()
    for _ in range(3):
        time.sleep(1.5)
        mosquitto.stop(in_order=settle_on == "puback")
        time.sleep(0.3)
        mosquitto.start()
    time.sleep(0.5)
    over.set()
    flowing.join()
    eventually(lambda: pending(courier) == 0, within_s=60)
    eventually(lambda: sub.ids >= set(ids), within_s=30)
    assert len(ids) > 100


def test_sigterm_drains_and_says_farewell(
    mosquitto: Any, subscribe: Subscribe, tmp_path: Path
) -> None:
    sub = subscribe(mosquitto.port)
    with subprocess.Popen(
        [sys.executable, str(WORKER), "serve", str(tmp_path / "o.db"), str(mosquitto.port), "40"],
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        ids = [worker.stdout.readline().strip() for _ in range(40)]
        worker.send_signal(signal.SIGTERM)
        rest = worker.stdout.read().split("\n")
    assert worker.returncode == 0
    assert rest == ["ready", "left 0", ""]
    eventually(lambda: sub.ids == set(ids))
    eventually(lambda: sub.states[-1] == {"state": "offline", "reason": "shutdown"})


def test_a_killed_device_delivers_after_its_restart(
    mosquitto: Any, start: Start, subscribe: Subscribe, tmp_path: Path
) -> None:
    sub = subscribe(mosquitto.port)
    with subprocess.Popen(
        [sys.executable, str(WORKER), "serve", str(tmp_path / "outbox.db"), "9", "25"],
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        ids = {worker.stdout.readline().strip() for _ in range(25)}
        worker.kill()
    start(mosquitto.port)
    eventually(lambda: sub.ids == ids)


def test_no_log_line_holds_a_plate(
    mosquitto: Any, start: Start, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    sub = subscribe(mosquitto.port)
    courier = start(mosquitto.port)
    courier.submit(sample_event())
    eventually(lambda: sub.reads)
    mosquitto.stop()
    courier.submit(sample_event())
    eventually(lambda: courier.health_document()["last_error"])
    courier.close(0.1)
    assert PLATE not in caplog.text + "".join(map(repr, (r.__dict__ for r in caplog.records)))
    assert PLATE not in mosquitto.log.read_text()
