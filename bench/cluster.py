"""474 cameras against a three-node NATS cluster; one node killed, one cut off; all accounted for.

    python -m bench.cluster [--cameras 474] [--seconds 90] [--settle-on puback]     (root; Debian)

Each camera is the device's own code: outbox on disk, courier, MQTT link with three brokers in
order. Traffic comes in waves, as behind a traffic light. Node 1 is killed (SIGKILL) and started
again later; then node 2 is cut off from its peers (nftables, on the receivers' side) while cameras
still reach it, and joined again. The consumer is the receipt service with a session at node 3.

Everything runs in a network namespace made for it: nothing leaves, and the packet filter touches
nobody else. Needs: nats-server, nftables, iproute2.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import math
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

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

NODES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
PROCESSES = 4
CYCLE_S, GREEN_S = 30.0, 10.0
"""A short traffic light: a third of the time vehicles pass, the rest nothing."""
NODE = """\
server_name: n{n}
listen: {host}:4222
http: {host}:8222
max_payload: 131072
jetstream {{ store_dir: "{store}", max_mem: 256M, max_file: 4G }}
cluster {{ name: alpr, listen: "0.0.0.0:622{n}", no_advertise: true, routes: [{routes}] }}
mqtt {{ listen: {host}:1883, stream_replicas: 3, ack_wait: "20s", max_ack_pending: 1000 }}
"""
CUT = """\
table inet cut {
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr 127.0.1.2 tcp dport 6222 drop
    ip saddr 127.0.1.2 tcp sport 6222 drop
    ip daddr 127.0.2.0/24 drop
    ip saddr 127.0.2.0/24 drop
  }
}
"""


class Cluster:
    """Three nats-server processes.

    Node 2 reaches its peers by addresses that nobody else uses, so that it can be cut off.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("nats-server", path="/usr/sbin:/usr/bin")
        if program is None:
            sys.exit("needs nats-server: apt-get install nats-server")
        self._program, self._folder = program, folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._cpu_s = 0.0
        for n, host in enumerate(NODES, 1):
            net = "127.0.2" if n == 2 else "127.0.1"
            routes = ", ".join(
                f'"nats-route://{net}.{peer}:622{peer}"' for peer in (1, 2, 3) if peer != n
            )
            store = folder / f"n{n}"
            (folder / f"n{n}.conf").write_text(
                NODE.format(n=n, host=host, store=store, routes=routes)
            )
            self.start(n)

    def start(self, n: int) -> None:
        log = (self._folder / f"n{n}.log").open("ab")
        self._processes[n] = subprocess.Popen(
            [self._program, "-c", str(self._folder / f"n{n}.conf")], stdout=log, stderr=log
        )

    def kill(self, n: int) -> None:
        process = self._processes.pop(n)
        self._cpu_s += cpu_s(process.pid)
        process.kill()
        process.wait()

    def cut(self) -> None:
        subprocess.run(["nft", "-f", "-"], input=CUT.encode(), check=True)

    def mend(self) -> None:
        subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)

    @property
    def cpu_s(self) -> float:
        return self._cpu_s + sum(cpu_s(p.pid) for p in self._processes.values())

    def rss_mib(self) -> list[int]:
        pages = [
            int(Path(f"/proc/{p.pid}/statm").read_text().split()[1])
            for p in self._processes.values()
        ]
        return [page * 4096 // 2**20 for page in pages]

    def close(self) -> None:
        for n in list(self._processes):
            self.kill(n)


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cameras(
    first: int, count: int, folder: str, settings: dict[str, Any], pipe: Connection
) -> None:
    """`count` cameras in one process, until told to stop."""
    logging.disable()
    made: list[tuple[Outbox, Courier]] = []
    times = MqttTimes(connect=5.0, acknowledge=5.0, first_retry=0.2, most_retry=3.0, keepalive=10)
    for n in range(first, first + count):
        topics = Topics(f"cam-{n:05d}")
        hosts = [(NODES[(n + k) % 3], 1883) for k in range(3)]
        link = MqttLink(
            MqttSettings(
                *hosts[0],
                topics,
                others=tuple(hosts[1:]),
                receipts=settings["settle_on"] == "receipt",
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
                settle_on=settings["settle_on"], receipt_timeout_s=15.0, health_every_s=600.0
            ),
        )
        courier.start()
        made.append((outbox, courier))
    draw = random.Random(first)
    offsets = [draw.random() * CYCLE_S for _ in made]
    began, ids = time.monotonic(), []
    while not pipe.poll(0.2):
        now_s = time.monotonic() - began
        for offset, (_, courier) in zip(offsets, made, strict=True):
            green = (now_s + offset) % CYCLE_S < GREEN_S
            if green and draw.random() < 1 - math.exp(-0.2 * settings["rate"] * CYCLE_S / GREEN_S):
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


def wait_for(what: str, check: Any, within_s: float) -> float:
    """Seconds until `check` is true."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > within_s:
            sys.exit(f"did not happen within {within_s:.0f} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


def healthy() -> bool:
    """Whether each node says that it is."""
    try:
        for host in NODES:
            connection = http.client.HTTPConnection(host, 8222, timeout=2)
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
            connection.close()
            if status != 200:
                return False
    except OSError:
        return False
    return True


def run(wanted: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole measurement."""
    cluster = Cluster(folder)
    try:
        return measure(wanted, folder, cluster)
    finally:
        cluster.close()


def measure(wanted: argparse.Namespace, folder: Path, cluster: Cluster) -> dict[str, Any]:
    """Traffic, faults, and the account at the end."""
    wait_for("the cluster is healthy", healthy, 60)
    time.sleep(3)
    store = ReadStore(folder / "reads.sqlite3")
    service = ReceiptService(Where(NODES[2], 1883, mqtt5=False, reconnect_s=2), store)
    threading.Thread(target=service.run, daemon=True).start()
    time.sleep(3)
    share = -(-wanted.cameras // PROCESSES)
    pipes, first = [], 0
    settings = {"settle_on": wanted.settle_on, "rate": wanted.rate}
    for _ in range(PROCESSES):
        count = min(share, wanted.cameras - first)
        mine, theirs = multiprocessing.Pipe()
        multiprocessing.Process(
            target=cameras, args=(first, count, str(folder), settings, theirs), daemon=True
        ).start()
        pipes.append(mine)
        first += count
    cpu_before = cluster.cpu_s
    part = wanted.seconds / 6
    steps = (
        ("quiet", lambda: None),
        ("node 1 killed", lambda: cluster.kill(1)),
        ("node 1 back", lambda: cluster.start(1)),
        ("node 2 cut off", cluster.cut),
        ("node 2 joined", cluster.mend),
        ("quiet", lambda: None),
    )
    for name, step in steps:
        step()
        time.sleep(part)
        print(f"{name:16} {service.stored} arrived, {service.repeated} again", file=sys.stderr)
    for pipe in pipes:
        pipe.send("stop")
    ids: list[str] = []
    waiting = [0] * PROCESSES
    for n, pipe in enumerate(pipes):
        ids += pipe.recv()
        waiting[n] = -1

    def empty() -> bool:
        for n, pipe in enumerate(pipes):
            while pipe.poll(0):
                waiting[n] = pipe.recv()
        return waiting == [0] * PROCESSES

    drain_s = wait_for("all outboxes are empty", empty, 180)
    wait_for("the consumer has all", lambda: set(ids) <= set(store.ids()), 120)
    told = []
    for pipe in pipes:
        pipe.send("end")
        while not isinstance(one := pipe.recv(), dict):
            pass
        told.append(one)
    found = store.ids()
    service.stop()
    cluster_cpu_s = cluster.cpu_s - cpu_before
    return {
        "cameras": wanted.cameras,
        "settle_on": wanted.settle_on,
        "seconds": wanted.seconds,
        "events": len(ids),
        "missing": len(set(ids) - set(found)),
        "stored_once": len(found) == len(set(found)),
        "repeats_on_the_wire": service.repeated,
        "seconds_until_all_outboxes_were_empty": round(drain_s, 1),
        "refused": sum(one["refused"] for one in told),
        "cluster_cpu_ms_a_read": round(1000 * cluster_cpu_s / max(1, len(ids)), 2),
        "camera_cpu_ms_a_read_all_in": round(
            1000 * sum(one["cpu_s"] for one in told) / max(1, len(ids)), 2
        ),
        "node_rss_mib": cluster.rss_mib(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=474)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--rate", type=float, default=0.12, help="reads a second and camera (0.12)")
    parser.add_argument("--settle-on", choices=["puback", "receipt"], default="puback")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        inside = [sys.executable, "-m", "bench.cluster", *sys.argv[1:], "--inside"]
        sys.exit(subprocess.run(["unshare", "--net", *inside], check=False).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="alpr-edge-cluster-") as name:
        print(json.dumps(run(wanted, Path(name)), indent=2))


if __name__ == "__main__":
    main()
