"""Delivery: enqueue → PUBACK, sustained events a second, and reopening a full outbox.

    python -m bench.bench_delivery [--events 6000] [--runs 5] [--json]

Starts Debian's mosquitto on a free port (apt-get install mosquitto). Durability is included: each
event is committed to SQLite with synchronous=FULL before it is sent, and deleted after its PUBACK.
Set against bare paho at QoS 1 in the same run: the same payload, as many in flight, nothing stored.

This process keeps to one core for both; the broker has the others. The collector is set as
`alpr-edge run` sets it, for both. Rates hang on what else the machine does, so the runs take turns
and the median counts; the CPU time of an event hangs on it less.
"""

from __future__ import annotations

import argparse
import json
import os
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "delivery"))
from delivery_samples import sample_event

from alpr_edge.cli.run import calm_collector
from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import WINDOW, Phase, Topics

TOPICS = Topics("bench")
IN_FLIGHT = WINDOW
"""For both sides of the comparison."""
BATCHES = (0, 1, 50, 200)
"""Reads that are submitted at once, and share a commit; 0: each handed over for itself, as the
service does, and gathered while the disk works."""


@dataclass(frozen=True)
class Rate:
    """Events a second, and microseconds of CPU time for each, all threads of this process."""

    per_s: float
    cpu_us: float


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._began_s, self._cpu_s = time.perf_counter(), time.process_time()

    def rate(self, count: int) -> Rate:
        """Of so many events until now."""
        took_s, cpu_s = time.perf_counter() - self._began_s, time.process_time() - self._cpu_s
        return Rate(count / took_s, 1e6 * cpu_s / count)


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


def sustained(folder: Path, port: int, count: int, batch: int) -> Rate:
    """Events that are all built, sealed, stored, sent, acknowledged and deleted."""
    events = [sample_event() for _ in range(count)]
    with courier(folder, port) as (one, _):
        watch = Watch()
        if batch:
            for start in range(0, count, batch):
                one.submit_all(events[start : start + batch])
        else:
            for event in events:
                one.hand_over((event,))
        while one.left:
            time.sleep(0.001)
        return watch.rate(count)


def bare_paho(port: int, count: int) -> Rate:
    """The same payloads by paho alone, as many in flight, nothing stored."""
    payloads = [sample_event().to_json() for _ in range(count)]
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(IN_FLIGHT)
    ready, done = threading.Event(), threading.Semaphore(0)
    client.on_connect = lambda *_: ready.set()
    client.on_publish = lambda *_: done.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    ready.wait(10)
    watch = Watch()
    for payload in payloads:
        client.publish(TOPICS.reads, payload, qos=1)
    for _ in payloads:
        done.acquire()
    rate = watch.rate(count)
    client.disconnect()
    client.loop_stop()
    return rate


def compared(folder: Path, port: int, wanted: argparse.Namespace) -> dict[str, float]:
    """Both in turns, on one core; medians, and the medians of each turn's share."""
    bare: list[Rate] = []
    ours: dict[int, list[Rate]] = {batch: [] for batch in BATCHES}
    for turn in range(wanted.runs):
        bare.append(bare_paho(port, wanted.events))
        for batch in BATCHES:
            count = wanted.events if batch != 1 else min(wanted.events, 500)
            ours[batch].append(sustained(folder / f"{turn}-{batch}", port, count, batch))
    result = {
        "bare_paho_per_s": round(statistics.median(one.per_s for one in bare)),
        "bare_paho_cpu_us": round(statistics.median(one.cpu_us for one in bare)),
    }
    for batch, rates in ours.items():
        name = f"by_{batch}" if batch else "handed_over"
        shares = [one.per_s / other.per_s for one, other in zip(rates, bare, strict=True)]
        result |= {
            f"{name}_per_s": round(statistics.median(one.per_s for one in rates)),
            f"{name}_cpu_us": round(statistics.median(one.cpu_us for one in rates)),
            f"{name}_share_of_bare_paho": round(statistics.median(shares), 2),
            f"{name}_share_least": round(min(shares), 2),
            f"{name}_share_most": round(max(shares), 2),
        }
    return result


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
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--rows", type=int, default=20_000, help="for recovery; 100000 takes longer"
    )
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    result: dict[str, float] = {"load_before": round(os.getloadavg()[0], 1)}
    with mosquitto() as port, tempfile.TemporaryDirectory() as name:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        calm_collector()
        took = one_at_a_time(Path(name) / "alone", port, 300)
        result["enqueue_to_puback_ms_median"] = round(statistics.median(took), 2)
        result["enqueue_to_puback_ms_p99"] = round(statistics.quantiles(took, n=100)[98], 2)
        result |= compared(Path(name), port, wanted)
        filled, reopened = reopen(Path(name) / "large", wanted.rows)
    result["rows"] = wanted.rows
    result["fill_s"] = round(filled, 2)
    result["reopen_s"] = round(reopened, 2)
    result["event_bytes"] = len(sample_event().to_json())
    result["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    result["load_after"] = round(os.getloadavg()[0], 1)
    if wanted.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:34} {value}")


if __name__ == "__main__":
    main()
