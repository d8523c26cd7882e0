"""How to reach an MQTT broker: address, credentials, TLS. Values only; nothing is opened here."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography import x509

from alpr_edge.delivery.port import WINDOW, Topics


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password; `repr` shows neither."""

    username: str = field(repr=False)
    password: str | None = field(repr=False, default=None)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Credentials | None:
        """From `ALPR_EDGE_MQTT_USERNAME` and `ALPR_EDGE_MQTT_PASSWORD`; none without the first."""
        username = environment.get("ALPR_EDGE_MQTT_USERNAME")
        if not username:
            return None
        return cls(username, environment.get("ALPR_EDGE_MQTT_PASSWORD"))


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho 2.2 leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """As `ssl.SSLSocket.do_handshake`."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files, read anew for each connection, so that certificates may be replaced meanwhile.

    Attributes:
        ca: trusted authorities; the system's own are not used.
        certificate, key: the device's, for a broker that asks for them.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Changes when one of the files was replaced; the same while they cannot be read."""
        facts = []
        for path in (self.ca, self.certificate, self.key):
            try:
                found = path.stat() if path is not None else None
            except OSError:
                found = None
            if found is not None:
                facts.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(facts)

    def days_left(self, wall_s: float) -> float | None:
        """Days until the device's certificate ends; None when there is none to be read."""
        if self.certificate is None:
            return None
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError):
            return None
        return round((certificate.not_valid_after_utc.timestamp() - wall_s) / 86_400, 1)

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer with certificate and host name checked.

        Raises:
            OSError: a file is missing or is not what it should be (`ssl.SSLError` is one).
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _ClosingSocket
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class MqttTimes:
    """Seconds.

    Attributes:
        keepalive: pause after which the broker is asked whether it lives; a silent one is left
            after twice as long.
        connect: for the network, TLS and the broker's answer, each.
        acknowledge: a message without an answer for so long means a new connection.
        first_retry, most_retry: bounds of the pause between attempts.
        farewell: how long `close` waits for the broker to take the last word.
        session: how long the broker keeps receipts and requests for a device that is away.
        will_delay: how long it waits with the last will (MQTT 5), for a link that flickers.
        certificates: how often to look whether the certificate files were replaced.
    """

    keepalive: int = 30
    connect: float = 10.0
    acknowledge: float = 30.0
    first_retry: float = 0.5
    most_retry: float = 60.0
    farewell: float = 2.0
    session: int = 86_400
    will_delay: int = 10
    certificates: float = 60.0


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """One broker, and others for when it is away.

    Attributes:
        client_id: without it `alpr-edge-` and the device's id.
        others: `(host, port)` in the order in which they are tried; the first stays preferred.
        requests: subscribe to the city's requests.
        receipts: subscribe to the application's receipts (`settle_on = "receipt"`).
        window: most messages without an answer; a broker's smaller Receive Maximum wins.
        protocol: `auto` begins with MQTT 5 and falls back to 3.1.1.
    """

    host: str
    port: int
    topics: Topics
    client_id: str | None = None
    credentials: Credentials | None = None
    tls: TlsFiles | None = None
    receipts: bool = False
    requests: bool = False
    others: tuple[tuple[str, int], ...] = ()
    window: int = WINDOW
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    times: MqttTimes = field(default_factory=MqttTimes)
