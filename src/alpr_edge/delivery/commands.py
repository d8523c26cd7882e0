"""Commands from the city over MQTT: what a signed request may ask, and whether it counts. Pure.

    {"device": "cam-0001", "number": 1764000000000, "command": "add-mask",
     "not_before": "2026-11-24T08:00:00Z", "not_after": "2026-11-24T08:10:00Z",
     "arguments": {"record": "…a signed mask record, as text…"}}

or, to add one region to whatever is in force,

     "arguments": {"polygon": [[0.1, 0.2], …], "name": "clinic", "reason": "order 4711"}}

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

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from alpr_edge.errors import TrustError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import examine
from alpr_edge.trust.keys import PublicKey

MAX_BYTES = 65_536
"""As much as the link takes; a mask record of 256 points takes twenty kilobytes."""
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
        note: the reason for stopping.
        record: of `ADD_MASK`: a mask record in its own envelope, not looked at yet.
        polygon: of `ADD_MASK` without a record: this request itself, whose polygon is not looked at
            yet either.
    """

    number: int
    command: Command
    not_before: datetime
    not_after: datetime
    digest: str
    note: str = ""
    record: bytes = b""
    polygon: bytes = b""


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
        return _asked(payload, number, signed.digest, data)
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


def _asked(payload: dict[str, Any], number: int, digest: str, data: bytes) -> Asked:
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
    known = {Command.ADD_MASK: {"record"}, Command.STOP_READING: {"reason"}}
    if command is Command.ADD_MASK and "polygon" in arguments:
        if set(arguments) - {"polygon", "name", "reason"}:
            raise ValueError("unknown arguments")
        return Asked(number, command, begin, end, digest, polygon=data)
    if set(arguments) != known.get(command, set()):
        raise ValueError("unknown or missing arguments")
    record = _record(arguments["record"]) if command is Command.ADD_MASK else b""
    note = _text(arguments["reason"]) if command is Command.STOP_READING else ""
    return Asked(number, command, begin, end, digest, note, record)


def _moment(text: object) -> datetime:
    if not isinstance(text, str) or len(text) > 40:
        raise TypeError("a time must be text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment.astimezone(UTC)


def _record(value: object) -> bytes:
    if not isinstance(value, str) or not value or not value.isascii():
        raise ValueError("a record is an envelope as text")
    return value.encode("ascii")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= 128:
        raise ValueError("must be printable text of 1 to 128 characters")
    return value
