"""The MQTT link on a real mosquitto: what it sends, why it is refused, and hostile brokers."""

from __future__ import annotations

import logging
import os
import signal
import socket
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
from alpr_edge.delivery.mqtt import MqttLink, ProtocolChoice
from alpr_edge.delivery.mqtt_settings import Credentials, MqttSettings, MqttTimes, TlsFiles
from alpr_edge.delivery.port import Confirmed, LinkEvent, Lost, Message, Phase, Receipt, Topics
from alpr_edge.delivery.port import Refused as RefusedEvent
from alpr_edge.delivery.receipts import make_receipt

TOPICS = Topics("cam-1")
TIMES = MqttTimes(connect=2.0, first_retry=0.1, most_retry=0.3)
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


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server certificate for localhost, and another CA, made now by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    for folder_up in (folder, *folder.parents[:2]):
        folder_up.chmod(0o755)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "other"):
        openssl("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-days", "2", "-subj", f"/CN={name}")  # fmt: skip
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "san").write_text("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.pem")  # fmt: skip
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


@pytest.fixture
def tls_port(mosquitto: Any, certificates: Path) -> int:
    mosquitto.stop()
    mosquitto.settings = f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key"
    mosquitto.start()
    return int(mosquitto.port)


def test_tls_with_the_right_ca_connects(
    tls_port: int, certificates: Path, make_link: MakeLink
) -> None:
    link = make_link(tls_port, host="localhost", tls=TlsFiles(certificates / "ca.pem"))
    connected(link)
    for n in range(20):
        assert link.publish(read(bytes(4000), str(n)))
    gather(link, Confirmed)


@pytest.mark.parametrize(
    ("host", "ca", "code"),
    [
        ("localhost", "other.pem", LinkCode.TLS_CERTIFICATE),
        ("127.0.0.1", "ca.pem", LinkCode.TLS_CERTIFICATE),
        ("localhost", "missing.pem", LinkCode.TLS_FILES),
        ("localhost", "san", LinkCode.TLS_FILES),
    ],
    ids=["unknown-ca", "other-host", "no-file", "no-certificate"],
)
def test_tls_that_cannot_be_trusted_is_refused(
    tls_port: int, certificates: Path, make_link: MakeLink, host: str, ca: str, code: LinkCode
) -> None:
    shows(make_link(tls_port, host=host, tls=TlsFiles(certificates / ca)), code)


def test_tls_to_a_plain_port_is_told(
    mosquitto: Any, certificates: Path, make_link: MakeLink
) -> None:
    link = make_link(mosquitto.port, host="localhost", tls=TlsFiles(certificates / "ca.pem"))
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
