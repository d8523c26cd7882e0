"""What a broker's reason codes and the network's errors mean, as `LinkCode`s. Pure.

Source: MQTT 5.0 (OASIS), sections 3.2.2.2, 3.4.2.1 and 3.14.2.1; paho gives the return codes of
3.1.1 as those of 5.
"""

from __future__ import annotations

import socket
import ssl

from alpr_edge.delivery.codes import LinkCode

_CONNECT_REASONS = {
    0x84: LinkCode.PROTOCOL,
    0x85: LinkCode.CLIENT_ID,
    0x86: LinkCode.CREDENTIALS,
    0x87: LinkCode.NOT_AUTHORISED,
    0x88: LinkCode.BUSY,
    0x89: LinkCode.BUSY,
    0x8A: LinkCode.NOT_AUTHORISED,
    0x8B: LinkCode.BUSY,
    0x8E: LinkCode.TAKEN_OVER,
}
_PUBLISH_REASONS = {0x87: LinkCode.PUBLISH_NOT_AUTHORISED, 0x97: LinkCode.PUBLISH_QUOTA}


_CERTIFICATE = {
    9: LinkCode.TLS_EXPIRED,
    10: LinkCode.TLS_EXPIRED,
    62: LinkCode.TLS_NAME,
    64: LinkCode.TLS_NAME,
}
"""Source: OpenSSL x509_vfy.h: not yet valid, expired, host name and IP address mismatch."""
_CLIENT_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
)
"""Source: RFC 8446, section 6.2: alerts that the broker sends about the device's certificate."""


def of_connection(reason: int, otherwise: LinkCode) -> LinkCode:
    """For the reason in a CONNACK or a DISCONNECT."""
    return _CONNECT_REASONS.get(reason, otherwise)


def of_publish(reason: int) -> LinkCode:
    """For the reason of a PUBACK that refuses."""
    return _PUBLISH_REASONS.get(reason, LinkCode.PUBLISH_REFUSED)


def of_error(err: Exception) -> LinkCode:
    """The code for what the network or TLS raised."""
    match err:
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE.get(err.verify_code, LinkCode.TLS_CERTIFICATE)
        case ssl.SSLError() if any(word in str(err.reason) for word in _CLIENT_ALERTS):
            return LinkCode.TLS_REVOKED
        case ssl.SSLError():
            return LinkCode.TLS
        case socket.gaierror() | UnicodeError():
            return LinkCode.NAME
        case ConnectionResetError() | BrokenPipeError():
            return LinkCode.LOST
        case OSError():
            return LinkCode.UNREACHABLE
    return LinkCode.NAME
