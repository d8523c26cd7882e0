"""The real service and broker, and someone at the unit: alarms, ledger and attestation."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.cli import main
from alpr_edge.config.store import load
from alpr_edge.ledger.note import VerifierKey
from alpr_edge.ledger.setup import DeviceSigner, device_ledger_identity, open_reporter
from alpr_edge.ledger.telling import Asked
from alpr_edge.ledger.witness import Broker, Witness, WitnessService, WitnessSettings
from alpr_edge.ledger.witness_book import WitnessBook
from alpr_edge.ledger.witnessed import MISSING
from alpr_edge.trust.device_identity import device_key
from alpr_edge.trust.keys import PrivateKey

WITNESS = "witness.city.example"
COMMAND = [sys.executable, "-m", "alpr_edge"]
EVENT = "0190ae6c-7b2a-7000-8000-00000000000a"


def configure(folder: Path, port: int) -> Path:
    witness = VerifierKey(WITNESS, device_key(folder / "witness", "file").public.raw, kind=4)
    (folder / "witnesses").write_text(f"{witness}\n")
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
        witnesses = "witnesses"
        witness_within_s = 1
        [health]
        every_s = 5
        [sentry]
        every_s = 0.2
        case_switch = "case"
        """
    )
    return path


@contextlib.contextmanager
def city_witness(config: Path, port: int) -> Iterator[None]:
    """The city's witness, which begins late."""
    keys = device_ledger_identity("unit-1", config.parent / "identity", "file").keys
    signer = DeviceSigner(device_key(config.parent / "witness", "file"))
    book = WitnessBook(config.parent / "book")
    witness = Witness(book, signer, keys, WitnessSettings(WITNESS))
    service = WitnessService(witness, Broker("127.0.0.1", port))
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join(30)
        book.close()


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

    def warnings() -> set[str]:
        """The newest word of health; what was not said yet counts as a warning of everything."""
        said = [json.loads(p) for t, p in heard if t == "alpr-edge/unit-1/state"]
        told = [one["warnings"] for one in said if "warnings" in one]
        return set(told[-1]) if told else {MISSING}

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
            until(lambda: MISSING in warnings())
            with city_witness(path, mosquitto.port):
                until(lambda: MISSING not in warnings())
                until(lambda: jwt_claims(statements()[-1]).get("alpr_witness") == WITNESS)
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


def jwt_claims(token: bytes) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def check_record(config: Path, statement: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 0
        return capsys.readouterr().out

    witnesses = ("--witness", str(config.parent / "witnesses"))
    verified = run("ledger", "verify", "--config", str(config), *witnesses)
    assert "verdict     holds" in verified
    assert f" by {WITNESS}, 20" in verified
    shown = run("ledger", "show", "--config", str(config))
    bodies = [json.loads(line)["body"] for line in shown.splitlines()]
    assert {b["what"] for b in bodies if b["kind"] == "trigger"} >= {
        *("case_opened", "file_changed", "repeated_logins", "listener_unexpected")
    }
    seen = [b["state"] for b in bodies if b["kind"] == "witnessed"]
    assert seen[:2] == ["missing", "cosigned"]
    assert sum(b["kind"] == "login" for b in bodies) == 5
    assert [b["purpose"] for b in bodies if b["kind"] == "access"] == ["a test"]
    tests = [b["passed"] for b in bodies if b["kind"] == "self_test"]
    folder = config.parent
    (folder / "vkey").write_text(run("ledger", "key", "--config", str(config)))
    (folder / "statement").write_bytes(statement)
    explained = run("attest", "verify", str(folder / "statement"), "--key", str(folder / "vkey"))
    assert f"alpr_self_test_passed: {tests[-1]}" in explained
    assert "empty: it misses one" in explained
    assert "alpr_time_source: " in explained
    assert "no TPM vouches for this" in explained
