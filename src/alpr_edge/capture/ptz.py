"""Port of pan-tilt heads, its shipped fake, and what ONVIF's GetStatus says, as bytes. Pure.

ONVIF is the standard that network cameras with heads speak: SOAP 1.2 over HTTP, PTZ service
(Source: ONVIF PTZ Service Specification, `GetStatus`, ptz.wsdl; WSS UsernameToken Profile 1.0 for
the password digest). `onvif_ptz` opens the line and asks.

Rules: a head that moves, does not know, reports an error, or speaks of another space of coordinates
has no position. Positions are clockwise from the head's zero.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final, Protocol
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from alpr_edge.errors import CaptureError
from alpr_edge.types import HeadPosition

MOST_BYTES: Final = 64 * 1024
"""Of an answer; GetStatus has about two kilobytes."""
SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
PTZ: Final = "http://www.onvif.org/ver20/ptz/wsdl"
SCHEMA: Final = "http://www.onvif.org/ver10/schema"
ACTION: Final = f"{PTZ}/GetStatus"
GENERIC: Final = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/PositionGenericSpace"
DEGREES: Final = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/SphericalPositionSpaceDegrees"
_WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_DIGEST: Final = f"{_WSSE}-username-token-profile-1.0#PasswordDigest"
_BASE64: Final = f"{_WSSE}-soap-message-security-1.0#Base64Binary"


class HeadSource(Protocol):
    """Port: a head that may come and go."""

    def position(self, now_ns: int) -> HeadPosition | None:
        """Where it points at a monotonic time; None where that is not known.

        Its error holds all that it may have turned since it was asked.
        """
        ...

    def close(self) -> None:
        """Let the line go. May be called twice."""
        ...


@dataclass(slots=True)
class SetHead:
    """The shipped fake: points where it is told."""

    pointing: HeadPosition | None = None

    def position(self, now_ns: int) -> HeadPosition | None:
        """See `HeadSource`."""
        return self.pointing

    def close(self) -> None:
        """See `HeadSource`."""


@dataclass(frozen=True, slots=True)
class Login:
    """Name and password, with what makes one question unlike the last."""

    username: str
    password: str
    nonce: bytes
    created: datetime


def question(profile: str, login: Login | None = None) -> bytes:
    """GetStatus for a media profile."""
    head = "" if login is None else f"<s:Header>{_token(login)}</s:Header>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}">{head}<s:Body>'
        f'<GetStatus xmlns="{PTZ}"><ProfileToken>{escape(profile)}</ProfileToken></GetStatus>'
        "</s:Body></s:Envelope>"
    ).encode()


def answer(data: bytes, pan_range_deg: tuple[float, float]) -> tuple[float, float] | None:
    """Pan and tilt in degrees; None where the head moves or does not know.

    Args:
        pan_range_deg: what -1 and 1 mean in the generic space; tilt is -90 to 90 there.

    Raises:
        CaptureError: `capture.ptz.answer`: it is no answer to GetStatus.
    """
    if len(data) > MOST_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise _no_answer("too long, or with a document type")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as err:
        raise _no_answer("not XML") from err
    fault = root.find(f"{{{SOAP}}}Body/{{{SOAP}}}Fault")
    if fault is not None:
        raise _no_answer("the head refuses: check profile and password")
    path = f"{{{SOAP}}}Body/{{{PTZ}}}GetStatusResponse/{{{PTZ}}}PTZStatus"
    status = root.find(path)
    if status is None:
        raise _no_answer("no GetStatusResponse")
    if (status.findtext(f"{{{SCHEMA}}}Error") or "").strip().lower() not in ("", "no error", "ok"):
        return None
    moving = status.find(f"{{{SCHEMA}}}MoveStatus/{{{SCHEMA}}}PanTilt")
    if moving is not None and (moving.text or "").strip() != "IDLE":
        return None
    place = status.find(f"{{{SCHEMA}}}Position/{{{SCHEMA}}}PanTilt")
    if place is None:
        return None
    try:
        x, y = float(place.get("x", "nan")), float(place.get("y", "nan"))
    except ValueError:
        return None
    space = place.get("space", GENERIC)
    if space == GENERIC and abs(x) <= 1.0 and abs(y) <= 1.0:
        low, high = pan_range_deg
        return low + (x + 1) / 2 * (high - low), 90.0 * y
    if space == DEGREES and isfinite(x) and isfinite(y):
        return x, y
    return None


def _token(login: Login) -> str:
    created = login.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    # SHA-1 is what the profile prescribes.
    digest = hashlib.sha1(
        login.nonce + created.encode() + login.password.encode(), usedforsecurity=False
    ).digest()
    secext, utility = (f"{_WSSE}-wssecurity-{part}-1.0.xsd" for part in ("secext", "utility"))
    return (
        f'<Security xmlns="{secext}" s:mustUnderstand="1"><UsernameToken>'
        f"<Username>{escape(login.username)}</Username>"
        f'<Password Type="{_DIGEST}">{base64.b64encode(digest).decode()}</Password>'
        f'<Nonce EncodingType="{_BASE64}">{base64.b64encode(login.nonce).decode()}</Nonce>'
        f'<Created xmlns="{utility}">{created}</Created></UsernameToken></Security>'
    )


def _no_answer(why: str) -> CaptureError:
    return CaptureError(
        f"the pan-tilt head gives no position: {why}",
        code="capture.ptz.answer",
        hint="check site.head: url, profile, user name and password",
    )
