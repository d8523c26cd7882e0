"""`alpr-edge command`: what the city makes and sends, against real desks behind a real broker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from alpr_edge.cli import main
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.delivery.commands import hear
from alpr_edge.delivery.desk import Desk, NoAbilities
from alpr_edge.delivery.port import Request, Topics
from alpr_edge.errors import AlprEdgeError
from alpr_edge.trust.key_files import save_private_key
from alpr_edge.trust.keys import PrivateKey

TOPICS = Topics("cam-1", "city/alpr")
CITY = PrivateKey.generate()
BOX = ["0.1,0.1", "0.5,0.1", "0.5,0.5", "0.1,0.5"]
Run = Callable[..., tuple[int, str, str]]


class Able(NoAbilities):
    def status(self) -> dict[str, Any]:
        return {"state": "online"}

    def self_test(self) -> dict[str, Any]:
        raise AlprEdgeError("broken", code="selftest.failed")

    def add_polygon(self, command: bytes) -> str:
        return "dd" * 32


class Disciplined(SystemClocks):
    def believed(self) -> bool:
        return True


class Device:
    """A desk, joined to the broker by a client that carries requests in and answers out."""

    def __init__(self, port: int, folder: Path) -> None:
        self._desk = Desk(
            TOPICS, [CITY.public], Able(), number_file=folder / "number", clocks=Disciplined()
        )
        self._there = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, "device", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_subscribe = lambda *_: self._there.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(TOPICS.requests, 1)
        self._client.loop_start()
        assert self._there.wait(30)

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        answer_to = str(getattr(message.properties, "ResponseTopic", ""))
        answer = self._desk.take(Request(bytes(message.payload), answer_to))
        if answer is not None:
            client.publish(TOPICS.responses, b"not json")
            client.publish(TOPICS.responses, json.dumps({"device": "cam-2", "number": 1}))
            client.publish(answer.topic, answer.payload, qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    save_private_key(tmp_path / "city.key", CITY)
    return tmp_path / "city.key"


@pytest.fixture
def run(key: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["command", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def port(mosquitto: Any, tmp_path: Path) -> Iterator[int]:
    device = Device(mosquitto.port, tmp_path)
    yield mosquitto.port
    device.close()


def about(key: Path) -> list[str]:
    return ["--device", "cam-1", "--key", str(key)]


def broker(port: int) -> list[str]:
    return ["--port", str(port), "--prefix", "city/alpr"]


@pytest.mark.mosquitto
def test_asking_prints_the_answer_and_its_exit_status_says_how_it_went(
    run: Run, key: Path, port: int
) -> None:
    code, out, err = run("ask", "status", *about(key), *broker(port))
    assert (code, json.loads(out)["result"]) == (0, {"state": "online"})
    assert err == "cam-1: done\n"
    mask = ["--polygon", *BOX, "--name", "clinic", "--reason", "order 7"]
    code, out, _ = run("ask", "add-mask", *mask, *about(key), *broker(port))
    assert (code, json.loads(out)["result"]["masks"]) == (0, "dd" * 32)
    code, _, err = run("ask", "self-test", *about(key), *broker(port), "--protocol", "3.1.1")
    assert (code, err) == (1, "cam-1: failed (selftest.failed)\n")
    code, _, err = run("ask", "checkpoint", *about(key), *broker(port))
    assert (code, err) == (1, "cam-1: not-available (delivery.command.not_available)\n")
    code, _, err = run("ask", "status", *about(key), *broker(port), "--number", "5")
    assert (code, err) == (3, "cam-1: refused (delivery.command.replayed)\n")


@pytest.mark.mosquitto
def test_a_request_is_made_here_and_sent_there_and_counts_once(
    run: Run, key: Path, port: int, tmp_path: Path
) -> None:
    file = tmp_path / "ask.json"
    later = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    assert run("make", "status", *about(key), "--out", str(file))[0] == 0
    assert hear(file.read_bytes(), "cam-1", [CITY.public]).command == "status"
    assert run("send", str(file), *broker(port))[0] == 0
    # The very same again is answered alike; a device that has forgotten refuses it (desk's tests).
    assert run("send", str(file), *broker(port))[0] == 0
    assert run("make", "status", *about(key), "--not-before", later, "--out", str(file))[0] == 0
    code, _, err = run("send", str(file), *broker(port))
    assert (code, "delivery.command.too_early" in err) == (3, True)


@pytest.mark.mosquitto
def test_who_does_not_answer_and_who_cannot_be_reached_are_told_apart(
    run: Run, key: Path, mosquitto: Any, tmp_path: Path
) -> None:
    began = time.monotonic()
    silent = [*about(key), *broker(mosquitto.port), "--wait", "0.5"]
    code, out, err = run("ask", "status", *silent)
    assert (code, out, "delivery.command.no_answer" in err) == (1, "", True)
    assert time.monotonic() - began < 45
    code, _, err = run("ask", "status", *about(key), "--port", "1")
    assert (code, "delivery.link.unreachable" in err) == (1, True)
    (tmp_path / "ca.pem").write_text("no certificate")
    code, _, err = run("ask", "status", *about(key), "--ca", str(tmp_path / "ca.pem"))
    assert (code, "delivery.link.tls_files" in err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["add-mask"],
        ["add-mask", "--polygon", "0,0", "1,1"],
        ["add-mask", "--polygon", "0,0", "1,1", "0,1", "1,0"],
        ["add-mask", "--record", "nowhere.json"],
        ["stop-reading"],
        ["stop-reading", "--reason", "x" * 200],
        ["status", "--reason", "why"],
        ["status", "--name", "clinic"],
        ["status", "--minutes", "1441"],
        ["status", "--minutes", "0"],
        ["status", "--number", "0"],
    ],
    ids=" ".join,
)
def test_what_no_device_would_take_is_not_made(run: Run, key: Path, words: list[str]) -> None:
    code, out, err = run("make", *words, *about(key))
    assert code in (2, 3)
    assert out == ""
    assert err.startswith("alpr-edge: [")


@pytest.mark.parametrize("point", ["1", "a,b", "1.5,0", "nan,0", ",", "0,0,0"])
def test_a_corner_that_is_none_is_wrong_usage(run: Run, key: Path, point: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("make", "add-mask", "--polygon", "0,0", "1,0", point, *about(key))
    assert caught.value.code == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 5000])
def test_a_file_that_is_no_request_is_not_sent(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ask.json").write_bytes(content)
    code, out, err = run("send", str(tmp_path / "ask.json"), "--port", "1")
    assert code in (2, 3)
    assert (out, err.startswith("alpr-edge: [")) == ("", True)


def test_a_request_whose_time_is_over_is_not_sent(run: Run, key: Path, tmp_path: Path) -> None:
    file = tmp_path / "ask.json"
    past = ["--not-before", "2026-01-01T00:00:00Z"]
    assert run("make", "status", *about(key), *past, "--out", str(file))[0] == 0
    code, _, err = run("send", str(file), "--port", "1")
    assert (code, "counts no more" in err) == (2, True)


def test_help_has_examples_and_completion_knows_the_command(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "alpr-edge command ask add-mask" in capsys.readouterr().out
    assert main(["completion", "bash"]) == 0
    completion = capsys.readouterr().out
    assert "'stop-reading'" in completion or "stop-reading" in completion
