"""The ledger's own MQTT connection: checkpoints out, cosignatures in, alarms and attestation out.

It carries no reads. Its topics, under `<prefix>/<device>/`:

    ledger/checkpoint   retained: the newest checkpoint with its proof (C2SP add-checkpoint)
    ledger/witness      from the witness, retained: `size N` and its cosignature
    alarm               a trigger, not retained, QoS 1
    attestation         retained: the newest signed statement

A line down costs nothing but time: the newest checkpoint proves all before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.errors import AuditError
from alpr_edge.ledger.kinds import Trigger
from alpr_edge.ledger.note import Submission

if TYPE_CHECKING:
    from alpr_edge.delivery.mqtt_settings import MqttSettings

_log = logging.getLogger(__name__)
_MOST_ALARMS = 100
AHEAD_EVERY_S = 3600.0
ASK = "— ask"
"""In the place of a cosignature: prove your newest head from this size on."""


@dataclass(frozen=True, slots=True)
class LedgerTopics:
    """Where things go for one device."""

    prefix: str
    device: str

    @property
    def checkpoint(self) -> str:
        """Checkpoints, retained."""
        return f"{self.prefix}/{self.device}/ledger/checkpoint"

    @property
    def witness(self) -> str:
        """What the witness has seen, retained."""
        return f"{self.prefix}/{self.device}/ledger/witness"

    @property
    def alarm(self) -> str:
        """Triggers."""
        return f"{self.prefix}/{self.device}/alarm"

    @property
    def attestation(self) -> str:
        """The newest attestation, retained."""
        return f"{self.prefix}/{self.device}/attestation"


def encode_seen(size: int, cosignature: str) -> bytes:
    """What a witness answers."""
    return f"size {size}\n{cosignature}\n".encode()


def parse_seen(data: bytes) -> tuple[int, str]:
    """The size that a witness has cosigned, and its line.

    Raises:
        AuditError: it is no such answer (`ledger.witness.answer`).
    """
    try:
        first, line, rest = data.decode("utf-8").split("\n")
        size = int(first.removeprefix("size "))
        good = first == f"size {size}" and size >= 0 and not rest and line.startswith("— ")
    except (UnicodeDecodeError, ValueError):
        good, size, line = False, 0, ""
    if not good or len(data) > 1024:
        raise AuditError(
            "not a witness's answer: expected `size N` and a cosignature",
            code="ledger.witness.answer",
            hint="only the witness may write to the topic ledger/witness; check the broker's ACL",
        )
    return size, line


class LedgerChannel:
    """Keeps one connection and publishes the newest checkpoint on it.

    Args:
        submission: gives the newest checkpoint with a proof from the size asked for.
        every_s: longest between two looks for a new checkpoint.
        ahead: told of the size, once an hour at most, when the witness says that it has seen more
            than there is here; nothing else comes of it.
        answered: judges a cosignature: whether it is a witness's of that size.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: LedgerTopics,
        submission: Callable[[int], Submission | None],
        *,
        every_s: float = 60.0,
        ahead: Callable[[int], None] = lambda _: None,
        answered: Callable[[int, str], bool] = lambda _size, _line: True,
    ) -> None:
        self._ahead, self._answered = ahead, answered
        self._topics, self._submission, self._every_s = topics, submission, every_s
        self._settings = settings
        self._lock = threading.Lock()
        self._alarms: deque[bytes] = deque(maxlen=_MOST_ALARMS)
        self._attestation = b""
        self._witnessed, self._cosignature = 0, ""
        self._sent, self._asked = "", False
        self._ahead_s = float("-inf")
        self._connected = False
        self._stopping, self._wake = threading.Event(), threading.Event()
        client_id = f"{topics.device}-ledger"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        if settings.credentials is not None:
            credentials = settings.credentials
            self._client.username_pw_set(credentials.username, credentials.password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._thread = threading.Thread(target=self._run, name="ledger-channel", daemon=True)

    @property
    def witnessed(self) -> int:
        """The size that the witness has cosigned last."""
        return self._witnessed

    @property
    def cosignature(self) -> str:
        """The witness's last line."""
        return self._cosignature

    def start(self) -> None:
        """Connect in the background and keep trying."""
        self._thread.start()

    def alarm(self, trigger: Trigger) -> None:
        """Send a trigger as soon as there is a connection."""
        with self._lock:
            self._alarms.append(trigger.model_dump_json(exclude_none=True).encode())
        self._wake.set()

    def attest(self, statement: bytes) -> None:
        """Publish an attestation, retained."""
        with self._lock:
            self._attestation = statement
        self._wake.set()

    def wake(self) -> None:
        """Look for a new checkpoint now."""
        self._wake.set()

    def close(self) -> None:
        """Send what waits where that is possible, and disconnect."""
        if self._thread.is_alive():
            self._stopping.set()
            self._wake.set()
            self._thread.join(10.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        try:
            if self._settings.tls is not None:
                self._client.tls_set_context(self._settings.tls.context())
            self._client.connect_async(self._settings.host, self._settings.port)
        except (OSError, ValueError) as err:
            _log.warning("ledger channel", extra={"code": "ledger.channel", "type": str(err)[:100]})
            return
        self._client.loop_start()
        while not self._stopping.is_set():
            self._wake.wait(self._every_s)
            self._wake.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        if not self._connected:
            return
        with self._lock:
            alarms, self._alarms = list(self._alarms), deque(maxlen=_MOST_ALARMS)
            statement, self._attestation = self._attestation, b""
        waiting = [self._client.publish(self._topics.alarm, one, qos=1) for one in alarms]
        if statement:
            topic = self._topics.attestation
            waiting.append(self._client.publish(topic, statement, qos=1, retain=True))
        try:
            one = self._submission(self._witnessed) or self._submission(0)
        except AuditError as err:
            _log.warning("no proof for the witness", extra={"code": err.code})
            one = None
        if one is not None:
            asked, self._asked = self._asked, False
            if one.note.text != self._sent or asked:
                self._sent, data = one.note.text, one.encode()
                topic = self._topics.checkpoint
                waiting.append(self._client.publish(topic, data, qos=1, retain=True))
        if self._stopping.is_set():
            for info in waiting:
                info.wait_for_publish(2.0)

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe(self._topics.witness, qos=1)
        self._connected, self._sent = True, ""
        self._wake.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._connected = False

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        try:
            size, line = parse_seen(message.payload)
        except AuditError as err:
            _log.warning("the witness's answer", extra={"code": err.code})
            return
        if size > self._witnessed and self._submission(size) is None:
            # Nobody can verify what is signed over entries that are not here: it may be forged.
            now_s = time.monotonic()
            if now_s - self._ahead_s > AHEAD_EVERY_S:
                self._ahead_s = now_s
                self._ahead(size)
            if line == ASK:
                self._asked = True
                self._wake.set()
            return
        if line != ASK and size and not self._answered(size, line):
            return
        # The next checkpoint carries the proof from here; if it was asked for, now.
        self._witnessed, self._cosignature = size, line
        if line == ASK:
            self._asked = True
            self._wake.set()


class SerialCheckpoints:
    """Writes every new checkpoint to a serial line, for a place without a network."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last = ""

    def show(self, note: object) -> bool:
        """Write it unless it was written already. Returns whether it was written.

        Raises:
            AuditError: the line cannot be opened or written (`ledger.serial`).
        """
        text = str(note)
        if text == self._last:
            return False
        try:
            with open(self._path, "wb", buffering=0) as line:
                line.write(b"\r\n" + text.replace("\n", "\r\n").encode())
        except OSError as err:
            raise AuditError(
                f"checkpoints cannot be written to {self._path}: {err.strerror}",
                code="ledger.serial",
                hint="check [ledger] serial and the rights of the service's user",
            ) from err
        self._last = text
        return True
