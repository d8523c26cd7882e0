"""Protocol-buffer messages read by a table of what may be in them, in bounded memory and time.

`read_message` gives the fields of a message as a dictionary. It is stricter than protobuf's own
readers, so that no two readers can see different messages in the same bytes:

- a field that the table does not name, or of another wire type than the table says, is refused;
- a singular field that comes twice is refused (others take the last one, or merge both);
- varints must be in their shortest form and fit into 64 bits; groups are refused.

It copies no payload (byte fields are views of the input), goes no deeper than the table, and counts
every field against a budget. It knows nothing of ONNX (`onnx_file` has the tables) and does no I/O.

Source: Protocol Buffers, "Encoding" (wire types 0, 1, 2, 5; groups 3 and 4 are deprecated).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Fields = dict[str, Any]
"""Name → value; a repeated field is a list, also if it did not come; an absent one is missing."""

Kind = Literal["int", "fixed32", "text", "bytes", "ints", "message"]
_WIRE_TYPES: dict[str, int] = {
    "int": 0,
    "fixed32": 5,
    "text": 2,
    "bytes": 2,
    "ints": 0,
    "message": 2,
}
_LENGTH = 2
MAX_TEXT_BYTES = 65_536
"""Longer than any name, and than the list of regions that a model carries."""


class Malformed(Exception):
    """The bytes are not the message that the table describes; says where and why."""


class Forbidden(Malformed):
    """A well-formed message with a part that the table names as never allowed."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a field number means.

    Attributes:
        name: key in the result.
        kind: `int` signed 64-bit varint; `ints` the same repeated, packed or not; `fixed32` the
            four bytes as they are; `text` UTF-8; `bytes` a view; `message` by `table`.
        table: of the inner message.
        repeated: may come more than once.
    """

    name: str
    kind: Kind
    table: Table | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The fields that a message may have, by number; `never` names some that it may not have."""

    name: str
    fields: Mapping[int, Field]
    never: Mapping[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Budget:
    """How many fields, values of packed lists included, may still be read."""

    left: int

    def spend(self, count: int = 1) -> None:
        """Raises: Malformed: more than the budget."""
        self.left -= count
        if self.left < 0:
            raise Malformed("there are more fields than any model of ours has")


def read_message(data: memoryview, table: Table, budget: Budget) -> Fields:
    """The fields of one message.

    Raises:
        Malformed: truncated, not as the table says, or larger than the budget.
        Forbidden: holds what the table says is never allowed.
    """
    found: Fields = {f.name: [] for f in table.fields.values() if f.repeated or f.kind == "ints"}
    at = 0
    while at < len(data):
        budget.spend()
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        known = table.fields.get(number)
        if known is None:
            if number in table.never:
                raise Forbidden(f"{table.name} has {table.never[number]}")
            raise Malformed(f"{table.name} has field {number}, which is not known here")
        packed = known.kind == "ints" and wire == _LENGTH
        if wire != _WIRE_TYPES[known.kind] and not packed:
            raise Malformed(f"{table.name}.{known.name} is of wire type {wire}")
        value, at = _read_value(data, at, known, budget, packed=packed)
        if known.kind == "ints":
            found[known.name] += value
        elif known.repeated:
            found[known.name].append(value)
        elif known.name in found:
            raise Malformed(f"{table.name}.{known.name} comes twice")
        else:
            found[known.name] = value
    return found


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """An unsigned varint at `at`, and where it ends.

    Raises:
        Malformed: truncated, longer than needed, or beyond 64 bits.
    """
    value = shift = 0
    while True:
        if at >= len(data):
            raise Malformed("the file ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise Malformed("a number is longer than 64 bits")
    if value >> 64 or (byte == 0 and shift):
        raise Malformed("a number is not in its shortest form")
    return value, at


def _read_value(
    data: memoryview, at: int, known: Field, budget: Budget, *, packed: bool
) -> tuple[Any, int]:
    if known.kind == "fixed32":
        if at + 4 > len(data):
            raise Malformed("the file ends within a number")
        return data[at : at + 4], at + 4
    number, at = read_varint(data, at)
    if known.kind == "int":
        return _signed(number), at
    if known.kind == "ints" and not packed:
        return [_signed(number)], at
    end = at + number
    if end > len(data):
        raise Malformed(f"{known.name} is longer than what holds it")
    payload = data[at:end]
    if packed:
        return _packed(payload, budget), end
    if known.kind == "text":
        return _text(payload, known.name), end
    if known.table is not None:
        return read_message(payload, known.table, budget), end
    return payload, end


def _packed(payload: memoryview, budget: Budget) -> list[int]:
    values = []
    at = 0
    while at < len(payload):
        budget.spend()
        number, at = read_varint(payload, at)
        values.append(_signed(number))
    return values


def _text(payload: memoryview, name: str) -> str:
    if len(payload) > MAX_TEXT_BYTES:
        raise Malformed(f"{name} is a text of {len(payload)} bytes")
    try:
        return bytes(payload).decode("utf-8")
    except UnicodeDecodeError as err:
        raise Malformed(f"{name} is not UTF-8") from err


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
