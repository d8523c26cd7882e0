"""The witness as a service: hears all devices by MQTT, judges, cosigns, raises alarms.

One thread hears (paho's), one works: it takes what has come, judges it in one transaction, and
answers after the transaction is on disk.

    <prefix>/<device>/ledger/checkpoint   heard
    <prefix>/<device>/ledger/witness      answered, retained
    <prefix>/witness/alarms               raised, QoS 1
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.delivery.mqtt_settings import Credentials, TlsFiles
from alpr_edge.errors import AuditError
from alpr_edge.ledger.channel import ASK, LedgerTopics, encode_seen
from alpr_edge.ledger.note import Signer, Submission, VerifierKey, cosign
from alpr_edge.ledger.witness_book import Alarm, WitnessBook
from alpr_edge.ledger.witnessing import Judgement, Outcome, judge

_log = logging.getLogger(__name__)
_BATCH = 256
_ALARMING = {
    Outcome.FORK: "fork",
    Outcome.RESTARTED: "restarted",
    Outcome.FORGED: "forged",
    Outcome.MALFORMED: "malformed",
    Outcome.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the devices publish."""

    host: str
    port: int
    prefix: str = "alpr-edge"
    tls: TlsFiles | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Attributes:
    name: the witness's name in cosignatures, a host name of the city's.
    silence_s: a device that is not heard for so long raises an alarm.
    gap_s: a device that cannot prove its newest head for so long raises an alarm.
    """

    name: str
    silence_s: float = 900.0
    gap_s: float = 600.0


@dataclass(slots=True)
class _Counts:
    heard: int = 0
    cosigned: int = 0
    alarms: int = 0
    answers: int = 0
    asked_since: dict[str, float] = field(default_factory=dict)


class Witness:
    """Judges submissions and keeps the book; `WitnessService` brings them."""

    def __init__(
        self,
        book: WitnessBook,
        signer: Signer,
        keys: Iterable[VerifierKey],
        settings: WitnessSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book, self._signer, self._settings, self._clock = book, signer, settings, clock
        self._keys = by_device(keys)
        self.counts = _Counts()
        with book.transaction():
            for device in self._keys:
                book.expect(device, int(clock()))

    def take(self, messages: Iterable[tuple[str, bytes]]) -> tuple[dict[str, bytes], list[Alarm]]:
        """Judge `(device, submission)`s. Returns the answers and the alarms, when both are on disk.

        Raises:
            AuditError: the book takes nothing; then nothing was answered.
        """
        answers: dict[str, bytes] = {}
        alarms: list[Alarm] = []
        with self._book.transaction():
            for device, data in messages:
                self.counts.heard += 1
                self._one(device, data, answers, alarms)
            for alarm in alarms:
                self._book.raise_alarm(alarm)
        self.counts.alarms += len(alarms)
        self.counts.answers += len(answers)
        return answers, alarms

    def look_for_silence(self) -> list[Alarm]:
        """Alarms about devices that are not heard any more, or prove nothing any more."""
        now = self._clock()
        alarms = []
        with self._book.transaction():
            for device, at in self._book.fall_silent(int(now - self._settings.silence_s)):
                text = f"nothing was heard of {device} for {int(now - at)} s"
                alarms.append(Alarm(int(now), device, "silence", text))
            for device, since in list(self.counts.asked_since.items()):
                if now - since > self._settings.gap_s:
                    del self.counts.asked_since[device]
                    text = f"{device} does not prove that its log continues the one known"
                    alarms.append(Alarm(int(now), device, "gap", text))
            for alarm in alarms:
                self._book.raise_alarm(alarm)
        self.counts.alarms += len(alarms)
        return alarms

    def _one(
        self, device: str, data: bytes, answers: dict[str, bytes], alarms: list[Alarm]
    ) -> None:
        now = int(self._clock())
        found = judge(
            device,
            data,
            self._keys,
            self._book.recorded,
            self._book.root_at,
            self._book.latest_origin(device),
        )
        if found.outcome in _ALARMING:
            alarms.append(Alarm(now, device, _ALARMING[found.outcome], found.text, data))
        if found.head is None:
            return
        if self._book.heard(device, now):
            alarms.append(Alarm(now, device, "heard_again", f"{device} is heard again"))
        if found.outcome in (Outcome.COSIGN, Outcome.RESTARTED, Outcome.SAME):
            self.counts.asked_since.pop(device, None)
            answers[device] = self._cosign(device, data, found, now)
        elif found.outcome is Outcome.ASK:
            self.counts.asked_since.setdefault(device, self._clock())
            before = self._book.recorded(found.head.origin)
            answers[device] = encode_seen(before.size if before else 0, ASK)

    def _cosign(self, device: str, data: bytes, found: Judgement, now: int) -> bytes:
        note, head = Submission.parse(data).note, found.head
        assert head is not None
        line = str(cosign(note.text, self._settings.name, self._signer, now))
        self._book.cosigned(device, head, str(note), line, now)
        self.counts.cosigned += 1
        return encode_seen(head.size, line)


class WitnessService:
    """Connects a `Witness` to a broker."""

    def __init__(self, witness: Witness, broker: Broker, *, client_id: str = "witness") -> None:
        self._witness, self._broker = witness, broker
        self._waiting: queue.Queue[tuple[str, bytes]] = queue.Queue(100_000)
        self._stopping = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        if broker.credentials is not None:
            self._client.username_pw_set(broker.credentials.username, broker.credentials.password)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def run(self, *, look_every_s: float = 5.0) -> None:
        """Hear and answer until `stop`.

        Raises:
            AuditError: the broker's certificate files cannot be read (`ledger.witness.tls`).
        """
        try:
            if self._broker.tls is not None:
                self._client.tls_set_context(self._broker.tls.context())
            self._client.connect_async(self._broker.host, self._broker.port)
        except (OSError, ValueError) as err:
            raise AuditError(
                f"the witness cannot connect: {err}",
                code="ledger.witness.tls",
                hint="check the broker's address and the files of --ca, --cert and --cert-key",
            ) from err
        self._client.loop_start()
        look_at_s = time.monotonic() + look_every_s
        try:
            while not self._stopping.is_set():
                self._work(0.2)
                if time.monotonic() >= look_at_s:
                    look_at_s = time.monotonic() + look_every_s
                    self._raise(self._witness.look_for_silence())
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _work(self, timeout_s: float) -> None:
        batch: list[tuple[str, bytes]] = []
        try:
            batch.append(self._waiting.get(timeout=timeout_s))
            while len(batch) < _BATCH:
                batch.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        if not batch:
            return
        try:
            answers, alarms = self._witness.take(batch)
        except AuditError as err:
            _log.error("the witness's book", extra={"code": err.code, "hint": err.hint})
            return
        for device, data in answers.items():
            topic = LedgerTopics(self._broker.prefix, device).witness
            self._client.publish(topic, data, qos=1, retain=True)
        self._raise(alarms)

    def _raise(self, alarms: Iterable[Alarm]) -> None:
        for alarm in alarms:
            code = f"ledger.alarm.{alarm.kind}"
            _log.warning("alarm: %s", alarm.text, extra={"code": code, "device": alarm.device})
            document: Mapping[str, object] = {
                "at": alarm.at,
                "device": alarm.device,
                "kind": alarm.kind,
                "text": alarm.text,
            }
            topic = f"{self._broker.prefix}/witness/alarms"
            self._client.publish(topic, json.dumps(document), qos=1)

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe(f"{self._broker.prefix}/+/ledger/checkpoint", qos=1)

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        device = message.topic.removeprefix(self._broker.prefix + "/").split("/")[0]
        try:
            self._waiting.put_nowait((device, bytes(message.payload)))
        except queue.Full:
            _log.error("more checkpoints than the witness takes", extra={"code": "ledger.witness"})


def by_device(keys: Iterable[VerifierKey]) -> dict[str, tuple[VerifierKey, ...]]:
    """Keys of `alpr-edge/DEVICE` per device, in the order given."""
    found: dict[str, tuple[VerifierKey, ...]] = {}
    for key in keys:
        device = key.name.removeprefix("alpr-edge/")
        if device != key.name and "/" not in device:
            found[device] = (*found.get(device, ()), key)
    return found
