"""The city's side of a request: send a signed one to a device by MQTT, and wait for the answer.

It makes and signs nothing (`commands.command_payload`, `trust.envelope`) and runs no service. The
device's own side is `desk`.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.mqtt_reasons import of_connection, of_error, of_publish
from alpr_edge.delivery.mqtt_settings import Credentials, TlsFiles
from alpr_edge.delivery.port import Topics
from alpr_edge.errors import PublishError

_MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Broker:
    """Which broker, and who we are there.

    Attributes:
        mqtt5: false speaks 3.1.1.
    """

    host: str
    port: int
    prefix: str = "alpr-edge"
    credentials: Credentials | None = None
    tls: TlsFiles | None = None
    mqtt5: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """A signed request on its way.

    Attributes:
        number: the request's own; the answer repeats it.
        expires_in_s: the broker need not keep it for a device that is away any longer (MQTT 5).
    """

    device: str
    number: int
    data: bytes
    expires_in_s: int = 600


def ask(broker: Broker, question: Question, wait_s: float) -> dict[str, Any]:
    """Send it and wait for the device's answer.

    Args:
        wait_s: from the start of the connection to the answer.

    Raises:
        PublishError: the broker cannot be reached or refuses (`delivery.link.*`,
            `delivery.publish.*`); nothing came in time (`delivery.command.no_answer`).
        ValueError: the device's name is none.
    """
    return _Talk(broker, question).answer(wait_s)


class _Talk:
    """One connection, one question."""

    def __init__(self, broker: Broker, question: Question) -> None:
        self._broker, self._question = broker, question
        self._topics = Topics(question.device, broker.prefix)
        self._correlation = secrets.token_bytes(8)
        # The first thing heard is the answer: whatever comes after it is dropped.
        self._heard: Queue[dict[str, Any] | LinkCode] = Queue(maxsize=1)
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"alpr-edge-city-{secrets.token_hex(6)}",
            protocol=MQTTProtocolVersion.MQTTv5 if broker.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if broker.credentials is not None:
            client.username_pw_set(broker.credentials.username, broker.credentials.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    def answer(self, wait_s: float) -> dict[str, Any]:
        """The device's answer."""
        client, end = self._client, time.monotonic() + wait_s
        client.connect_timeout = max(0.1, wait_s)
        try:
            if self._broker.tls is not None:
                client.tls_set_context(self._broker.tls.context())
        except OSError as err:
            raise _trouble(LinkCode.TLS_FILES) from err
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=30)
        except (OSError, ValueError) as err:
            raise _trouble(of_error(err)) from err
        client.loop_start()
        try:
            heard = self._heard.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            raise PublishError(
                f"{self._question.device} did not answer within {wait_s:g} s",
                code="delivery.command.no_answer",
                hint="it is away, knows another city key or id, or takes no commands; look at its"
                " health, then ask anew",
            ) from None
        finally:
            client.disconnect()
            client.loop_stop()
        if isinstance(heard, LinkCode):
            raise _trouble(heard)
        return heard

    def _hear(self, heard: dict[str, Any] | LinkCode) -> None:
        with contextlib.suppress(Full):
            self._heard.put_nowait(heard)

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            self._hear(of_connection(reason.value, LinkCode.REFUSED))
        else:
            client.subscribe(self._topics.responses, 1)

    def _on_subscribe(
        self, client: paho.Client, _data: Any, _mid: int, reasons: Sequence[ReasonCode], _p: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._hear(LinkCode.NOT_AUTHORISED)
            return
        properties = None
        if self._broker.mqtt5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic = self._topics.responses
            properties.CorrelationData = self._correlation
            properties.MessageExpiryInterval = max(1, self._question.expires_in_s)
        sent = client.publish(
            self._topics.requests, self._question.data, qos=1, properties=properties
        )
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._hear(LinkCode.LOST)

    def _on_publish(
        self, _client: paho.Client, _data: Any, _mid: int, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            self._hear(of_publish(reason.value))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.retain or len(message.payload) > _MAX_ANSWER:
            return
        try:
            document = json.loads(message.payload)
        except (ValueError, RecursionError):
            return
        if not isinstance(document, dict) or document.get("device") != self._question.device:
            return
        ours = getattr(message.properties, "CorrelationData", None) == self._correlation
        if ours or document.get("number") == self._question.number:
            self._hear(document)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        self._hear(of_connection(reason.value, LinkCode.LOST) if told else LinkCode.LOST)


def _trouble(code: LinkCode) -> PublishError:
    return PublishError("the broker could not be asked", code=str(code), hint=code.hint)
