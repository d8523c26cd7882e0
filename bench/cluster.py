"""474 cameras against a three-node cluster; one node killed, one cut off; all accounted for.

    python -m bench.cluster [--engine nats|rabbitmq] [--cameras 474] [--seconds 90]   (root; Debian)

Each camera is the device's own code: outbox on disk, courier, MQTT link with three brokers in
order. Traffic comes in waves, as behind a traffic light. Node 1 is killed (SIGKILL) and started
again later; then node 2 is cut off from its peers (nftables, on the receivers' side) while cameras
still reach it, and joined again. The consumer is the receipt service with a session at node 3.

Everything runs in namespaces made for it (network, processes, mounts): nothing leaves, the packet
filter and the hosts file touch nobody else, and whatever happens, all of it ends with the command.
Needs: nats-server or rabbitmq-server, nftables, iproute2, util-linux.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "delivery"))
from delivery_samples import sample_event

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Topics
from alpr_edge.delivery.receipt_service import ReadStore, ReceiptService, Where
from bench.cluster_engines import ENGINES, Engine, listens, wait_for

CYCLE_S, GREEN_S = 30.0, 10.0
"""A short traffic light: a third of the time vehicles pass, the rest nothing."""


@dataclass(frozen=True)
class Load:
    """What the cameras do.

    Attributes:
        rate: reads a second and camera, on average.
        cycle_s: of the traffic light.
    """

    cameras: int = 474
    seconds: float = 90.0
    rate: float = 0.12
    settle_on: str = "puback"
    processes: int = 4
    cycle_s: float = CYCLE_S


def cameras(
    first: int,
    count: int,
    folder: str,
    brokers: tuple[tuple[str, int], ...],
    load: Load,
    pipe: Connection,
) -> None:
    """`count` cameras in one process, until told to stop."""
    logging.disable()
    made: list[tuple[Outbox, Courier]] = []
    times = MqttTimes(connect=5.0, acknowledge=5.0, first_retry=0.2, most_retry=3.0, keepalive=10)
    for n in range(first, first + count):
        topics = Topics(f"cam-{n:05d}")
        hosts = [brokers[(n + k) % len(brokers)] for k in range(len(brokers))]
        link = MqttLink(
            MqttSettings(
                *hosts[0],
                topics,
                others=tuple(hosts[1:]),
                receipts=load.settle_on == "receipt",
                protocol="3.1.1",
                times=times,
            )
        )
        outbox = Outbox(Path(folder) / f"cam-{n:05d}" / "outbox.db")
        courier = Courier(
            outbox,
            link,
            cloudevents(topics),
            health=Health("cluster", time.monotonic()),
            settings=CourierSettings(
                settle_on="receipt" if load.settle_on == "receipt" else "puback",
                receipt_timeout_s=15.0,
                health_every_s=600.0,
            ),
        )
        courier.start()
        made.append((outbox, courier))
    draw = random.Random(first)
    offsets = [draw.random() * load.cycle_s for _ in made]
    green_s = load.cycle_s * GREEN_S / CYCLE_S
    chance = 1 - math.exp(-0.2 * load.rate * load.cycle_s / green_s)
    began, ids = time.monotonic(), []
    while not pipe.poll(0.2):
        now_s = time.monotonic() - began
        for offset, (_, courier) in zip(offsets, made, strict=True):
            green = (now_s + offset) % load.cycle_s < green_s
            if green and draw.random() < chance:
                event = sample_event()
                courier.submit(event)
                ids.append(event.event_id)
    pipe.recv()
    pipe.send(ids)
    while not pipe.poll(0.5):
        pipe.send(sum(outbox.counts.rows for outbox, _ in made))
    refused = sum(courier.health_document()["refused"] for _, courier in made)
    pipe.recv()
    pipe.send({"cpu_s": time.process_time(), "refused": refused})
    os._exit(0)


class Fleet:
    """The cameras' processes."""

    def __init__(self, load: Load, folder: Path, engine: Engine) -> None:
        # Not forked: this process has threads by now.
        context = multiprocessing.get_context("forkserver")
        share = -(-load.cameras // load.processes)
        self._pipes: list[Connection] = []
        self._processes = []
        for first in range(0, load.cameras, share):
            mine, theirs = context.Pipe()
            count = min(share, load.cameras - first)
            process = context.Process(
                target=cameras,
                args=(first, count, str(folder), engine.brokers, load, theirs),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def stop(self) -> list[str]:
        """No more reads; gives the ids of all that were made."""
        for pipe in self._pipes:
            pipe.send("stop")
        ids: list[str] = []
        for pipe in self._pipes:
            ids += pipe.recv()
        self._waiting = [-1] * len(self._pipes)
        return ids

    def is_empty(self) -> bool:
        """Whether no outbox holds anything."""
        for n, pipe in enumerate(self._pipes):
            while pipe.poll(0):
                self._waiting[n] = pipe.recv()
        return not any(self._waiting)

    def end(self) -> list[dict[str, float]]:
        """What each process used."""
        told = []
        for pipe in self._pipes:
            pipe.send("end")
            while not isinstance(one := pipe.recv(), dict):
                pass
            told.append(one)
            pipe.close()
        return told

    def kill(self) -> None:
        """Whatever they do now, they are gone then."""
        for process in self._processes:
            process.kill()
            process.join(60)
            process.close()


def run(engine: Engine, load: Load, steps: list[tuple[str, Any]], folder: Path) -> dict[str, Any]:
    """Traffic, one step after the other for an equal time, and the account at the end."""
    store = ReadStore(folder / "reads.sqlite3")
    host, port = engine.brokers[-1]
    service = ReceiptService(Where(host, port, mqtt5=False, reconnect_s=1), store)
    serving = threading.Thread(target=service.run, daemon=True)
    serving.start()
    wait_for("the consumer is there", lambda: service.subscribed, 120)
    fleet = Fleet(load, folder, engine)
    try:
        return _account(engine, load, steps, (fleet, service, store))
    finally:
        fleet.kill()
        service.stop()
        serving.join(60)
        store.close()


def _account(
    engine: Engine,
    load: Load,
    steps: list[tuple[str, Any]],
    parts: tuple[Fleet, ReceiptService, ReadStore],
) -> dict[str, Any]:
    fleet, service, store = parts
    wait_for("the first read arrives", lambda: service.stored > 0, 120)
    cpu_before_s = engine.cpu_s
    for name, step in steps:
        step()
        time.sleep(load.seconds / len(steps))
        print(f"{name:16} {service.stored} arrived, {service.repeated} again", file=sys.stderr)
    ids = set(fleet.stop())
    drain_s = wait_for("all outboxes are empty", fleet.is_empty, 300)
    consumer_s = wait_for("the consumer has all", lambda: ids <= set(store.ids()), 300)
    cluster_cpu_s, rss_mib = engine.cpu_s - cpu_before_s, engine.rss_mib()
    told = fleet.end()
    found = store.ids()
    return {
        "engine": engine.about,
        "load": os.getloadavg()[0],
        "start_s": round(engine.start_s, 1),
        "cameras": load.cameras,
        "settle_on": load.settle_on,
        "seconds": load.seconds,
        "events": len(ids),
        "missing": len(ids - set(found)),
        "stored_once": len(found) == len(set(found)),
        "repeats_on_the_wire": service.repeated,
        "seconds_until_all_outboxes_were_empty": round(drain_s, 1),
        "seconds_until_the_consumer_had_all": round(drain_s + consumer_s, 1),
        "refused": sum(one["refused"] for one in told),
        "cluster_cpu_ms_a_read": round(1000 * cluster_cpu_s / max(1, len(ids)), 2),
        "camera_cpu_ms_a_read_all_in": round(
            1000 * sum(one["cpu_s"] for one in told) / max(1, len(ids)), 2
        ),
        "node_rss_mib": rss_mib,
    }


def throughput(engine: Engine, count: int, folder: Path) -> dict[str, float]:
    """As many reads as the engine takes: four publishers with 20 in flight at node 1, a durable
    session at the last node. Bare paho, nothing stored at the publishers' side."""
    store = ReadStore(folder / "throughput.sqlite3")
    where = Where(*engine.brokers[-1], prefix="fast", name="fast", mqtt5=False, reconnect_s=1)
    service = ReceiptService(where, store)
    serving = threading.Thread(target=service.run, daemon=True)
    serving.start()
    wait_for("the consumer is there", lambda: service.subscribed, 120)
    payloads = [sample_event().to_json() for _ in range(count)]
    done = threading.Semaphore(0)
    clients = []
    for n in range(4):
        client = paho.Client(
            CallbackAPIVersion.VERSION2, f"fast-{n}", protocol=MQTTProtocolVersion.MQTTv311
        )
        ready = threading.Event()
        client.on_connect = lambda *_, ready=ready: ready.set()
        client.on_publish = lambda *_: done.release()
        client.connect(*engine.brokers[0])
        client.loop_start()
        assert ready.wait(60)
        clients.append(client)
    cpu_s, began = engine.cpu_s, time.monotonic()
    for n, payload in enumerate(payloads):
        clients[n % 4].publish("fast/cam-fast/reads", payload, qos=1)
    for _ in payloads:
        assert done.acquire(timeout=300)
    taken_s = time.monotonic() - began
    wait_for("the consumer has all", lambda: service.stored >= count, 300)
    stored_s = time.monotonic() - began
    cpu_s = engine.cpu_s - cpu_s
    for client in clients:
        client.disconnect()
        client.loop_stop()
    service.stop()
    serving.join(60)
    store.close()
    return {
        "acknowledged_per_s": round(count / taken_s),
        "consumed_per_s": round(count / stored_s),
        "cluster_cpu_ms_a_read_in_flow": round(1000 * cpu_s / count, 2),
    }


def faults(engine: Engine) -> list[tuple[str, Any]]:
    """One node killed and back, one cut off and back, quiet before and after.

    The second fault waits until the first is over: two of three nodes are no majority.
    """

    def back() -> None:
        engine.start(1)
        took_s = wait_for("node 1 is back", lambda: listens(*engine.brokers[0]), 600)
        print(f"node 1 was ready again after {took_s:.0f} s", file=sys.stderr)

    def joined() -> None:
        takes = "still takes" if listens(*engine.brokers[1]) else "takes no"
        print(f"node 2, cut off, {takes} connections", file=sys.stderr)
        engine.mend()

    return [
        ("quiet", lambda: None),
        ("node 1 killed", lambda: engine.kill(1)),
        ("node 1 back", back),
        ("node 2 cut off", engine.cut),
        ("node 2 joined", joined),
        ("quiet", lambda: None),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["nats", "rabbitmq"], default="nats")
    parser.add_argument("--cameras", type=int, default=474)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--rate", type=float, default=0.12, help="reads a second and camera (0.12)")
    parser.add_argument("--settle-on", choices=["puback", "receipt"], default="puback")
    parser.add_argument(
        "--flow", type=int, default=4000, metavar="N", help="reads at full speed first (4000)"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        inside = [sys.executable, "-m", "bench.cluster", *sys.argv[1:], "--inside"]
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        sys.exit(subprocess.run(["unshare", *spaces, *inside], check=False).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # The cameras' processes import this module a second time, which runpy finds worth a warning.
    os.environ["PYTHONWARNINGS"] = "ignore::RuntimeWarning"
    load = Load(wanted.cameras, wanted.seconds, wanted.rate, wanted.settle_on)
    with tempfile.TemporaryDirectory(prefix="alpr-edge-cluster-") as name:
        engine = ENGINES[wanted.engine](Path(name))
        try:
            flow = throughput(engine, wanted.flow, Path(name)) if wanted.flow else {}
            account = run(engine, load, faults(engine), Path(name))
            print(json.dumps(account | flow, indent=2))
        finally:
            engine.close()


if __name__ == "__main__":
    main()
