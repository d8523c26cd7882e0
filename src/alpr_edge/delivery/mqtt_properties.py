"""The properties of an MQTT 5 PUBLISH as bytes. Pure.

paho-mqtt builds them from a general class; for six properties that took 1.1 ms of the 1.4 ms that a
publish cost (profiled 2026-11, paho 2.2). This writes the same bytes, which the tests compare.

Source: MQTT 5.0 (OASIS), sections 2.2.2 (properties), 1.5.4 (strings), 1.5.5 (variable integers).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

_EXPIRY, _CONTENT_TYPE, _TOPIC_ALIAS, _USER = b"\x02", b"\x03", b"\x23", b"\x26"


@dataclass(frozen=True, slots=True)
class PackedProperties:
    """Stands in for paho's `Properties` where it is only packed."""

    packed: bytes

    def pack(self) -> bytes:
        """The bytes, with their length before them."""
        return self.packed


def publish_properties(
    content_type: str,
    expires_in_s: int | None,
    user: Sequence[tuple[str, str]] = (),
    topic_alias: int = 0,
) -> PackedProperties:
    """Properties of one PUBLISH.

    Raises:
        ValueError: a text is longer than 65,535 bytes.
    """
    parts = []
    if expires_in_s is not None:
        parts.append(_EXPIRY + expires_in_s.to_bytes(4, "big"))
    if content_type:
        parts.append(_CONTENT_TYPE + _text(content_type))
    if topic_alias:
        parts.append(_TOPIC_ALIAS + topic_alias.to_bytes(2, "big"))
    parts += [_pair(name, value) for name, value in user]
    body = b"".join(parts)
    return PackedProperties(_variable(len(body)) + body)


@functools.lru_cache(maxsize=128)
def _pair(name: str, value: str) -> bytes:
    # All but an event's id and time are the same in each message.
    return _USER + _text(name) + _text(value)


@functools.lru_cache(maxsize=128)
def _text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 0xFFFF:
        raise ValueError("an MQTT string has at most 65,535 bytes")
    return len(raw).to_bytes(2, "big") + raw


def _variable(number: int) -> bytes:
    digits = bytearray()
    while True:
        number, low = divmod(number, 128)
        digits.append(low | (0x80 if number else 0))
        if not number:
            return bytes(digits)
