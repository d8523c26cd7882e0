"""Delivery: enqueue → PUBACK, sustained events a second, and reopening a full outbox.

    python bench/bench_delivery.py [--events 1000] [--json]

Starts Debian's mosquitto on a free port (apt-get install mosquitto). Durability is included: each
event is committed to SQLite with synchronous=FULL before it is sent, and deleted after its PUBACK.
Set against bare paho at QoS 1 in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "delivery"))
from delivery_samples import sample_event

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Phase, Topics

TOPICS = Topics("bench")
IN_FLIGHT = 20
"""For both sides of the comparison."""


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker on a free port."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if program is None:
        sys.exit("needs mosquitto: apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (
        tempfile.NamedTemporaryFile("w", suffix=".conf") as config,
        subprocess.Popen(
            [program, "-c", _written(config, port)], stderr=subprocess.DEVNULL
        ) as broker,
    ):
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
        broker.terminate()


def _written(config: IO[str], port: int) -> str:
    """As `scripts/provision mosquitto` sets it: 100 in flight instead of 20."""
    config.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 100\n")
    config.flush()
    return config.name


@contextmanager
def courier(folder: Path, port: int) -> Iterator[tuple[Courier, Outbox]]:
    """A courier that is connected."""
    outbox = Outbox(folder / "outbox.db")
    link = MqttLink(MqttSettings("127.0.0.1", port, TOPICS, window=IN_FLIGHT))
    one = Courier(
        outbox,
        link,
        cloudevents(TOPICS),
        health=Health("bench", time.monotonic()),
        settings=CourierSettings(settle_on="puback"),
    )
    one.start()
    while link.state.phase is not Phase.CONNECTED:
        time.sleep(0.01)
    yield one, outbox
    one.close(5.0)


def one_at_a_time(folder: Path, port: int, count: int) -> list[float]:
    """Milliseconds from submit to the row's deletion after PUBACK."""
    took = []
    with courier(folder, port) as (one, outbox):
        for _ in range(count):
            event = sample_event()
            began = time.perf_counter()
            one.submit(event)
            while outbox.counts.rows:
                time.sleep(0.0001)
            took.append(1e3 * (time.perf_counter() - began))
    return took


def sustained(folder: Path, port: int, count: int, batch: int) -> float:
    """Events a second, all stored, sent, acknowledged and deleted."""
    events = [sample_event() for _ in range(count)]
    with courier(folder, port) as (one, outbox):
        began = time.perf_counter()
        for start in range(0, count, batch):
            if batch == 1:
                one.submit(events[start])
            else:
                outbox.put_all(events[start : start + batch])
        while outbox.counts.rows:
            time.sleep(0.001)
        return count / (time.perf_counter() - began)


def bare_paho(port: int, count: int) -> float:
    """The same payloads by paho alone, 20 in flight, nothing stored."""
    payloads = [sample_event().to_json() for _ in range(count)]
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(IN_FLIGHT)
    ready, done = threading.Event(), threading.Semaphore(0)
    client.on_connect = lambda *_: ready.set()
    client.on_publish = lambda *_: done.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    ready.wait(10)
    began = time.perf_counter()
    for payload in payloads:
        client.publish(TOPICS.reads, payload, qos=1)
    for _ in payloads:
        done.acquire()
    took = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return count / took


def reopen(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds to fill and to reopen an outbox."""
    path = folder / "large.db"
    events = [sample_event() for _ in range(1000)]
    began = time.perf_counter()
    with Outbox(path) as outbox:
        for _ in range(rows // 1000):
            outbox.put_all(events)
            events = [sample_event() for _ in range(1000)]
    filled = time.perf_counter() - began
    began = time.perf_counter()
    with Outbox(path) as outbox:
        assert outbox.pending(1)
    return filled, time.perf_counter() - began


def main() -> None:
    """Run all of it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with mosquitto() as port, tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(n) for n in range(4)]
        took = one_at_a_time(folders[0], port, min(wanted.events, 300))
        result = {
            "enqueue_to_puback_ms_median": round(statistics.median(took), 2),
            "enqueue_to_puback_ms_p99": round(statistics.quantiles(took, n=100)[98], 2),
            "events_per_s": round(sustained(folders[1], port, wanted.events, 1)),
            "events_per_s_stored_in_batches": round(sustained(folders[2], port, wanted.events, 50)),
            "bare_paho_per_s": round(bare_paho(port, wanted.events)),
        }
        filled, reopened = reopen(folders[3], wanted.rows)
    result["rows"] = wanted.rows
    result["fill_s"] = round(filled, 2)
    result["reopen_s"] = round(reopened, 2)
    result["event_bytes"] = len(sample_event().to_json())
    result["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if wanted.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:34} {value}")


if __name__ == "__main__":
    main()
