"""The real service and broker, and someone at the unit: alarms, ledger and attestation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.cli import main
from alpr_edge.config.store import load
from alpr_edge.ledger.setup import open_reporter
from alpr_edge.ledger.telling import Asked
from alpr_edge.trust.keys import PrivateKey

COMMAND = [sys.executable, "-m", "alpr_edge"]
EVENT = "0190ae6c-7b2a-7000-8000-00000000000a"


def configure(folder: Path, port: int) -> Path:
    (folder / "masks.json").write_text('{"masks": [], "nothing_protected": true}')
    os.mkfifo(folder / "case")
    keys = folder / "city-keys"
    keys.write_text(f"{PrivateKey.generate().public}\n")
    path = folder / "device.toml"
    path.write_text(
        f"""
        [device]
        id = "unit-1"
        site = "test street"
        [source]
        kind = "street"
        seed = 7
        fps = 4.0
        duration_s = 600.0
        realtime = true
        [exclusion]
        mask_file = "masks.json"
        [mqtt]
        host = "127.0.0.1"
        port = {port}
        [trust]
        require_signatures = false
        city_keys = "city-keys"
        [clock]
        accept = "assumed"
        [outbox]
        path = "outbox.sqlite3"
        [ledger]
        publish_every_s = 0.2
        checkpoint_s = 0.2
        attest_every_s = 3600
        [sentry]
        every_s = 0.2
        case_switch = "case"
        """
    )
    return path


def until(true: Callable[[], object], within_s: float = 180.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.timeout(900)
@pytest.mark.mosquitto
def test_whoever_is_at_the_unit_is_heard_of(tmp_path: Path, mosquitto, capsys) -> None:
    heard: list[tuple[str, bytes]] = []
    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = lambda _c, _u, m: heard.append((m.topic, m.payload))
    subscriber.on_connect = lambda c, *_: c.subscribe("alpr-edge/#", qos=1)
    subscriber.connect("127.0.0.1", mosquitto.port)
    subscriber.loop_start()

    def alarms() -> set[str]:
        return {json.loads(p)["what"] for t, p in heard if t == "alpr-edge/unit-1/alarm"}

    def statements() -> list[bytes]:
        return [p for t, p in heard if t == "alpr-edge/unit-1/attestation"]

    path = configure(tmp_path, mosquitto.port)
    with subprocess.Popen(
        [*COMMAND, "run", "--config", str(path)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until(statements)
            with (tmp_path / "case").open("a") as switch:
                switch.write("1\n")
            with (tmp_path / "city-keys").open("a") as keys:
                keys.write("# by someone\n")
            reporter = open_reporter(load(path), "console")
            assert reporter is not None
            for _ in range(5):
                reporter.login_failed("anna", way="serial", code="console.login.refused")
            asked = Asked("anna", "Police", "a test", "event_ids")
            reporter.shown(asked, 1, EVENT, EVENT)
            with socket.create_server(("0.0.0.0", 0)):
                expected = {
                    *("case_opened", "file_changed", "repeated_logins", "listener_unexpected")
                }
                until(lambda: alarms() >= expected)
            # The self-test of the first frames is a new fact: it is stated anew.
            until(lambda: len(statements()) >= 2)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=180)
        finally:
            process.kill()
    subscriber.disconnect()
    subscriber.loop_stop()
    assert process.returncode == 0, stderr
    check_record(path, statements()[-1], capsys)


def check_record(config: Path, statement: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 0
        return capsys.readouterr().out

    assert "verdict     holds" in run("ledger", "verify", "--config", str(config))
    shown = run("ledger", "show", "--config", str(config))
    bodies = [json.loads(line)["body"] for line in shown.splitlines()]
    assert {b["what"] for b in bodies if b["kind"] == "trigger"} >= {
        *("case_opened", "file_changed", "repeated_logins", "listener_unexpected")
    }
    assert sum(b["kind"] == "login" for b in bodies) == 5
    assert [b["purpose"] for b in bodies if b["kind"] == "access"] == ["a test"]
    tests = [b["passed"] for b in bodies if b["kind"] == "self_test"]
    folder = config.parent
    (folder / "vkey").write_text(run("ledger", "key", "--config", str(config)))
    (folder / "statement").write_bytes(statement)
    explained = run("attest", "verify", str(folder / "statement"), "--key", str(folder / "vkey"))
    assert f"alpr_self_test_passed: {tests[-1]}" in explained
    assert "alpr_time_source: " in explained
    assert "no TPM vouches for this" in explained
