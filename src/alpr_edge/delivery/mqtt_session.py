"""One connection to an MQTT broker, from CONNECT to its end, on paho-mqtt 2.

A session is used once. That keeps paho from queueing and resending on its own: whatever had no
answer when the connection ended is the outbox's again. It does not reconnect (`mqtt`).

Rules:
- paho is run by our own loop over its socket, so no thread of paho's exists and an exception from
  a hostile packet ends the session, not the service.
- Callbacks only put things into the queue; they take no lock (paho calls them holding its own).

Source: MQTT 5.0 (OASIS), sections 3.1.2.11 (connect properties), 3.2.2.2 and 3.4.2.1 (reasons).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.health import offline
from alpr_edge.delivery.mqtt_reasons import of_connection, of_error, of_publish
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.port import Connected, Message, Receipt
from alpr_edge.delivery.receipts import MAX_BYTES, parse_receipt

_POLL_S = 1.0
_MOST_EXPIRY_S = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker's answer to message `mid` of session `number`; `code` is empty for yes."""

    number: int
    mid: int
    code: LinkCode


@dataclass(frozen=True, slots=True)
class Ended:
    """Session `number` is over and will answer nothing more."""

    number: int
    code: LinkCode


Told = Connected | Receipt | Answer | Ended | None


class Session:
    """See the module's docstring. `run` belongs to the link's thread, the rest to its user's.

    Attributes:
        number: which attempt this is.
        ready: the broker has accepted, messages may be published.
        window: how many may be without an answer.
        code: why it ended or what is wrong with it.
    """

    def __init__(
        self, settings: MqttSettings, *, number: int, mqtt5: bool, told: SimpleQueue[Told]
    ) -> None:
        self.number = number
        self.mqtt5 = mqtt5
        self.ready = False
        self.window = settings.window
        self.code = LinkCode.NONE
        self.answered = False
        self._settings = settings
        self._told = told
        self._over = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._client = self._make_client()

    def run(self, closing: threading.Event, farewell: list[bytes]) -> LinkCode:
        """Connect and serve until the connection ends or `closing` is set; returns why."""
        try:
            if self._connect():
                self._serve(closing)
                if closing.is_set() and self.ready:
                    self._leave(farewell)
                    self.code = LinkCode.NONE
        except Exception as err:  # noqa: BLE001 - outermost: a broker may send anything at all
            self._end(of_error(err) if isinstance(err, OSError) else LinkCode.GARBAGE)
        self._shut()
        return self.code

    def publish(self, message: Message) -> int | None:
        """Send at QoS 1, never retained; returns its number, or None when it was not taken."""
        payload, properties = message.payload, None
        if self.mqtt5:
            properties = _properties(PacketTypes.PUBLISH)
            content_type = message.content_type
            if message.binary is not None:
                payload, content_type = message.binary.payload, message.binary.content_type
                if message.binary.properties:
                    properties.UserProperty = list(message.binary.properties)
            if content_type:
                properties.ContentType = content_type
            if message.expires_in_s is not None:
                properties.MessageExpiryInterval = max(1, min(message.expires_in_s, _MOST_EXPIRY_S))
        info = self._client.publish(
            message.topic, payload, qos=1, retain=False, properties=properties
        )
        self.wake()
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def announce(self, state: bytes) -> bool:
        """Send health, retained. QoS 0, so that it takes no place in the window."""
        info = self._client.publish(self._settings.topics.state, state, qos=0, retain=True)
        self.wake()
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def abort(self, code: LinkCode) -> None:
        """End it from outside, without farewell: the broker then sends the last will."""
        self._end(code)
        self.wake()

    def wake(self) -> None:
        """Let the loop look again now."""
        with contextlib.suppress(OSError):
            self._wake_out.send(b"x")

    def _make_client(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"alpr-edge-{settings.topics.device_id}",
            clean_session=None if self.mqtt5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(settings.window + 1)
        client.connect_timeout = settings.times.connect
        client.will_set(settings.topics.state, offline("connection_lost"), qos=1, retain=True)
        if settings.credentials is not None:
            client.username_pw_set(settings.credentials.username, settings.credentials.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        # With this set, paho never writes to the socket from the publishing thread.
        client.on_socket_register_write = lambda *_: None
        return client

    def _connect(self) -> bool:
        settings = self._settings
        try:
            if settings.tls is not None:
                self._client.tls_set_context(settings.tls.context())
        except OSError:
            self._end(LinkCode.TLS_FILES)
            return False
        properties = None
        if self.mqtt5:
            properties = _properties(PacketTypes.CONNECT)
            properties.MaximumPacketSize = MAX_BYTES + 1024
            properties.SessionExpiryInterval = 0
        try:
            self._client.connect(
                settings.host,
                settings.port,
                settings.times.keepalive,
                clean_start=True if self.mqtt5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=properties,
            )
        except (OSError, ValueError) as err:
            self._end(of_error(err))
            return False
        return True

    def _serve(self, closing: threading.Event) -> None:
        deadline = time.monotonic() + self._settings.times.connect
        while not self._over.is_set() and not closing.is_set():
            if not self.ready and time.monotonic() > deadline:
                self._end(LinkCode.TIMEOUT)
            else:
                self._turn(_POLL_S)

    def _turn(self, timeout_s: float) -> None:
        """One look at the socket: read, write, keep alive."""
        connection: Any = self._client.socket()
        if connection is None:
            self._end(LinkCode.LOST)
            return
        writing = [connection] if self._client.want_write() else []
        readable, _, _ = select.select([connection, self._wake_in], writing, [], timeout_s)
        if self._wake_in in readable:
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
        if connection in readable:
            self._client.loop_read()
            # TLS may hold decrypted bytes that select does not see.
            while isinstance(connection, ssl.SSLSocket) and self._pending(connection):
                self._client.loop_read()
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()

    def _pending(self, connection: ssl.SSLSocket) -> bool:
        return self._client.socket() is connection and connection.pending() > 0

    def _leave(self, farewell: list[bytes]) -> None:
        """Say the last word and disconnect in order, so that no last will is sent."""
        self.ready = False
        end = time.monotonic() + self._settings.times.farewell
        for word in farewell:
            info = self._client.publish(self._settings.topics.state, word, qos=1, retain=True)
            while not info.is_published() and not self._over.is_set() and time.monotonic() < end:
                self._turn(0.1)
        self._client.disconnect()
        while self._client.want_write() and not self._over.is_set() and time.monotonic() < end:
            self._turn(0.1)

    def _end(self, code: LinkCode) -> None:
        self.ready = False
        if not self._over.is_set():
            self.code = code
            self._over.set()

    def _shut(self) -> None:
        self.ready = False
        with contextlib.suppress(OSError):
            connection: Any = self._client.socket()
            if connection is not None:
                connection.close()
        self._told.put(Ended(self.number, self.code))

    def release(self) -> None:
        """Give the sockets back; after `run` and by the user's thread only."""
        self._wake_in.close()
        self._wake_out.close()

    def _on_connect(
        self,
        client: paho.Client,
        _data: Any,
        _flags: Any,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.answered = True
        if reason.is_failure:
            self._end(of_connection(reason.value, LinkCode.REFUSED))
            return
        if self._settings.receipts:
            client.subscribe(self._settings.topics.receipts, qos=1)
        self.window = min(self.window, getattr(properties, "ReceiveMaximum", self.window))
        self.ready = True
        self._told.put(Connected())

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        self._end(of_connection(reason.value, LinkCode.LOST) if told else LinkCode.LOST)

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _props: Any
    ) -> None:
        code = of_publish(reason.value) if reason.is_failure else LinkCode.NONE
        self._told.put(Answer(self.number, mid, code))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        ids = parse_receipt(bytes(message.payload))
        if ids and message.topic == self._settings.topics.receipts:
            self._told.put(Receipt(ids))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.code = LinkCode.RECEIPTS


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]
