"""Edge: reaches the broker now, step by step, and says how far it came.

Name, connection, certificate, login, each with its time. It connects under a name of its own, so
that the service's connection stays; it publishes and subscribes nothing.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.console.device import Document
from alpr_edge.delivery.mqtt_settings import MqttSettings

_STEP_S: Final = 10.0


def reach_broker(settings: MqttSettings, *, log_in: bool = True) -> Document:
    """What came of every step; `reached` is whether the last one was good, None: it was not tried.

    Args:
        log_in: False where no configuration in force names this broker: nothing is sent to it.
    """
    steps: list[Document] = []
    began = time.monotonic()

    def note(step: str, good: bool | None, detail: str) -> None:
        nonlocal began
        now = time.monotonic()
        taken = round(1000 * (now - began))
        steps.append({"step": step, "good": good, "detail": detail[:200], "ms": taken})
        began = now

    document = {"broker": f"{settings.host}:{settings.port}", "steps": steps, "reached": False}
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as err:
        note("name", False, str(err))
        return document
    addresses = sorted({str(one[4][0]) for one in found})
    note("name", True, ", ".join(addresses[:4]))
    try:
        with socket.create_connection((settings.host, settings.port), _STEP_S) as plain:
            note("connection", True, f"to {plain.getpeername()[0]}")
            if settings.tls is not None:
                _shake_hands(settings, plain, note)
    except ssl.SSLError as err:
        note("certificate", False, str(err.reason or err))
        return document
    except OSError as err:
        note("connection", False, err.strerror or str(err))
        return document
    if not log_in:
        note("login", None, "not tried: the password goes to the broker in force alone")
        document["reached"] = None
        return document
    good, detail = _log_in(settings)
    note("login", good, detail)
    document["reached"] = good
    return document


def _shake_hands(settings: MqttSettings, plain: socket.socket, note: Any) -> None:
    assert settings.tls is not None
    plain.settimeout(_STEP_S)
    with settings.tls.context().wrap_socket(plain, server_hostname=settings.host) as secured:
        data = secured.getpeercert(binary_form=True) or b""
        digest = hashlib.sha256(data).hexdigest()
        note("certificate", True, f"{secured.version()}, sha256 {digest[:32]}…")


def _log_in(settings: MqttSettings) -> tuple[bool, str]:
    name = f"{settings.client_id or settings.topics.device_id}-console"[:64]
    protocol = paho.MQTTv311 if settings.protocol == "3.1.1" else paho.MQTTv5
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
    answered = threading.Event()
    said: list[Any] = []

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        said.append(reason)
        answered.set()

    client.on_connect = on_connect
    if settings.credentials is not None:
        client.username_pw_set(settings.credentials.username, settings.credentials.password)
    try:
        if settings.tls is not None:
            client.tls_set_context(settings.tls.context())
        client.connect(settings.host, settings.port, keepalive=30)
        client.loop_start()
        if not answered.wait(_STEP_S):
            return False, "no answer"
        return not said[0].is_failure, f"{said[0]}, as {name}"
    except OSError as err:
        return False, err.strerror or str(err)
    finally:
        client.disconnect()
        client.loop_stop()
