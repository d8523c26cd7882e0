"""Sample events, released by the real gate, and a subscriber that writes down what it receives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from schemas import check_message

from alpr_edge.delivery.event import Event, Provenance, UsageTerms, make_event
from alpr_edge.delivery.ids import new_event_id
from alpr_edge.delivery.receipts import make_receipt
from alpr_edge.exclusion.gate import Gate, GateLimits, ReleasedRead
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import ClosedTrack, Read, Region, TrackStep

PLATE = "7QXK419"
PROVENANCE = Provenance("cam-1", "5th and Main", "north", "aa" * 32, "bb" * 32, "alpr-edge test")
USAGE = UsageTerms(timedelta(days=30))
QUAD = np.array([[10, 10], [60, 11], [60, 26], [10, 25]], np.float32)


def closed_track(
    plate: str = PLATE,
    *,
    confidence: float = 0.9,
    region: Region | None = Region("us-ca", 0.8),  # noqa: B008
    last_seen: datetime | None = None,
) -> ClosedTrack:
    seen = last_seen or datetime.now(UTC)
    read = Read(plate, confidence, (confidence,) * len(plate), region)
    first = seen - timedelta(seconds=2)
    return ClosedTrack(1, read, QUAD, QUAD, QUAD, first, seen, 12, 11)


def released(track: ClosedTrack) -> ReleasedRead:
    """By the real gate, in a view where nothing is protected."""
    gate = Gate(make_zones([], size_px=(64, 64), band_px=0, digest="cc" * 32), GateLimits())
    return gate.step(TrackStep((), (track,), ()), 1).released[0]


def sample_event(
    plate: str = PLATE, *, retention: timedelta | None = None, last_seen: datetime | None = None
) -> Event:
    usage = UsageTerms(retention) if retention else USAGE
    track = closed_track(plate, last_seen=last_seen)
    return make_event(released(track), PROVENANCE, usage, new_event_id())


def eventually(check: Callable[[], object], *, within_s: float = 15.0) -> None:
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


class Subscriber:
    """A consumer with a session that outlives its connection; `receipts=True` answers reads."""

    def __init__(self, port: int, *topics: str, receipts: bool = False, name: str = "sub") -> None:
        self.messages: list[paho.MQTTMessage] = []
        self.violations: list[str] = []
        self._receipts = receipts
        self._topics = topics or ("alpr-edge/#",)
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv311,
            clean_session=False,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        try:
            check_message(message.topic, bytes(message.payload))
        except AssertionError as err:
            self.violations.append(str(err))
        if self._receipts and message.topic.endswith("/reads"):
            ids = [json.loads(message.payload)["id"]]
            client.publish(message.topic.replace("/reads", "/receipts"), make_receipt(ids), qos=1)

    @property
    def reads(self) -> list[paho.MQTTMessage]:
        return [m for m in list(self.messages) if m.topic.endswith("/reads")]

    @property
    def ids(self) -> set[str]:
        return {json.loads(m.payload)["id"] for m in self.reads}

    @property
    def states(self) -> list[dict[str, object]]:
        return [json.loads(m.payload) for m in list(self.messages) if m.topic.endswith("/state")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        assert not self.violations
