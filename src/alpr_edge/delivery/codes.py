"""Why a link to a broker is down or a publish was refused: stable codes and what to do.

They appear in health and in logs as they stand here; a code never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum


class LinkCode(StrEnum):
    """Reasons. `NONE` is the absence of trouble."""

    NONE = ""
    UNREACHABLE = "delivery.link.unreachable"
    NAME = "delivery.link.name"
    TIMEOUT = "delivery.link.timeout"
    TLS = "delivery.link.tls"
    TLS_CERTIFICATE = "delivery.link.tls_certificate"
    TLS_FILES = "delivery.link.tls_files"
    CREDENTIALS = "delivery.link.credentials"
    NOT_AUTHORISED = "delivery.link.not_authorised"
    PROTOCOL = "delivery.link.protocol"
    CLIENT_ID = "delivery.link.client_id"
    BUSY = "delivery.link.busy"
    TAKEN_OVER = "delivery.link.taken_over"
    REFUSED = "delivery.link.refused"
    LOST = "delivery.link.lost"
    STALLED = "delivery.link.stalled"
    GARBAGE = "delivery.link.garbage"
    RECEIPTS = "delivery.link.receipts_refused"
    RENEWED = "delivery.link.certificate_renewed"
    TLS_NAME = "delivery.link.tls_name"
    TLS_EXPIRED = "delivery.link.tls_expired"
    TLS_REVOKED = "delivery.link.tls_client_refused"
    PUBLISH_REFUSED = "delivery.publish.refused"
    PUBLISH_NOT_AUTHORISED = "delivery.publish.not_authorised"
    PUBLISH_QUOTA = "delivery.publish.quota"

    @property
    def hint(self) -> str:
        """What the technician can do about it."""
        return _HINTS.get(self, "")


_HINTS = {
    LinkCode.UNREACHABLE: "check the cable, the broker's address and port, and that it runs",
    LinkCode.NAME: "check the broker's name and the device's DNS",
    LinkCode.TIMEOUT: "something listens there but does not speak MQTT; check the port and TLS",
    LinkCode.TLS: "broker and device do not agree on TLS; check the port and client certificate",
    LinkCode.TLS_CERTIFICATE: "check the CA file, the broker's host name and the device's clock",
    LinkCode.TLS_NAME: "the broker's certificate is for another host name; check mqtt.host",
    LinkCode.TLS_EXPIRED: "the broker's certificate is not valid now; check it and the clock here",
    LinkCode.TLS_REVOKED: "the broker refuses this device's certificate: unknown, expired, revoked",
    LinkCode.TLS_FILES: "check the paths and modes of the CA, certificate and key files",
    LinkCode.CREDENTIALS: "check the user name and password in the environment",
    LinkCode.NOT_AUTHORISED: "the broker knows the device but does not admit it; check its ACL",
    LinkCode.PROTOCOL: "the broker speaks neither MQTT 5 nor 3.1.1",
    LinkCode.CLIENT_ID: "the broker does not accept this client id; check device_id",
    LinkCode.BUSY: "the broker is busy or shutting down; the device tries again",
    LinkCode.TAKEN_OVER: "another device uses the same device_id",
    LinkCode.REFUSED: "see the broker's log",
    LinkCode.LOST: "the connection broke; the device tries again",
    LinkCode.STALLED: "the broker stopped acknowledging; the device connects anew",
    LinkCode.GARBAGE: "the broker sends what is not MQTT; check the port and proxies",
    LinkCode.RECEIPTS: "the broker does not let it read receipts or requests; check its ACL",
    LinkCode.RENEWED: "the certificate files changed; the device connects anew with them",
    LinkCode.PUBLISH_REFUSED: "see the broker's log; the event is kept and sent again",
    LinkCode.PUBLISH_NOT_AUTHORISED: "let the device write to its reads topic in the broker's ACL",
    LinkCode.PUBLISH_QUOTA: "the broker's quota is used up; the event is kept and sent again",
}
