"""One connection to an MQTT broker, from CONNECT to its end, on paho-mqtt 2.

A session is used once. That keeps paho from queueing and resending on its own: whatever had no
answer when the connection ended is the outbox's again. It does not reconnect (`mqtt`).

Rules:
- paho is run by our own loop over its socket, so no thread of paho's exists and an exception from
  a hostile packet ends the session, not the service.
- Callbacks only put things into the queue; they take no lock (paho calls them holding its own).
- The loop has one runner at a time. While the user's thread asks for events it runs the loop itself
  (`attend`), without handing every packet to another thread; when it is kept elsewhere, by a slow
  disk for instance, the session's own thread takes over within a second.

Source: MQTT 5.0 (OASIS), sections 3.1.2.11 (connect properties), 3.2.2.2 and 3.4.2.1 (reasons).
"""

from __future__ import annotations

import contextlib
import hashlib
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.health import offline
from alpr_edge.delivery.mqtt_properties import publish_properties
from alpr_edge.delivery.mqtt_reasons import of_connection, of_error, of_publish
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.port import Connected, Message, Receipt, Request
from alpr_edge.delivery.receipts import MAX_BYTES, parse_receipt

_POLL_S = 1.0
_ATTENDED_S = 1.0
"""The user's thread is believed to come back for so long after it last came."""
_MOST_EXPIRY_S = 0xFFFF_FFFF
_RECEIVE_MAXIMUM = 16
"""Receipts and requests that a broker may send before the device has answered."""
_ALIASES = 4
"""Topics that get a number: a device publishes reads on one, or two with ONVIF."""
_MOST_CORRELATION = 1024


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


Told = Connected | Receipt | Request | Answer | Ended | None


class Session:
    """See the module's docstring. `run` belongs to the link's thread, the rest to its user's.

    Attributes:
        number: which attempt this is.
        ready: the broker has accepted, messages may be published.
        window: how many may be without an answer.
        code: why it ended or what is wrong with it.
        address: host and port.
        certificate: SHA-256 in hex of the broker's; empty without TLS.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        number: int,
        mqtt5: bool,
        told: SimpleQueue[Told],
        address: tuple[str, int] | None = None,
    ) -> None:
        self.number = number
        self.address = address or (settings.host, settings.port)
        self.certificate = ""
        self._aliases: dict[str, int] = {}
        self._most_aliases = 0
        self._stamp = settings.tls.stamp() if settings.tls else ()
        self.mqtt5 = mqtt5
        self.ready = False
        self.window = settings.window
        self.code = LinkCode.NONE
        self.answered = False
        self._settings = settings
        self._told = told
        self._over = threading.Event()
        self._turning = threading.Lock()
        self._attended_s = 0.0
        self._hurry = threading.Event()
        self._look_at_s = 0.0
        self._woken = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._client = self._make_client()

    def run(self, closing: threading.Event, farewell: list[bytes]) -> LinkCode:
        """Connect and serve until the connection ends or `closing` is set; returns why."""
        try:
            if self._connect():
                self._serve(closing)
                if self.ready:
                    renewed = not closing.is_set()
                    self._leave([] if renewed else farewell)
                    self.code = LinkCode.RENEWED if renewed else LinkCode.NONE
        except Exception as err:  # noqa: BLE001 - outermost: a broker may send anything at all
            self._end(of_error(err) if isinstance(err, OSError) else LinkCode.GARBAGE)
        with self._turning:
            self._shut()
        return self.code

    def attend(self, timeout_s: float) -> bool:
        """Run the loop once in the user's thread, which waits up to `timeout_s` for the network.

        Returns:
            False where the session's own thread runs it, or it is over: wait for the queue then.
        """
        self._attended_s = time.monotonic()
        if not self._turning.acquire(blocking=False):
            # Whoever has it looks at its socket: it lets go, and leaves it to us from now on.
            self.wake()
            return False
        try:
            if not self.ready or self._over.is_set():
                return False
            self._turn(min(timeout_s, _POLL_S))
        except Exception as err:  # noqa: BLE001 - outermost: a broker may send anything at all
            self._end(of_error(err) if isinstance(err, OSError) else LinkCode.GARBAGE)
        finally:
            self._turning.release()
        return True

    def publish(self, message: Message) -> int | None:
        """Send at QoS 1, never retained; returns its number, or None when it was not taken."""
        topic, payload, properties = message.topic, message.payload, None
        if self.mqtt5:
            content_type = message.content_type
            user: tuple[tuple[str, str], ...] = ()
            if message.binary is not None:
                payload, content_type = message.binary.payload, message.binary.content_type
                user = message.binary.properties
            left_s = message.expires_in_s
            expiry = None if left_s is None else max(1, min(left_s, _MOST_EXPIRY_S))
            topic, alias = self._aliased(topic)
            properties = publish_properties(content_type, expiry, user, alias)
        # paho only packs what it is given.
        given = cast("Properties | None", properties)
        info = self._client.publish(topic, payload, qos=1, retain=False, properties=given)
        self._wake_runner()
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def tell(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes) -> bool:
        """Send what is no read, at QoS 1."""
        properties = None
        if self.mqtt5:
            properties = _properties(PacketTypes.PUBLISH)
            properties.ContentType = "application/json"
            if correlation:
                properties.CorrelationData = correlation
        try:
            info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        except ValueError:
            return False
        self._wake_runner()
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _aliased(self, topic: str) -> tuple[str, int]:
        """Topic and number to send, where the broker takes numbers: the topic goes once only."""
        known = self._aliases.get(topic)
        if known is not None:
            return "", known
        if len(self._aliases) >= self._most_aliases:
            return topic, 0
        self._aliases[topic] = len(self._aliases) + 1
        return topic, self._aliases[topic]

    def announce(self, state: bytes) -> bool:
        """Send health, retained. QoS 0, so that it takes no place in the window."""
        info = self._client.publish(self._settings.topics.state, state, qos=0, retain=True)
        self._wake_runner()
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def abort(self, code: LinkCode) -> None:
        """End it from outside, without farewell: the broker then sends the last will."""
        self._end(code)
        self.wake()

    def close_soon(self) -> None:
        """Let the session's thread notice at once that it is to close."""
        self._hurry.set()
        self.wake()

    def wake(self) -> None:
        """Let the loop look again now. One that was not heard yet is enough for many."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):
                self._wake_out.send(b"x")

    def _wake_runner(self) -> None:
        """After giving paho something: its runner, if there is one, waits for the socket."""
        if self._turning.locked():
            self.wake()

    def _make_client(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id or f"alpr-edge-{settings.topics.device_id}",
            clean_session=None if self.mqtt5 else not self._persistent,
            protocol=MQTTProtocolVersion.MQTTv5 if self.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(settings.window + 1)
        client.connect_timeout = settings.times.connect
        will = None
        if self.mqtt5:
            will = _properties(PacketTypes.WILLMESSAGE)
            will.WillDelayInterval = settings.times.will_delay
        client.will_set(
            settings.topics.state, offline("connection_lost"), qos=1, retain=True, properties=will
        )
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

    @property
    def _persistent(self) -> bool:
        """Whether the broker is to keep what it has for us while we are away."""
        wanted = self._settings.receipts or self._settings.requests
        return wanted and self._settings.times.session > 0

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
            times = self._settings.times
            # A session that ends at once would send the last will at once, too.
            properties.SessionExpiryInterval = (
                times.session if self._persistent else times.will_delay
            )
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        try:
            self._client.connect(
                *self.address,
                settings.times.keepalive,
                clean_start=not self._persistent
                if self.mqtt5
                else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=properties,
            )
            self._note_certificate()
        except (OSError, ValueError) as err:
            self._end(of_error(err))
            return False
        return True

    def _note_certificate(self) -> None:
        connection: Any = self._client.socket()
        if isinstance(connection, ssl.SSLSocket):
            der = connection.getpeercert(binary_form=True)
            self.certificate = hashlib.sha256(der).hexdigest() if der else ""

    def _renewed(self, now_s: float) -> bool:
        """Whether the certificate files were replaced; looked at now and then."""
        tls = self._settings.tls
        if tls is None or now_s < self._look_at_s:
            return False
        self._look_at_s = now_s + self._settings.times.certificates
        return tls.stamp() != self._stamp

    def _serve(self, closing: threading.Event) -> None:
        """Until it is over, closing, or to be left for one with new certificates."""
        deadline = time.monotonic() + self._settings.times.connect
        self._look_at_s = deadline
        while not self._over.is_set() and not closing.is_set():
            now_s = time.monotonic()
            if not self.ready and now_s > deadline:
                self._end(LinkCode.TIMEOUT)
            elif self.ready and self._renewed(now_s):
                return
            elif self.ready and now_s - self._attended_s < _ATTENDED_S:
                self._hurry.wait(_ATTENDED_S / 2)
            else:
                with self._turning:
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
            # Only then, and before paho's queue is looked at: nothing is overlooked.
            self._woken = False
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
        self.wake()
        with self._turning:
            self._say_farewell(farewell)

    def _say_farewell(self, farewell: list[bytes]) -> None:
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
            self._hurry.set()

    def _shut(self) -> None:
        self.ready = False
        with contextlib.suppress(OSError):
            connection: Any = self._client.socket()
            if connection is not None:
                connection.close()
        self._told.put(Ended(self.number, self.code))

    def release(self) -> None:
        """Give the sockets back; after `run`."""
        with self._turning:
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
        topics = self._settings.topics
        wanted = [(topics.receipts, 1)] if self._settings.receipts else []
        wanted += [(topics.requests, 1)] if self._settings.requests else []
        if wanted:
            client.subscribe(wanted)
        self.window = min(self.window, getattr(properties, "ReceiveMaximum", self.window))
        self._most_aliases = min(_ALIASES, getattr(properties, "TopicAliasMaximum", 0))
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
        topics = self._settings.topics
        if message.topic == topics.receipts:
            ids = parse_receipt(bytes(message.payload))
            if ids:
                self._told.put(Receipt(ids))
        elif message.topic == topics.requests and not message.retain:
            # A retained request would come with each connection: none is meant to.
            asked = message.properties
            answer_to = str(getattr(asked, "ResponseTopic", ""))
            correlation = bytes(getattr(asked, "CorrelationData", b""))
            if len(message.payload) <= MAX_BYTES and len(correlation) <= _MOST_CORRELATION:
                self._told.put(Request(bytes(message.payload), answer_to, correlation))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.code = LinkCode.RECEIPTS


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]
