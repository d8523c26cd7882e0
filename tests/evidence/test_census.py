"""N5: after kills at random moments no byte of a suppressed plate is anywhere."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from evidence import census

DEVICE = """
[device]
id = "unit-1"
site = "test street"
[source]
kind = "street"
[exclusion]
mask_file = "masks.json"
hold_s = 1.0
[recogniser]
min_confidence = 0.3
[trust]
require_signatures = false
[clock]
accept = "assumed"
[mqtt]
host = "127.0.0.1"
port = {port}
[outbox]
path = "outbox.sqlite3"
[run]
log_level = "debug"
"""


class Capture:
    """Writes every byte that the broker hands out, of all topics, into a file."""

    def __init__(self, port: int, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self.messages = 0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._keep
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _keep(self, client: object, data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            self.messages += 1
            self._file.write(message.topic.encode() + b"\0" + message.payload + b"\n")
            self._file.write(repr(message.properties).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        self._client.loop_stop()
        self._file.close()


def idle(device, within_s: float) -> bool:
    """Wait until the device says that all plates have passed."""
    done = threading.Event()

    def listen() -> None:
        if device.stdout.readline() == b"idle\n":
            done.set()

    threading.Thread(target=listen, daemon=True).start()
    return done.wait(within_s)


@pytest.mark.mosquitto
@pytest.mark.timeout(400)
def test_no_byte_of_a_suppressed_plate_is_left_anywhere(mosquitto, tmp_path):
    (tmp_path / "device.toml").write_text(DEVICE.format(port=mosquitto.port))
    (tmp_path / "masks.json").write_text('{"masks": [], "whole_frame": true}')
    canaries = census.prepare(tmp_path, seed=4, duration_s=25.0, vehicles=14)
    (tmp_path / "plates.npz").rename(tmp_path.parent / f"{tmp_path.name}.npz")
    (tmp_path / "plates.npz").symlink_to(tmp_path.parent / f"{tmp_path.name}.npz")
    assert len(canaries.forbidden) >= 4
    capture = Capture(mosquitto.port, tmp_path / "mqtt.capture")
    rng = random.Random(11)
    killed_at = []
    for _ in range(2):
        device = census.start(tmp_path, rng.randrange(canaries.last_frame // 2))
        # Long enough for start-up and for plates to be held.
        time.sleep(rng.uniform(8.0, 14.0))
        # One core dump is asked for; the other time it is a power cut.
        device.send_signal(signal.SIGABRT if not killed_at else signal.SIGKILL)
        killed_at.append(device.wait(30))
        device.stdout.close()
    assert killed_at == [-signal.SIGABRT, -signal.SIGKILL]
    device = census.start(tmp_path, 0, PYTHONMALLOC="debug")
    try:
        assert idle(device, 150), (tmp_path / "device.log").read_text()[-2000:]
        in_memory = census.search_memory(device.pid, canaries.forbidden)
        device.send_signal(signal.SIGTERM)
        assert device.wait(30) == 0
    finally:
        device.kill()
        device.communicate()
        capture.close()
    # What may leave was found, so the search can find.
    assert {plate for _, plate in census.search_folder(tmp_path, canaries.free)}
    assert capture.messages > 0
    assert census.search_folder(tmp_path, canaries.forbidden) == []
    assert not [path for path in tmp_path.rglob("core*") if path.is_file()]
    # With PYTHONMALLOC=debug not even the running process has them any more, but for a car that
    # stood in the view when the plates ended: the tracker knows a parked car again.
    assert set(in_memory) <= set(canaries.standing)
    assert len(canaries.standing) < len(canaries.forbidden)


def test_the_search_finds_every_form():
    plate = "7ABC123"
    for needle in census.needles(plate):
        assert list(census.search_bytes(b"\0\1" + needle + b"xyz", [plate])) == [plate]
    assert not list(census.search_bytes(b"7ABC12\x003 7abC123", [plate]))
