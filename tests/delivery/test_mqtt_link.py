"""The MQTT link on a real mosquitto: what it sends, why it is refused, and hostile brokers."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import Subscriber, eventually, sample_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.encoding import STRUCTURED as CONTENT_TYPE
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.mqtt import MqttLink, ProtocolChoice
from alpr_edge.delivery.mqtt_settings import Credentials, MqttSettings, MqttTimes, TlsFiles
from alpr_edge.delivery.port import (
    Confirmed,
    Connected,
    LinkEvent,
    Lost,
    Message,
    Phase,
    Receipt,
    Request,
    Topics,
)
from alpr_edge.delivery.port import Refused as RefusedEvent
from alpr_edge.delivery.receipts import make_receipt

TOPICS = Topics("cam-1")
TIMES = MqttTimes(connect=2.0, first_retry=0.1, most_retry=0.3, will_delay=0)
WORKER = Path(__file__).with_name("worker.py")

pytestmark = pytest.mark.mosquitto
MakeLink = Callable[..., MqttLink]
Subscribe = Callable[..., Subscriber]


@pytest.fixture
def make_link() -> Iterator[MakeLink]:
    made: list[MqttLink] = []

    def make(port: int, *, host: str = "127.0.0.1", **more: Any) -> MqttLink:
        made.append(MqttLink(MqttSettings(host, port, TOPICS, **({"times": TIMES} | more))))
        made[-1].start()
        return made[-1]

    yield make
    for link in made:
        link.close()


def connected(link: MqttLink) -> MqttLink:
    eventually(lambda: link.state.phase is Phase.CONNECTED)
    return link


def shows(link: MqttLink, code: LinkCode) -> None:
    eventually(lambda: link.state.code is code)
    assert link.state.phase is not Phase.CONNECTED
    assert link.room == 0


def gather(link: MqttLink, kind: type[LinkEvent]) -> LinkEvent:
    found: list[LinkEvent] = []
    eventually(lambda: found.extend(link.events(0.1)) or any(isinstance(e, kind) for e in found))
    return next(e for e in found if isinstance(e, kind))


def read(payload: bytes = b"{}", name: str = "a", expires_in_s: int | None = 3600) -> Message:
    return Message(name, TOPICS.reads, payload, CONTENT_TYPE, expires_in_s)


def test_a_read_arrives_as_sent_at_qos_1_and_is_not_retained(
    mosquitto: Any, make_link: MakeLink, subscribe: Subscribe
) -> None:
    sub = subscribe(mosquitto.port)
    link = connected(make_link(mosquitto.port))
    assert link.state.protocol == "MQTT 5"
    payload = sample_event().to_json()
    assert link.publish(read(payload))
    assert gather(link, Confirmed) == Confirmed("a")
    eventually(lambda: sub.reads)
    assert [(m.payload, m.qos, m.retain) for m in sub.reads] == [(payload, 1, False)]
    late = subscribe(mosquitto.port, name="late")
    link.announce(b'{"state":"online"}')
    eventually(lambda: late.states)
    assert late.reads == []


def test_mqtt_5_tells_content_type_and_expiry(mosquitto: Any, make_link: MakeLink) -> None:
    with subprocess.Popen(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-V", "5", "-t", TOPICS.reads, "-C", "1",
         "-W", "20", "-F", "%C|%E|%r|%p"],
        stdout=subprocess.PIPE,
        text=True,
    ) as sub:  # fmt: skip
        eventually(lambda: "SUBACK" in mosquitto.log.read_text())
        link = connected(make_link(mosquitto.port))
        assert link.publish(read(b"{}", expires_in_s=3600))
        assert sub.stdout is not None
        assert sub.stdout.read().strip() == f"{CONTENT_TYPE}|3600|0|{{}}"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payload=st.binary(max_size=5000))
def test_any_payload_arrives_unchanged(round_trip: Any, payload: bytes) -> None:
    link, sub = round_trip
    before = len(sub.reads)
    assert link.publish(read(payload))
    gather(link, Confirmed)
    eventually(lambda: len(sub.reads) > before)
    assert sub.reads[-1].payload == payload


@pytest.fixture
def round_trip(mosquitto: Any, make_link: MakeLink, subscribe: Subscribe) -> Any:
    return connected(make_link(mosquitto.port)), subscribe(mosquitto.port)


def test_the_last_will_tells_of_a_killed_process(
    mosquitto: Any, subscribe: Subscribe, tmp_path: Path
) -> None:
    sub = subscribe(mosquitto.port)
    with subprocess.Popen(
        [sys.executable, str(WORKER), "serve", str(tmp_path / "o.db"), str(mosquitto.port), "1"],
        stdout=subprocess.DEVNULL,
    ) as worker:
        eventually(lambda: sub.states)
        assert sub.states[0]["state"] == "online"
        worker.kill()
    eventually(lambda: sub.states[-1]["state"] == "offline")
    assert sub.states[-1]["reason"] == "connection_lost"
    late = subscribe(mosquitto.port, TOPICS.state, name="late")
    eventually(lambda: late.states)
    assert late.states[-1]["reason"] == "connection_lost"
    assert late.messages[-1].retain


def test_a_clean_end_says_farewell_and_leaves_no_will(
    mosquitto: Any, make_link: MakeLink, subscribe: Subscribe
) -> None:
    sub = subscribe(mosquitto.port)
    link = connected(make_link(mosquitto.port))
    link.announce(b'{"state":"online"}')
    link.close(b'{"state":"offline","reason":"shutdown"}')
    assert link.state.code is LinkCode.NONE
    eventually(lambda: len(sub.states) == 2)
    time.sleep(0.3)
    assert [s.get("reason") for s in sub.states] == [None, "shutdown"]


def test_receipts_are_heard_and_nonsense_is_not(
    mosquitto: Any, make_link: MakeLink, subscribe: Subscribe
) -> None:
    link = connected(make_link(mosquitto.port, receipts=True))
    sub = subscribe(mosquitto.port, TOPICS.receipts)
    eventually(lambda: mosquitto.log.read_text().count("SUBACK") >= 2)
    good = "01890a5d-ac96-774b-bcce-b302099a8057"
    for payload in (b"\xff\x00", b"{}", b"[" * 1000, make_receipt([good])):
        sub._client.publish(TOPICS.receipts, payload, qos=1)
    assert gather(link, Receipt) == Receipt((good,))
    assert link.state.phase is Phase.CONNECTED


def test_a_closed_port_is_unreachable(free_port: int, make_link: MakeLink) -> None:
    shows(make_link(free_port), LinkCode.UNREACHABLE)


def test_an_unknown_name_says_so(free_port: int, make_link: MakeLink) -> None:
    shows(make_link(free_port, host="no-such-host.invalid"), LinkCode.NAME)


def test_a_name_that_is_none_says_so(free_port: int, make_link: MakeLink) -> None:
    shows(make_link(free_port, host="x" * 300), LinkCode.NAME)


def secured(mosquitto: Any, tmp_path: Path, more: str = "") -> None:
    """Restart it so that it asks for the user `cam` with password `right`."""
    mosquitto.stop()
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    subprocess.run(
        ["mosquitto_passwd", "-b", str(passwords), "cam", "right"], check=True, capture_output=True
    )
    # mosquitto gives up root's rights before it reads the file.
    passwords.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    mosquitto.settings = f"allow_anonymous false\npassword_file {passwords}\n{more}"
    mosquitto.start()


def test_wrong_credentials_are_told_from_none(
    mosquitto: Any, make_link: MakeLink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secured(mosquitto, tmp_path)
    wrong = Credentials("cam", "wrong-secret")
    assert "wrong-secret" not in repr(MqttSettings("h", 1, TOPICS, wrong))
    refused = make_link(mosquitto.port, credentials=wrong)
    eventually(lambda: refused.state.code in (LinkCode.CREDENTIALS, LinkCode.NOT_AUTHORISED))
    shows(make_link(mosquitto.port), LinkCode.NOT_AUTHORISED)
    older = make_link(mosquitto.port, credentials=wrong, protocol="3.1.1")
    eventually(lambda: older.state.code in (LinkCode.CREDENTIALS, LinkCode.NOT_AUTHORISED))
    right = Credentials.from_environment(
        {"ALPR_EDGE_MQTT_USERNAME": "cam", "ALPR_EDGE_MQTT_PASSWORD": "right"}
    )
    connected(make_link(mosquitto.port, credentials=right))
    assert Credentials.from_environment({}) is None
    assert "wrong-secret" not in caplog.text


def test_a_topic_that_the_acl_forbids_is_a_refusal(
    mosquitto: Any, make_link: MakeLink, tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic write {TOPICS.state}\n")
    acl.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    mosquitto.stop()
    mosquitto.settings = f"acl_file {acl}"
    mosquitto.start()
    link = connected(make_link(mosquitto.port, receipts=True))
    assert link.publish(read())
    assert gather(link, RefusedEvent) == RefusedEvent("a", LinkCode.PUBLISH_NOT_AUTHORISED)
    assert link.state.phase is Phase.CONNECTED


def test_a_broker_that_is_stopped_is_noticed_by_missing_answers(
    mosquitto: Any, make_link: MakeLink
) -> None:
    times = MqttTimes(connect=1.0, acknowledge=0.5, first_retry=0.1, most_retry=0.2)
    link = connected(make_link(mosquitto.port, times=times))
    pid = mosquitto._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert link.publish(read(name="stuck"))
        lost = gather(link, Lost)
        assert lost == Lost(("stuck",), LinkCode.STALLED)
        shows(link, LinkCode.TIMEOUT)
    finally:
        os.kill(pid, signal.SIGCONT)
    connected(link)


# --- brokers that are none -------------------------------------------------------------------


class Hostile:
    """Takes connections and answers each with the same bytes; None hangs up at once."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.connections = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            self._open.append(connection)
            self.connections += 1
            try:
                if connection.recv(4096) == b"stop":
                    return
                if self.answer is None:
                    connection.close()
                else:
                    connection.sendall(self.answer)
            except OSError:
                connection.close()

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"stop")
            self._thread.join()
        for connection in self._open:
            connection.close()
        self._server.close()


@pytest.fixture
def hostile() -> Iterator[Callable[[bytes | None], Hostile]]:
    made: list[Hostile] = []

    def make(answer: bytes | None) -> Hostile:
        made.append(Hostile(answer))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {LinkCode.GARBAGE, LinkCode.LOST, LinkCode.TIMEOUT}),
        (b"\x20\xff\xff\xff\xff\xff", {LinkCode.GARBAGE, LinkCode.LOST}),
        (b"\x20\x02\x00\x01", {LinkCode.PROTOCOL, LinkCode.LOST}),
        (b"\x20\x02\x00\x05", {LinkCode.GARBAGE, LinkCode.NOT_AUTHORISED, LinkCode.REFUSED}),
        (b"\x20\x03\x00\x89\x00", {LinkCode.BUSY, LinkCode.LOST, LinkCode.GARBAGE}),
        (b"\x20\x03\x00\x00\x00\xe0\x02\x8e\x00", {LinkCode.TAKEN_OVER}),
        (b"", {LinkCode.TIMEOUT}),
        (None, {LinkCode.LOST}),
        (os.urandom(64), set(LinkCode)),
    ],
    ids=[
        "http",
        "length",
        "protocol",
        "old-refusal",
        "busy",
        "taken-over",
        "silence",
        "hang-up",
        "random",
    ],
)
def test_what_is_no_broker_gives_a_code_and_tries_on(
    hostile: Callable[[bytes | None], Hostile],
    make_link: MakeLink,
    answer: bytes | None,
    codes: set[LinkCode],
) -> None:
    one = hostile(answer)
    times = MqttTimes(connect=0.4, first_retry=0.02, most_retry=0.05)
    link = make_link(one.port, times=times)
    eventually(lambda: one.connections >= 4)
    eventually(lambda: link.state.code in codes)
    assert link.room == 0
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 5


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answer=st.binary(min_size=1, max_size=40))
def test_random_bytes_after_a_good_start_never_stop_the_link(answer: bytes) -> None:
    accepted = b"\x20\x03\x00\x00\x00"
    one = Hostile(accepted + answer)
    link = MqttLink(
        MqttSettings("127.0.0.1", one.port, TOPICS, times=MqttTimes(connect=0.3, first_retry=0.02))
    )
    link.start()
    eventually(lambda: one.connections >= 1)
    time.sleep(0.02)
    link.publish(read())
    link.events(0.01)
    assert link._thread.is_alive()
    link.close()
    assert not link._thread.is_alive()
    one.stop()


# --- protocol versions -----------------------------------------------------------------------


class Trickster:
    """Accepts one connection after the other as a broker of 3.1.1 and answers each PUBLISH as told.

    `answer` gets the message's number and gives what is sent, in pieces with a pause between them.
    """

    def __init__(self, answer: Callable[[int], list[bytes]], hello: list[bytes], pause_s: float):
        self._answer, self._hello, self._pause_s = answer, hello, pause_s
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(4096)
                self._send(connection, self._hello)
                while data := connection.recv(4096):
                    if data[0] == 0x32:
                        length = 2 + data[1] if data[1] < 128 else 0
                        topic = int.from_bytes(data[2:4], "big")
                        mid = int.from_bytes(data[4 + topic : 6 + topic], "big")
                        assert length
                        self._send(connection, self._answer(mid))
            except OSError:
                return

    def _send(self, connection: socket.socket, pieces: list[bytes]) -> None:
        for piece in pieces:
            connection.sendall(piece)
            if self._over.wait(self._pause_s):
                return

    def close(self) -> None:
        self._over.set()
        self._server.close()


def puback(mid: int) -> bytes:
    return b"\x40\x02" + mid.to_bytes(2, "big")


CONNACK = b"\x20\x02\x00\x00"
SLOW = MqttTimes(connect=0.6, acknowledge=0.8, first_retry=0.1, most_retry=0.2)


@pytest.fixture
def trick() -> Iterator[Callable[..., Trickster]]:
    made: list[Trickster] = []

    def make(answer: Any = lambda _: [], hello: Any = (CONNACK,), pause_s: float = 0.0) -> Any:
        made.append(Trickster(answer, list(hello), pause_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_pubacks_that_nobody_asked_for_confirm_nothing(trick: Any, make_link: MakeLink) -> None:
    broker = trick(lambda mid: [puback(mid + 1), puback(0xFFFF), b"\x50\x02\x00\x07"])
    link = connected(make_link(broker.port, protocol="3.1.1", times=SLOW))
    assert link.publish(read())
    lost = gather(link, Lost)
    assert lost == Lost(("a",), LinkCode.STALLED)


def test_a_puback_that_comes_again_and_again_confirms_once(trick: Any, make_link: MakeLink) -> None:
    broker = trick(lambda mid: [puback(mid)] * 5)
    link = connected(make_link(broker.port, protocol="3.1.1"))
    found: list[LinkEvent] = []
    for name in "abc":
        assert link.publish(read(name=name))
        eventually(lambda name=name: found.extend(link.events(0.1)) or Confirmed(name) in found)
    found += link.events(0.3)
    assert [one for one in found if isinstance(one, Confirmed)] == [Confirmed(n) for n in "abc"]


def test_a_broker_that_drips_its_greeting_is_left(trick: Any, make_link: MakeLink) -> None:
    broker = trick(hello=[CONNACK[n : n + 1] for n in range(4)], pause_s=0.5)
    shows(make_link(broker.port, protocol="3.1.1", times=SLOW), LinkCode.TIMEOUT)


def test_a_broker_that_drips_its_answers_is_left_and_the_message_is_ours_again(
    trick: Any, make_link: MakeLink
) -> None:
    broker = trick(lambda mid: [puback(mid)[n : n + 1] for n in range(3)], pause_s=0.6)
    link = make_link(broker.port, protocol="3.1.1", times=SLOW)
    eventually(lambda: link.state.phase is Phase.CONNECTED and link.publish(read()))
    assert gather(link, Lost) == Lost(("a",), LinkCode.STALLED)


def test_a_slow_loris_on_a_tls_port_is_left(trick: Any, city: Path, make_link: MakeLink) -> None:
    broker = trick(hello=[b"\x16", b"\x03", b"\x03", b"\x00"], pause_s=0.5)
    link = make_link(broker.port, host="localhost", tls=files(city), times=SLOW)
    eventually(lambda: link.state.code not in (LinkCode.NONE,))
    assert link.room == 0


def test_a_broker_of_3_1_1_only_is_spoken_to_in_3_1_1(mosquitto: Any, make_link: MakeLink) -> None:
    link = connected(make_link(mosquitto.port, protocol="3.1.1"))
    assert link.state.protocol == "MQTT 3.1.1"
    assert link.publish(read())
    assert gather(link, Confirmed) == Confirmed("a")


def test_the_choice_of_protocol() -> None:
    choice = ProtocolChoice("auto")
    assert choice.mqtt5
    assert choice.next(True, LinkCode.PROTOCOL)  # refused: 3.1.1 at once
    assert not choice.mqtt5
    assert not choice.next(True, LinkCode.LOST)  # held, then lost: still 3.1.1
    assert not choice.mqtt5
    assert not choice.next(False, LinkCode.LOST)  # 3.1.1 gets no answer: begin again with 5
    assert choice.mqtt5
    assert choice.next(False, LinkCode.LOST)  # a hang-up: 3.1.1 once
    assert not choice.next(True, LinkCode.LOST)
    assert choice.mqtt5  # but not remembered
    assert not choice.next(False, LinkCode.UNREACHABLE)
    assert choice.mqtt5
    fixed = ProtocolChoice("5")
    assert not fixed.next(True, LinkCode.PROTOCOL)
    assert fixed.mqtt5


# --- MQTT 5 ----------------------------------------------------------------------------------


def test_binary_mode_carries_the_attributes_beside_the_data(
    mosquitto: Any, make_link: MakeLink
) -> None:
    event = sample_event()
    message = cloudevents(TOPICS)(event.event_id, event.to_json(), 100.0)
    with subprocess.Popen(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-V", "5", "-t", TOPICS.reads, "-C", "2",
         "-W", "20", "-F", "%C|%P|%p"],
        stdout=subprocess.PIPE,
        text=True,
    ) as sub:  # fmt: skip
        eventually(lambda: "SUBACK" in mosquitto.log.read_text())
        link = connected(make_link(mosquitto.port))
        # Twice: the second time the topic is a number (mosquitto takes ten).
        assert link.publish(message)
        assert link.publish(message)
        assert sub.stdout is not None
        lines = sub.stdout.read().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    content_type, attributes, data = lines[0].split("|", 2)
    assert content_type == "application/json"
    assert f"id:{event.event_id}" in attributes
    assert "specversion:1.0" in attributes
    assert "dataschema:urn:x-alpr-edge:schema:read:1" in attributes
    assert json.loads(data) == json.loads(event.to_json())["data"]


def test_a_smaller_receive_maximum_of_the_broker_wins(mosquitto: Any, make_link: MakeLink) -> None:
    mosquitto.stop()
    mosquitto.settings = "max_inflight_messages 3"
    mosquitto.start()
    link = connected(make_link(mosquitto.port))
    assert link.room == 3


def test_receipts_that_came_while_the_device_was_away_wait_for_it(
    mosquitto: Any, make_link: MakeLink
) -> None:
    first = connected(make_link(mosquitto.port, receipts=True))
    eventually(lambda: "SUBACK" in mosquitto.log.read_text())
    first.close()
    event_id = sample_event().event_id
    subprocess.run(
        ["mosquitto_pub", "-p", str(mosquitto.port), "-q", "1", "-t", TOPICS.receipts, "-s"],
        input=make_receipt([event_id]),
        check=True,
    )
    second = make_link(mosquitto.port, receipts=True)
    assert gather(second, Receipt) == Receipt((event_id,))


def test_requests_come_with_their_return_address_and_retained_ones_do_not(
    mosquitto: Any, make_link: MakeLink
) -> None:
    def ask(payload: str, *more: str) -> None:
        subprocess.run(
            ["mosquitto_pub", "-p", str(mosquitto.port), "-q", "1", "-V", "5", "-t",
             TOPICS.requests, "-m", payload, *more],
            check=True,
        )  # fmt: skip

    ask("old", "-r")
    link = connected(make_link(mosquitto.port, requests=True))
    eventually(lambda: "SUBACK" in mosquitto.log.read_text())
    ask("x" * 70_000)
    ask("now", "-D", "publish", "response-topic", "alpr-edge/desk", "-D", "publish",
        "correlation-data", "c7")  # fmt: skip
    assert gather(link, Request) == Request(b"now", "alpr-edge/desk", b"c7")
    assert link.state.phase is Phase.CONNECTED


def test_a_megabyte_on_the_requests_topic_harms_nobody(mosquitto: Any, make_link: MakeLink) -> None:
    for protocol in ("5", "3.1.1"):
        link = connected(make_link(mosquitto.port, requests=True, protocol=protocol))
        subprocess.run(
            ["mosquitto_pub", "-p", str(mosquitto.port), "-q", "1", "-t", TOPICS.requests, "-s"],
            input=os.urandom(1_000_000),
            check=True,
        )
        assert link.publish(read(name=protocol))
        assert gather(link, Confirmed) == Confirmed(protocol)
        link.close()


def test_what_is_no_read_is_told_with_its_correlation(mosquitto: Any, make_link: MakeLink) -> None:
    with subprocess.Popen(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-V", "5", "-t", TOPICS.responses, "-C", "1",
         "-W", "20", "-F", "%D|%p"],
        stdout=subprocess.PIPE,
        text=True,
    ) as sub:  # fmt: skip
        eventually(lambda: "SUBACK" in mosquitto.log.read_text())
        link = connected(make_link(mosquitto.port))
        assert link.tell(TOPICS.responses, b"{}", correlation=b"c7")
        assert not link.tell("bad/#", b"{}")
        assert sub.stdout is not None
        assert sub.stdout.read().strip() == "c7|{}"


# --- several brokers -------------------------------------------------------------------------


def test_brokers_are_tried_in_order_and_the_first_is_preferred(
    mosquitto: Any, free_port: int, make_link: MakeLink
) -> None:
    others = (("127.0.0.1", mosquitto.port),)
    link = connected(make_link(free_port, others=others))
    assert link.state.destination == f"127.0.0.1:{mosquitto.port}"
    mosquitto.stop()
    eventually(lambda: link.state.phase is not Phase.CONNECTED)
    mosquitto.port, away = free_port, mosquitto.port
    mosquitto.start()
    eventually(lambda: link.state.destination == f"127.0.0.1:{free_port}")
    assert link.publish(read())
    assert away != free_port


# --- TLS -------------------------------------------------------------------------------------

PROVISION = Path(__file__).resolve().parents[2] / "scripts" / "provision"


def provision(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROVISION), *map(str, arguments)],
        check=check,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA with a broker, devices and an application, made now; and another CA."""
    folder = tmp_path_factory.mktemp("city")
    for name in ("city", "other"):
        provision("ca", folder / name)
    home = folder / "city"
    provision("broker", home, "--host", "localhost")
    for device in ("cam-1", "cam-2", "revoked"):
        provision("device", home, device)
    provision("device", home, "expired", "--days=-1")
    provision("device", folder / "other", "cam-1")
    provision("app", home, "desk")
    provision("revoke", home, "revoked")
    return home


@pytest.fixture
def tls_port(mosquitto: Any, city: Path) -> int:
    """The broker as `scripts/provision mosquitto` sets it up."""
    mosquitto.stop()
    provision("mosquitto", city, "--port", mosquitto.port, "--address", "127.0.0.1")
    written = (city / "mosquitto.conf").read_text()
    mosquitto.base = written + "user root\n"
    mosquitto.start()
    return int(mosquitto.port)


def files(city: Path, device: str = "cam-1", ca: str = "ca.pem") -> TlsFiles:
    place = city / "devices" / device
    return TlsFiles(city / ca, place / "device.pem", place / "device.key")


def test_mutual_tls_connects_and_names_the_brokers_certificate(
    tls_port: int, city: Path, make_link: MakeLink
) -> None:
    tls = files(city)
    link = connected(make_link(tls_port, host="localhost", tls=tls))
    der = ssl.PEM_cert_to_DER_cert((city / "broker.pem").read_text())
    assert link.state.certificate == hashlib.sha256(der).hexdigest()
    for n in range(20):
        assert link.publish(read(bytes(4000), str(n)))
    gather(link, Confirmed)
    days = tls.days_left(time.time())
    assert days is not None
    assert 396 < days < 398
    assert TlsFiles(city / "ca.pem").days_left(0.0) is None
    assert TlsFiles(city / "ca.pem", city / "acl", city / "acl").days_left(0.0) is None


@pytest.mark.parametrize(
    ("host", "device", "ca", "codes"),
    [
        ("localhost", "cam-1", "../other/ca.pem", {LinkCode.TLS_CERTIFICATE}),
        ("127.0.0.1", "cam-1", "ca.pem", {LinkCode.TLS_NAME}),
        ("localhost", "cam-1", "missing.pem", {LinkCode.TLS_FILES}),
        ("localhost", "cam-1", "acl", {LinkCode.TLS_FILES}),
        ("localhost", "missing", "ca.pem", {LinkCode.TLS_FILES}),
        ("localhost", "revoked", "ca.pem", {LinkCode.TLS_REVOKED, LinkCode.LOST}),
        ("localhost", "expired", "ca.pem", {LinkCode.TLS_REVOKED, LinkCode.LOST}),
        ("localhost", "../../other/devices/cam-1", "ca.pem", {LinkCode.TLS_REVOKED, LinkCode.LOST}),
        ("localhost", "", "ca.pem", {LinkCode.TLS_REVOKED, LinkCode.LOST}),
    ],
    ids=["unknown-ca", "other-host", "no-ca", "ca-is-text", "no-certificate-file", "revoked",
         "expired", "device-of-another-ca", "no-certificate"],
)  # fmt: skip
def test_certificates_that_cannot_be_trusted_are_refused_with_a_reason(
    tls_port: int, city: Path, make_link: MakeLink, host: str, device: str, ca: str,
    codes: set[LinkCode],
) -> None:  # fmt: skip
    tls = files(city, device, ca) if device else TlsFiles(city / ca)
    link = make_link(tls_port, host=host, tls=tls)
    eventually(lambda: link.state.code in codes)
    assert link.state.phase is not Phase.CONNECTED
    assert link.room == 0


def test_an_expired_broker_certificate_is_told_as_such(
    mosquitto: Any, city: Path, make_link: MakeLink, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    provision("ca", old)
    provision("broker", old, "--host", "localhost", "--days=-1")
    provision("device", old, "cam-1")
    mosquitto.stop()
    provision("mosquitto", old, "--port", mosquitto.port, "--address", "127.0.0.1")
    mosquitto.base = (old / "mosquitto.conf").read_text() + "user root\n"
    mosquitto.start()
    shows(make_link(mosquitto.port, host="localhost", tls=files(old)), LinkCode.TLS_EXPIRED)


def test_old_tls_versions_are_not_spoken(city: Path) -> None:
    context = files(city).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_replaced_certificate_is_taken_into_use_without_a_restart(
    tls_port: int, city: Path, make_link: MakeLink
) -> None:
    times = MqttTimes(connect=2.0, first_retry=0.1, most_retry=0.3, certificates=0.1)
    link = connected(make_link(tls_port, host="localhost", tls=files(city, "cam-2"), times=times))
    provision("device", city, "cam-2")
    lost = gather(link, Lost)
    assert isinstance(lost, Lost)
    assert lost.code is LinkCode.RENEWED
    connected(link)
    assert link.publish(read())
    # cam-2 may not write to cam-1's topic: the broker knows it by its certificate.
    refused = gather(link, RefusedEvent)
    assert isinstance(refused, RefusedEvent)
    assert refused.code is LinkCode.PUBLISH_NOT_AUTHORISED


def test_the_acl_gives_each_device_its_own_topics_only(
    tls_port: int, city: Path, make_link: MakeLink
) -> None:
    own = Topics("cam-2")
    link = connected(make_link(tls_port, host="localhost", tls=files(city, "cam-2")))
    for topic, allowed in (
        (own.reads, True),
        (own.responses, True),
        (f"{own.prefix}/cam-2/onvif-ej/RuleEngine/x", True),
        (TOPICS.reads, False),
        (own.receipts, False),
        (own.requests, False),
        (TOPICS.receipts, False),
        ("anything", False),
    ):
        message = Message(topic, topic, b"{}", "application/json", 60)
        assert link.publish(message)
        answer = gather(link, Confirmed if allowed else RefusedEvent)
        assert answer.event_id == topic  # type: ignore[union-attr]


def test_provision_refuses_what_would_do_harm(city: Path, tmp_path: Path) -> None:
    assert provision("ca", city, check=False).returncode == 2
    assert provision("device", city, "../x", check=False).returncode == 2
    assert provision("device", tmp_path, "cam-1", check=False).returncode == 2
    assert provision("sign", city, "cam-9", "--csr", city / "acl", check=False).returncode == 2
    for key in city.rglob("*.key"):
        assert key.stat().st_mode & 0o077 == 0
    provision("request", city, "cam-9")
    provision("sign", city, "cam-9", "--csr", city / "devices/cam-9/device.csr")
    subject = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", city / "devices/cam-9/device.pem"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cam-9" in subject.stdout


def test_tls_to_a_plain_port_is_told(mosquitto: Any, city: Path, make_link: MakeLink) -> None:
    link = make_link(mosquitto.port, host="localhost", tls=files(city))
    eventually(lambda: link.state.code in (LinkCode.TLS, LinkCode.LOST, LinkCode.UNREACHABLE))
    assert link.room == 0


def test_log_lines_carry_codes(
    free_port: int, make_link: MakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    shows(make_link(free_port), LinkCode.UNREACHABLE)
    eventually(lambda: caplog.records)
    assert caplog.records[0].code == "delivery.link.unreachable"  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", ["", "a/b", "a+b", "#", "é", "x" * 65, "a b", "a\0"])
def test_a_device_id_that_breaks_a_topic_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="device_id"):
        Topics(bad)


# --- who runs the connection's loop ----------------------------------------------------------


def test_a_link_whose_user_is_kept_elsewhere_stays_up_and_goes_on_when_he_comes_back(
    mosquitto: Any, make_link: MakeLink
) -> None:
    times = MqttTimes(connect=5.0, keepalive=1, first_retry=0.1, most_retry=0.3)
    link = connected(make_link(mosquitto.port, times=times))
    assert link.publish(read(name="first"))
    assert gather(link, Confirmed) == Confirmed("first")
    # As when a disk hangs: nobody asks, and mosquitto would cut after one and a half keep-alives.
    time.sleep(4.0)
    assert link.publish(read(name="second"))
    found: list[LinkEvent] = []
    eventually(lambda: found.extend(link.events(0.1)) or Confirmed("second") in found)
    assert not any(isinstance(event, Lost) for event in found)


def test_events_waits_as_long_as_it_was_told_and_wake_ends_that(
    mosquitto: Any, make_link: MakeLink
) -> None:
    link = connected(make_link(mosquitto.port))
    gather(link, Connected)
    began = time.monotonic()
    assert link.events(1.2) == []
    assert time.monotonic() - began >= 1.2
    threading.Timer(0.2, link.wake).start()
    assert link.events(60.0) == []
    assert time.monotonic() - began < 45.0


def test_a_loop_that_two_threads_want_is_run_by_one_and_loses_nothing(
    mosquitto: Any, make_link: MakeLink
) -> None:
    link = connected(make_link(mosquitto.port))
    session = link._session
    assert session is not None
    found: list[LinkEvent] = []
    for number in range(30):
        # The session's own thread is let in again and again, as after a long absence.
        session._attended_s = 0.0
        session._hurry.set()
        name = str(number)
        eventually(lambda name=name: link.publish(read(name=name)) or found.extend(link.events(0)))
        eventually(lambda name=name: found.extend(link.events(0.05)) or Confirmed(name) in found)
    session._hurry.clear()
    assert not any(isinstance(event, Lost) for event in found)


# --- the last will waits ---------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [2, 60])
def test_the_last_will_waits_so_that_a_link_that_flickers_is_not_told(
    mosquitto: Any, make_link: MakeLink, subscribe: Subscribe, delay_s: int
) -> None:
    sub = subscribe(mosquitto.port)
    times = MqttTimes(connect=5.0, first_retry=0.1, most_retry=0.3, will_delay=delay_s)
    link = connected(make_link(mosquitto.port, times=times))
    link.announce(b'{"state":"online"}')
    eventually(lambda: sub.states)
    session = link._session
    assert session is not None
    # Cut without a farewell, and nobody comes back: mosquitto looks at its wills once a second.
    link._closing.set()
    session.abort(LinkCode.LOST)
    link._thread.join(30)
    if delay_s == 2:
        eventually(lambda: len(sub.states) > 1, within_s=60)
        assert sub.states[-1]["state"] == "offline"
        return
    # Who is back within the delay was never gone, as far as anybody is told.
    again = connected(make_link(mosquitto.port, times=times))
    again.announce(b'{"state":"online"}')
    eventually(lambda: len(sub.states) > 1)
    time.sleep(1.5)
    assert {str(one["state"]) for one in sub.states} == {"online"}


def test_a_topic_goes_once_where_the_broker_takes_a_number_for_it(
    mosquitto: Any, make_link: MakeLink, subscribe: Subscribe
) -> None:
    sub = subscribe(mosquitto.port)
    link = connected(make_link(mosquitto.port))
    session = link._session
    assert session is not None
    assert session._most_aliases > 0
    assert session._aliased(TOPICS.state) == (TOPICS.state, 1)
    assert session._aliased(TOPICS.state) == ("", 1)
    events = [sample_event() for _ in range(5)]
    for event in events:
        assert link.publish(read(event.to_json(), event.event_id))
    eventually(lambda: len(sub.reads) == 5)
    assert [m.topic for m in sub.reads] == [TOPICS.reads] * 5
