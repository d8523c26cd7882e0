"""Requests and answers as packets. Pure.

A packet begins with the eight bytes of an SMP header (version 2): operation, flags, length of the
body, group, number, command. Group 64 is the first that SMP leaves to applications. The body is

    two bytes: length of the JSON · JSON object (UTF-8) · the rest: bytes of a file

An answer has the number and command of its request, and operation + 1. An error is an answer with
`{"error": {"code", "message", "hint"}}`, the codes of docs/errors.md.

Rules: nothing here raises for what came over the wire: what is no packet is `None`. JSON is taken
without repeated keys, NaN or deep nesting, so that both ends read the same.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from math import isfinite
from typing import Any, Final, NoReturn

from alpr_edge.console.channel.frames import MAX_PACKET

GROUP: Final = 64
_HEADER: Final = struct.Struct(">BBHHBB")
_VERSION: Final = 1 << 3
MAX_BLOB: Final = MAX_PACKET - 1024
"""Bytes of a file that fit beside any JSON that goes with them."""
MAX_JSON: Final = MAX_PACKET - _HEADER.size - 2


class Op(IntEnum):
    """SMP's operations."""

    READ = 0
    READ_ANSWER = 1
    WRITE = 2
    WRITE_ANSWER = 3

    @property
    def is_answer(self) -> bool:
        """Whether it answers."""
        return bool(self & 1)


class Command(IntEnum):
    """What a packet is about."""

    HELLO = 0
    LOGIN = 1
    LOGOUT = 2
    BYE = 3
    LIST = 4
    OPEN = 5
    READ = 6
    CREATE = 7
    WRITE = 8
    FINISH = 9
    CALL = 10


@dataclass(frozen=True, slots=True)
class Packet:
    """One request or answer.

    Attributes:
        number: 0..255; an answer has that of its request.
        body: the JSON object.
        blob: bytes of a file.
    """

    op: Op
    number: int
    command: Command
    body: dict[str, Any] = field(default_factory=dict)
    blob: bytes = b""


def pack(packet: Packet) -> bytes:
    """The packet's bytes. `unpack(pack(p)) == p`.

    Raises:
        ValueError: it is too large, or its body is no JSON.
    """
    text = json.dumps(packet.body, separators=(",", ":"), allow_nan=False).encode("ascii")
    body = len(text).to_bytes(2, "big") if len(text) <= MAX_JSON else b""
    if not body or len(text) + 2 + len(packet.blob) + _HEADER.size > MAX_PACKET:
        raise ValueError(f"{len(text)} bytes of JSON and {len(packet.blob)} of a file do not fit")
    body += text + packet.blob
    head = _HEADER.pack(
        packet.op | _VERSION, 0, len(body), GROUP, packet.number & 0xFF, packet.command
    )
    return head + body


def unpack(data: bytes) -> Packet | None:
    """The packet in some bytes; None: there is none of ours."""
    if len(data) < _HEADER.size + 2:
        return None
    op, flags, length, group, number, command = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if op >> 3 != _VERSION >> 3 or flags or group != GROUP or length != len(body):
        return None
    size = int.from_bytes(body[:2], "big")
    if size > len(body) - 2:
        return None
    try:
        value = json.loads(
            body[2 : 2 + size],
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
        )
        known = Op(op & 7), Command(command)
        # JSON can escape what is no text (a lone surrogate).
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return Packet(known[0], number, known[1], value, body[2 + size :])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
