"""Nothing is lost, whoever is killed: events by the thousand, SIGKILLs at random.

    python -m bench.soak_delivery [--events 10000] [--kills 200] [--seed 1]

A device (its own process: outbox, courier, link), a mosquitto that forgets everything when it is
killed, and the receipt service. Device and broker are killed at random moments and started again.
At the end each event that the device had stored must be in the consumer's store, once. Events are
made as fast as they are taken; nothing here waits for a time to pass but for what it waits for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
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

TOPICS = Topics("soak")
WAITING = 60
"""The device makes no more events while so many wait, so that kills meet every stage."""


def device(path: str, port: int, pipe: Connection) -> None:
    """Make and deliver events until killed; tell each id once its event is on disk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    times = MqttTimes(connect=2.0, first_retry=0.05, most_retry=0.3)
    link = MqttLink(MqttSettings("127.0.0.1", port, TOPICS, receipts=True, times=times))
    outbox = Outbox(Path(path))
    courier = Courier(
        outbox,
        link,
        cloudevents(TOPICS),
        health=Health("soak", time.monotonic()),
        settings=CourierSettings(settle_on="receipt", receipt_timeout_s=1.0),
    )
    courier.start()
    wanted = 0
    while True:
        if pipe.poll(0.0 if wanted else 0.02):
            wanted = pipe.recv()
        if wanted and outbox.counts.rows < WAITING:
            events = [sample_event() for _ in range(random.randint(1, 4))]
            if courier.submit_all(events):
                pipe.send([event.event_id for event in events])
        elif not wanted:
            pipe.send(outbox.counts.rows)
        else:
            time.sleep(0.002)


class Broker:
    """A mosquitto with nothing on disk."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
        if program is None:
            sys.exit("needs mosquitto: apt-get install mosquitto")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 100\n"
            "max_queued_messages 10000\n"
        )
        self._command = [program, "-c", str(config)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()


@dataclass
class Device:
    """The device's process and what it told."""

    path: str
    port: int
    context: Any
    process: BaseProcess | None = None

    def start(self, wanted: int) -> None:
        self.pipe, child = self.context.Pipe()
        self.process = self.context.Process(
            target=device, args=(self.path, self.port, child), daemon=True
        )
        self.process.start()
        child.close()
        self.pipe.send(wanted)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def heard(self, timeout_s: float) -> Any:
        """What it told next; None for nothing, or when it is gone."""
        try:
            return self.pipe.recv() if self.pipe.poll(timeout_s) else None
        except (EOFError, ConnectionResetError):
            return None


def drained(one: Device, ids: set[str]) -> None:
    """Take what a killed device had still told."""
    while True:
        told = one.heard(0.0)
        if told is None:
            return
        if isinstance(told, list):
            ids.update(told)


class Soak:
    """Device, broker and consumer, and what is known of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.broker = Broker(folder)
        self.store = ReadStore(folder / "reads.sqlite3")
        where = Where("127.0.0.1", self.broker.port, reconnect_s=1)
        self.service = ReceiptService(where, self.store)
        self.serving = threading.Thread(target=self.service.run, daemon=True)
        self.serving.start()
        context = multiprocessing.get_context("forkserver")
        self.device = Device(str(folder / "outbox.db"), self.broker.port, context)
        self.ids: set[str] = set()
        self.killed = {"device": 0, "broker": 0}

    def make(self, events: int, moments: list[int], *, show: bool) -> None:
        """Let the device make events; kill at these numbers of them."""
        self.device.start(1)
        shown = -1
        while len(self.ids) < events:
            told = self.device.heard(5.0)
            if isinstance(told, list):
                self.ids.update(told)
            while moments and len(self.ids) >= moments[0]:
                moments.pop(0)
                self.kill()
            if show and len(self.ids) // 100 != shown:
                shown = len(self.ids) // 100
                print(
                    f"\r{len(self.ids)} stored, {self.service.stored} arrived, {self.killed} ",
                    end="",
                    file=sys.stderr,
                )

    def kill(self) -> None:
        """One of the two, and start it again."""
        if self.draw.random() < 0.5:
            self.killed["broker"] += 1
            self.broker.restart()
        else:
            self.killed["device"] += 1
            self.device.kill()
            drained(self.device, self.ids)
            self.device.start(1)

    def empty(self) -> list[str]:
        """No more events: wait until the outbox is empty; gives what the consumer has."""
        self.device.kill()
        drained(self.device, self.ids)
        self.device.start(0)
        deadline = time.monotonic() + 180
        while self.device.heard(5.0) != 0:
            assert time.monotonic() < deadline, "the outbox did not empty"
        self.device.kill()
        self.service.stop()
        self.serving.join()
        self.broker.kill()
        found = self.store.ids()
        self.store.close()
        return found


def soak(events: int, kills: int, seed: int, *, show: bool = True) -> dict[str, Any]:
    """Run it; raises AssertionError if anything is missing."""
    moments = sorted(random.Random(seed).sample(range(1, events), kills))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alpr-edge-soak-") as name:
        one = Soak(Path(name), seed)
        one.make(events, moments, show=show)
        found = one.empty()
    missing = one.ids - set(found)
    assert not missing, f"{len(missing)} events that were stored never arrived"
    assert len(found) == len(set(found))
    # An event may be stored just before its device is killed, and so before it could be told.
    extra = len(set(found) - one.ids)
    assert extra <= 4 * (one.killed["device"] + 1), f"{extra} events that nobody made"
    return {
        "events": len(one.ids),
        "kills": one.killed,
        "arrived_once_after_deduplication": len(one.ids),
        "missing": 0,
        "repeats_on_the_wire": one.service.repeated,
        "stored_but_not_told_before_a_kill": extra,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    # The device's process imports this module a second time, which runpy finds worth a warning.
    os.environ["PYTHONWARNINGS"] = "ignore::RuntimeWarning"
    print("\n" + json.dumps(soak(wanted.events, wanted.kills, wanted.seed), indent=2))


if __name__ == "__main__":
    main()
