"""Programs that the tests start and kill.

python worker.py put OUTBOX               stores events for ever, prints each stored id
python worker.py serve OUTBOX PORT COUNT  stores COUNT events, delivers; SIGTERM ends it cleanly
"""

# ruff: noqa: T201 - the tests read what it prints

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from delivery_samples import sample_event

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Topics


def put(path: Path) -> None:
    with Outbox(path) as outbox:
        while True:
            event = sample_event()
            outbox.put(event)
            print(event.event_id, flush=True)


def serve(path: Path, port: int, count: int) -> None:
    topics = Topics("cam-1")
    times = MqttTimes(first_retry=0.2, most_retry=0.5, will_delay=0)
    link = MqttLink(MqttSettings("127.0.0.1", port, topics, times=times))
    courier = Courier(
        Outbox(path),
        link,
        cloudevents(topics),
        health=Health("alpr-edge test", time.monotonic()),
        settings=CourierSettings(settle_on="puback"),
    )
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    courier.start()
    for _ in range(count):
        event = sample_event()
        courier.submit(event)
        print(event.event_id, flush=True)
    print("ready", flush=True)
    while not over.wait(0.1):
        pass
    print(f"left {courier.close(5.0)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "put":
        put(Path(sys.argv[2]))
    else:
        serve(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
