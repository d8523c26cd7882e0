"""Commands from the city over MQTT: what a signed request may ask, and whether it counts. Pure.

    {"device": "cam-0001", "number": 1764000000000, "command": "add-mask",
     "not_before": "2026-11-24T08:00:00Z", "not_after": "2026-11-24T08:10:00Z",
     "arguments": {"name": "gate", "polygon": [[0.1, 0.2], …]}}

in an envelope (`trust.envelope`, kind `command`) that a key of the city signed.

Rules:
- Five commands exist. None narrows a mask, runs a program, or gives a picture: there is no code
  that could. A mask can be added, reading can be stopped; both are undone at the device only.
- A request counts once: its number must be larger than that of any request that counted before.
  The number is stored before the command is carried out.
- It counts between `not_before` and `not_after`, at most a day apart, by a clock that is believed.
- What no city key signed, or what is for another device, gets no answer at all.

It carries nothing out (`desk`) and reads no clock and no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from alpr_edge.errors import TrustError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import examine
from alpr_edge.trust.keys import PublicKey

MAX_BYTES = 16_384
"""A polygon of 256 points takes ten kilobytes."""
MAX_POINTS = 256
LONGEST = timedelta(days=1)
MAX_NUMBER = 2**53 - 1
"""The largest integer that every JSON parser keeps exactly."""
_FIELDS = {"device", "number", "command", "not_before", "not_after", "arguments"}


class Command(StrEnum):
    """What may be asked. A value is never reused for something else."""

    STATUS = "status"
    SELF_TEST = "self-test"
    CHECKPOINT = "checkpoint"
    ADD_MASK = "add-mask"
    STOP_READING = "stop-reading"


class Unheard(Exception):
    """A request that gets no answer: not the city's, or not for this device.

    Attributes:
        code: stable, for health.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RefusedCommand(Exception):
    """A request of the city that does not count now.

    Attributes:
        code: stable, goes back with the answer.
        number: of the request, 0 when it has none.
    """

    def __init__(self, code: str, number: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.number = number


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the city that is for this device and well formed.

    Attributes:
        polygon: of `ADD_MASK`, in parts of the frame, each point's x and y within 0 and 1.
        note: a name for the mask, or the reason for stopping.
    """

    number: int
    command: Command
    not_before: datetime
    not_after: datetime
    digest: str
    note: str = ""
    polygon: tuple[tuple[float, float], ...] = ()


def hear(data: bytes, device_id: str, city: Sequence[PublicKey]) -> Asked:
    """The request in a message.

    Raises:
        Unheard: it is not the city's, or not for this device: no answer.
        RefusedCommand: the city signed something that is no command.
    """
    if len(data) > MAX_BYTES:
        raise Unheard("delivery.command.too_large")
    try:
        signed = examine(data, DocumentType.COMMAND, city)
    except TrustError:
        raise Unheard("delivery.command.unsigned") from None
    payload = signed.payload
    if payload.get("device") != device_id:
        raise Unheard("delivery.command.other_device")
    number = payload.get("number")
    if type(number) is not int or not 0 < number <= MAX_NUMBER:
        raise RefusedCommand("delivery.command.malformed")
    try:
        return _asked(payload, number, signed.digest)
    except (TypeError, ValueError, OverflowError):
        raise RefusedCommand("delivery.command.malformed", number) from None


def judge(asked: Asked, *, last_number: int, now: datetime, clock_believed: bool) -> None:
    """Whether it counts now.

    Raises:
        RefusedCommand: replayed, too early, too late, or the clock here tells nothing.
    """
    if asked.number <= last_number:
        raise RefusedCommand("delivery.command.replayed", asked.number)
    # Stopping is never too dangerous to obey; everything else waits for a clock.
    if not clock_believed and asked.command is not Command.STOP_READING:
        raise RefusedCommand("delivery.command.clock", asked.number)
    if now < asked.not_before:
        raise RefusedCommand("delivery.command.too_early", asked.number)
    if now >= asked.not_after:
        raise RefusedCommand("delivery.command.too_late", asked.number)


def command_payload(
    device_id: str,
    command: Command,
    *,
    number: int,
    not_before: datetime,
    lasts: timedelta = timedelta(minutes=10),
    arguments: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the city signs with `trust.envelope.sign(DocumentType.COMMAND, …)`."""
    return {
        "device": device_id,
        "number": number,
        "command": command.value,
        "not_before": not_before.astimezone(UTC).isoformat(),
        "not_after": (not_before + lasts).astimezone(UTC).isoformat(),
        "arguments": arguments or {},
    }


def _asked(payload: dict[str, Any], number: int, digest: str) -> Asked:
    if set(payload) - _FIELDS:
        raise ValueError("unknown fields")
    command = Command(payload["command"]) if isinstance(payload.get("command"), str) else None
    if command is None:
        raise ValueError("no command")
    begin, end = _moment(payload.get("not_before")), _moment(payload.get("not_after"))
    if not timedelta(0) < end - begin <= LONGEST:
        raise ValueError("the time bounds are too far apart, or the wrong way round")
    arguments = payload.get("arguments", {})
    if not isinstance(arguments, dict):
        raise TypeError("arguments must be an object")
    known = {Command.ADD_MASK: {"name", "polygon"}, Command.STOP_READING: {"reason"}}
    if set(arguments) != known.get(command, set()):
        raise ValueError("unknown or missing arguments")
    polygon = _polygon(arguments["polygon"]) if command is Command.ADD_MASK else ()
    note = _text(arguments["name" if polygon else "reason"]) if arguments else ""
    return Asked(number, command, begin, end, digest, note, polygon)


def _moment(text: object) -> datetime:
    if not isinstance(text, str) or len(text) > 40:
        raise TypeError("a time must be text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment.astimezone(UTC)


def _polygon(points: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(points, list) or not 3 <= len(points) <= MAX_POINTS:
        raise ValueError("a polygon has 3 to 256 points")
    found = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise TypeError("a point has x and y")
        x, y = point
        for value in (x, y):
            if type(value) not in (int, float) or not (math.isfinite(value) and 0 <= value <= 1):
                raise ValueError("x and y lie within 0 and 1")
        found.append((float(x), float(y)))
    return tuple(found)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= 128:
        raise ValueError("must be printable text of 1 to 128 characters")
    return value
