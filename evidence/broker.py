"""A mosquitto of the evidence's own on a free port, and a record of every byte it hands out."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mosquitto(folder: Path, port: int) -> Iterator[None]:
    """A running broker that forgets all when it ends.

    Raises:
        RuntimeError: there is no mosquitto, or it does not start.
    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise RuntimeError("needs mosquitto: apt-get install mosquitto")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
    with (
        (folder / "mosquitto.log").open("ab") as log,
        subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port, process)
            yield
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("mosquitto does not start")


class Capture:
    """Keeps every message of all topics, with its properties, and writes it into a file."""

    def __init__(self, port: int, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self.messages: list[tuple[str, bytes, str]] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._keep
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._ready.wait(60):
            raise RuntimeError("the broker does not answer")

    def _keep(self, client: object, data: object, message: mqtt.MQTTMessage) -> None:
        properties = "" if message.properties is None else str(message.properties.json())
        head = f"{message.topic} qos={message.qos} {properties}\n"
        with self._lock:
            self.messages.append((message.topic, message.payload, properties))
            self._file.write(head.encode() + message.payload + b"\n")
            self._file.flush()

    def close(self) -> None:
        """The end."""
        self._client.disconnect()
        self._client.loop_stop()
        self._file.close()
