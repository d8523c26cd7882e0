"""`alpr-edge run`: the whole device as a process, with a real mosquitto."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alpr_edge.cli.demo import Subscriber
from alpr_edge.simulator.score import score
from alpr_edge.simulator.street import Street, StreetConfig

SEED, FPS, SECONDS = 7, 8.0, 24.0


def configure(folder: Path, port: int, *, masks: dict | None = None, **changes: object) -> Path:
    masks = masks or {"masks": [], "nothing_protected": True}
    (folder / "masks.json").write_text(json.dumps(masks))
    values = {"realtime": "false", "seconds": SECONDS, "kind": "street", **changes}
    source = values.get("source") or (
        f'kind = "street"\nseed = {SEED}\nfps = {FPS}\nduration_s = {values["seconds"]}\n'
        f"realtime = {values['realtime']}"
    )
    path = folder / "device.toml"
    path.write_text(
        f"""
        [device]
        id = "unit-1"
        site = "test street"
        [source]
        {source}
        [exclusion]
        mask_file = "masks.json"
        hold_s = 1.0
        [recogniser]
        min_confidence = 0.3
        [tracker]
        min_sightings = 2
        [mqtt]
        host = "127.0.0.1"
        port = {port}
        [trust]
        require_signatures = false
        [clock]
        accept = "assumed"
        [outbox]
        path = "outbox.sqlite3"
        """
    )
    return path


@pytest.fixture
def start() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts the service; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(config: Path) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "alpr_edge", "run", "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def waiting_rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "outbox.sqlite3")) as db:
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])


def check_ledger(folder: Path, seen: list[str], left: int) -> None:
    """It verifies on the device, holds every read that left, and holds no plate."""
    command = [sys.executable, "-m", "alpr_edge", "ledger"]
    config = ["--config", str(folder / "device.toml")]
    verdict = subprocess.run(
        [*command, "verify", *config], capture_output=True, text=True, timeout=60, check=False
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    shown = subprocess.run(
        [*command, "show", *config], capture_output=True, text=True, timeout=60, check=True
    )
    bodies = [json.loads(line)["body"] for line in shown.stdout.splitlines()]
    assert [b["kind"] for b in bodies[:2]] == ["boot", "key_change"]
    assert {"self_test", "link_up", "egress", "hour", "stop"} <= {b["kind"] for b in bodies}
    assert sum(b["count"] - b["repeated"] for b in bodies if b["kind"] == "egress") == left
    files = [p for p in (folder / "ledger").rglob("*") if p.is_file()]
    texts = [p.read_bytes().decode("latin-1").upper() for p in files] + [shown.stdout.upper()]
    assert not [plate for plate in seen for text in texts if plate in text]


def plates(subscriber: Subscriber) -> list[str]:
    return [event["data"]["plate"] for event in subscriber.events]


@pytest.mark.mosquitto
def test_the_street_to_a_real_broker_and_nothing_of_the_premises(start, mosquitto, tmp_path):
    street = Street(StreetConfig(seed=SEED, fps=FPS, duration_s=SECONDS))
    masks = {
        "masks": [
            {"name": f"p{i}", "polygon": [list(p) for p in polygon]}
            for i, polygon in enumerate(street.mask_polygons())
        ]
    }
    subscriber = Subscriber(mosquitto.port, "alpr-edge")
    process = start(configure(tmp_path, mosquitto.port, masks=masks))
    _, stderr = process.communicate(timeout=110)
    assert process.returncode == 0, stderr
    subscriber.wait_for(1)
    subscriber.close()
    published = [(plate, 0.0, SECONDS) for plate in plates(subscriber)]
    assert score(street.summary(), published).leaked == 0
    assert waiting_rows(tmp_path) == 0
    event = subscriber.events[0]
    assert event["data"]["schema"] == "alpr-edge.read.v1"
    assert event["data"]["provenance"]["device"] == "unit-1"
    assert event["data"]["site"] == "test street"
    # No plate in what it said on the console, nor in the ledger.
    assert not any(vehicle.plate in stderr for vehicle in street.summary())
    check_ledger(tmp_path, [vehicle.plate for vehicle in street.summary()], len(subscriber.events))


@pytest.mark.mosquitto
def test_a_broker_that_is_away_loses_nothing(start, mosquitto, tmp_path):
    mosquitto.stop()
    config = configure(tmp_path, mosquitto.port)
    process = start(config)
    _, stderr = process.communicate(timeout=110)
    assert process.returncode == 0, stderr
    kept = waiting_rows(tmp_path)
    assert kept >= 3
    mosquitto.start()
    subscriber = Subscriber(mosquitto.port, "alpr-edge")
    # The next start sends what waited, before and beside its own reads.
    config = configure(tmp_path, mosquitto.port, seconds=0.5)
    process = start(config)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    subscriber.wait_for(kept, timeout_s=10)
    subscriber.close()
    assert len(subscriber.events) >= kept
    assert waiting_rows(tmp_path) == 0


@pytest.mark.mosquitto
def test_sigterm_ends_it_in_order(start, mosquitto, tmp_path):
    subscriber = Subscriber(mosquitto.port, "alpr-edge")
    process = start(configure(tmp_path, mosquitto.port, realtime="true", seconds=90))
    deadline = time.monotonic() + 60
    while not subscriber.events and time.monotonic() < deadline:
        time.sleep(0.2)
    assert subscriber.events, "no read within a minute"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert time.monotonic() - began < 12
    assert "reads published" in stderr
    subscriber.close()


def test_without_a_mask_record_nothing_is_read(start, tmp_path, free_port):
    config = configure(tmp_path, free_port)
    (tmp_path / "masks.json").unlink()
    process = start(config)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "exclusion.mask.missing" in stderr
    assert not (tmp_path / "outbox.sqlite3").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"masks": []}', "\0\1\2", '{"masks": [{"name": 1}]}'])
def test_a_damaged_mask_record_is_refused(start, tmp_path, free_port, text):
    config = configure(tmp_path, free_port)
    (tmp_path / "masks.json").write_text(text)
    process = start(config)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "exclusion.mask.invalid" in stderr


def test_a_missing_video_is_said(start, tmp_path, free_port):
    config = configure(tmp_path, free_port, source='kind = "video"\npath = "none.mp4"')
    process = start(config)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "capture.video.missing" in stderr


def test_a_missing_config_is_said(start, tmp_path):
    process = start(tmp_path / "none.toml")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "config.missing" in stderr
