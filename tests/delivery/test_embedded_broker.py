"""The demo's broker: real, on the loopback, quiet, and stopped when asked to."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery_samples import PLATE, Subscriber, eventually, sample_event

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Phase, Topics
from alpr_edge.errors import PublishError

pytest.importorskip("amqtt", reason="needs amqtt: pip install 'alpr-edge[demo]'")
from alpr_edge.delivery.embedded_broker import EmbeddedBroker

TOPICS = Topics("cam-1")


def test_reads_go_through_and_no_log_line_shows_a_plate(
    tmp_path: Path, subscribe: Callable[..., Subscriber], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddedBroker() as broker:
        settings = MqttSettings(broker.host, broker.port, TOPICS, protocol="3.1.1")
        courier = Courier(
            Outbox(tmp_path / "outbox.db"),
            MqttLink(settings),
            cloudevents(TOPICS),
            health=Health("test", time.monotonic()),
            settings=CourierSettings(settle_on="puback"),
        )
        sub = subscribe(broker.port)
        began = time.monotonic()
        courier.start()
        events = [sample_event() for _ in range(30)]
        for event in events:
            courier.submit(event)
        eventually(lambda: len(sub.reads) == 30)
        assert time.monotonic() - began < 5
        assert courier.close(2.0) == 0
        assert sub.ids == {e.event_id for e in events}
        eventually(lambda: sub.states[-1]["state"] == "offline")
        sub.close()
    assert PLATE not in caplog.text


def test_mqtt_5_falls_back_by_itself_although_amqtt_does_not_answer() -> None:
    with EmbeddedBroker() as broker:
        times = MqttTimes(connect=0.5, first_retry=0.1)
        link = MqttLink(MqttSettings(broker.host, broker.port, TOPICS, times=times))
        link.start()
        eventually(lambda: link.state.phase is Phase.CONNECTED)
        assert link.state.protocol == "MQTT 3.1.1"
        link.close(b'{"state":"offline"}')


def test_it_listens_on_the_loopback_only_and_stops() -> None:
    before = threading.active_count()
    with EmbeddedBroker() as broker:
        assert broker.host == "127.0.0.1"
        socket.create_connection((broker.host, broker.port), timeout=2).close()
    with pytest.raises(OSError):
        socket.create_connection((broker.host, broker.port), timeout=2)
    assert threading.active_count() == before


def test_a_taken_port_is_an_own_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(PublishError) as caught, EmbeddedBroker(taken.getsockname()[1]):
            pass
        assert caught.value.code == "delivery.broker.start"
