"""The receipt service: stores every read that arrives, once, and answers the device with a receipt.

It runs beside the city's application, not on the camera. It shows how an application should do it,
and is enough where the application reads the database.

Rules:
- First on disk (SQLite, `synchronous=FULL`), then the receipt, then the broker's acknowledgement: a
  power cut at any point costs a repeat, never a read.
- The id is the key: what comes twice is stored once and receipted twice.
- What is past `retention_until` is deleted, overwritten; a read without one is kept a day.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alpr_edge.delivery.mqtt_settings import Credentials, TlsFiles
from alpr_edge.delivery.receipts import make_receipt
from alpr_edge.errors import PublishError

_log = logging.getLogger(__name__)
_BATCH = 200
_QUIET_S = 0.02
_PURGE_S = 60.0
_UNSTATED_S = 86_400.0
_SESSION_S = 7 * 86_400
_MAX_BYTES = 65_536
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reads (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    received_at REAL NOT NULL,
    keep_until REAL NOT NULL,
    payload BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_end ON reads (keep_until);
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as it came."""

    mid: int
    device: str
    payload: bytes = field(repr=False)
    event_id: str = ""


def event_id_of(payload: bytes, properties: dict[str, str]) -> str:
    """The event's id, in whatever encoding it came; empty when it has none."""
    if "id" in properties:
        return properties["id"]
    document = _document(payload)
    uuids = document.get("uuids")
    found = document.get("id") or (uuids[0] if isinstance(uuids, list) and uuids else "")
    return found if isinstance(found, str) else ""


def keep_until(payload: bytes, now_s: float) -> float:
    """Unix time at which the read must be deleted, as its own terms say."""
    document = _document(payload)
    data = document.get("data", document)
    try:
        text = data.get("retention_until") or data["usage"]["retention_until"]
        return datetime.fromisoformat(text).timestamp()
    except (KeyError, TypeError, ValueError, AttributeError):
        return now_s + _UNSTATED_S


class ReadStore:
    """The database; for one thread."""

    def __init__(self, path: Path) -> None:
        """Open or create it.

        Raises:
            PublishError: `delivery.receipts.store`.
        """
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as err:
            raise self._error(err) from err

    def put(self, arrived: list[Arrived], now_s: float) -> int:
        """Store these in one transaction. Returns how many were new.

        Raises:
            PublishError: none is stored.
        """
        rows = [
            (one.event_id, one.device, now_s, keep_until(one.payload, now_s), one.payload)
            for one in arrived
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            done = self._db.executemany("INSERT OR IGNORE INTO reads VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as err:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._error(err) from err
        return done.rowcount

    def purge(self, now_s: float) -> int:
        """Delete what may not be kept any longer. Returns how many went.

        Raises:
            PublishError: nothing was deleted.
        """
        try:
            gone = self._db.execute("DELETE FROM reads WHERE keep_until <= ?", (now_s,)).rowcount
            if gone:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as err:
            raise self._error(err) from err
        return gone

    def ids(self) -> list[str]:
        """All ids, for checks."""
        return [one for (one,) in self._db.execute("SELECT id FROM reads")]

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def _error(self, err: Exception) -> PublishError:
        return PublishError(
            f"reads cannot be stored in {self._path}: {err}",
            code="delivery.receipts.store",
            hint="check the folder and free space; no receipt is given meanwhile",
        )


@dataclass(frozen=True, slots=True)
class Where:
    """Which broker, which topics.

    Attributes:
        name: the client's; its session at the broker hangs on it.
        reconnect_s: longest pause before a new attempt.
        mqtt5: false speaks 3.1.1, which NATS needs.
    """

    host: str
    port: int
    prefix: str = "alpr-edge"
    name: str = "receipts"
    credentials: Credentials | None = None
    tls: TlsFiles | None = None
    mqtt5: bool = True
    reconnect_s: int = 30


class ReceiptService:
    """Subscribes, stores, answers.

    Attributes:
        subscribed: the broker has taken the subscription; from then on it keeps reads for us.
    """

    def __init__(self, where: Where, store: ReadStore) -> None:
        self._where, self._store = where, store
        # Bounded by the protocol: the broker sends no more than it may have unacknowledged.
        self._arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self.subscribed = False
        self.stored = self.repeated = self.unreadable = 0
        self._client = self._make_client()

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Until `stop`; `tick` is called about once a second.

        Raises:
            PublishError: the disk takes nothing (`delivery.receipts.store`). A broker that is away
                is waited for.
        """
        where = self._where
        properties = None
        if where.mqtt5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _SESSION_S
            properties.ReceiveMaximum = _BATCH
        self._client.connect_async(
            where.host,
            where.port,
            keepalive=30,
            clean_start=False if where.mqtt5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        self._client.loop_start()
        purge_at = tick_at = 0.0
        try:
            while not self._stopping.is_set():
                self._round()
                now_s = time.monotonic()
                if now_s >= purge_at:
                    purge_at = now_s + _PURGE_S
                    self._store.purge(time.time())
                if now_s >= tick_at:
                    tick_at = now_s + 1.0
                    tick()
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def stop(self) -> None:
        """End soon. Safe in a signal handler."""
        self._stopping.set()

    def _round(self) -> None:
        try:
            batch = [self._arrived.get(timeout=0.5)]
        except queue.Empty:
            return
        end = time.monotonic() + _QUIET_S
        while len(batch) < _BATCH:
            try:
                batch.append(self._arrived.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        good = [one for one in batch if one.event_id]
        new = self._store.put(good, time.time()) if good else 0
        self.stored += new
        self.repeated += len(good) - new
        self.unreadable += len(batch) - len(good)
        by_device: dict[str, list[str]] = defaultdict(list)
        for one in good:
            by_device[one.device].append(one.event_id)
        for device, ids in by_device.items():
            topic = f"{self._where.prefix}/{device}/receipts"
            self._client.publish(topic, make_receipt(ids), qos=1)
        for one in batch:
            self._client.ack(one.mid, 1)

    def _make_client(self) -> paho.Client:
        where = self._where
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=where.name,
            protocol=MQTTProtocolVersion.MQTTv5 if where.mqtt5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if where.mqtt5 else False,
            manual_ack=True,
        )
        client.reconnect_delay_set(1, where.reconnect_s)
        if where.credentials is not None:
            client.username_pw_set(where.credentials.username, where.credentials.password)
        if where.tls is not None:
            client.tls_set_context(where.tls.context())
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, *_: Any
    ) -> None:
        if reason.is_failure:
            _log.error("broker refuses", extra={"code": "delivery.receipts.broker"})
        else:
            prefix = self._where.prefix
            client.subscribe([(f"{prefix}/+/reads", 1), (f"{prefix}/+/onvif-ej/#", 1)])

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[Any], *_: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.error("broker refuses", extra={"code": "delivery.receipts.broker"})
        else:
            self.subscribed = True

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        given = dict(getattr(message.properties, "UserProperty", []))
        device = message.topic.removeprefix(f"{self._where.prefix}/").split("/")[0]
        event_id = event_id_of(payload, given) if len(payload) <= _MAX_BYTES else ""
        if given.get("specversion") == "1.0":
            # Binary mode: the attributes are kept with the data, as one structured event.
            data = payload.decode("utf-8", "replace")
            head = json.dumps(given | {"datacontenttype": "application/json"})
            payload = f'{head[:-1]}, "data": {data}}}'.encode()
        self._arrived.put(Arrived(message.mid, device, payload, event_id))


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
