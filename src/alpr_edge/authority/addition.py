"""A polygon that the city adds to what is protected, by one signed command. Pure.

It needs no mask record: the command itself, signed by a key of the city, is kept as it came, and
its polygon is joined to what is in force. It can only widen: there is nothing in it that could say
what is *not* protected.

    "arguments": {"polygon": [[x, y], …], "name": "clinic", "reason": "order 4711"}

x and y are parts of the frame, 0..1, origin top left; name and reason may be left out. Whether the
command counts now (device, time, replay) was judged before: see `delivery.commands`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from alpr_edge.config.mask_file import parse_masks
from alpr_edge.errors import ConfigError, TrustError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import examine
from alpr_edge.trust.keys import PublicKey
from alpr_edge.zone_set import ZoneSet

_KEYS: Final = {"polygon", "name", "reason"}
_MOST_TEXT: Final = 128


@dataclass(frozen=True, slots=True)
class Addition:
    """A polygon of the city, in force beside the mask records.

    Attributes:
        number: of the command, milliseconds since 1970 as a rule; only grows.
        digest: of the command's payload (SHA-256, hex).
        zones: one mask.
        data: the command's envelope as it came.
        after: number of the newest mask record when it was added.
    """

    number: int
    digest: str
    zones: ZoneSet
    reason: str
    data: bytes
    after: int = 0


def open_addition(data: bytes, city: Sequence[PublicKey]) -> Addition:
    """The polygon of a command that the city signed.

    Raises:
        BadSignature: the city did not sign it.
        TrustError: `authority.addition.invalid`, with the problem.
    """
    signed = examine(data, DocumentType.COMMAND, city)
    return parse_addition(signed.payload, signed.digest, data)


def parse_addition(payload: dict[str, Any], digest: str, data: bytes, after: int = 0) -> Addition:
    """The polygon of a command's payload.

    Raises:
        TrustError: `authority.addition.invalid`, with the problem.
    """
    arguments, number = payload.get("arguments"), payload.get("number")
    if type(number) is not int or not 0 < number < 2**53:
        raise _invalid("its number is not a whole number from 1")
    if not isinstance(arguments, dict) or not {"polygon"} <= set(arguments) <= _KEYS:
        raise _invalid("arguments must be polygon, and name or reason")
    name = _text(arguments.get("name", f"city {number}"), "name")
    reason = _text(arguments.get("reason", "order of the city"), "reason")
    document = {"masks": [{"name": name, "polygon": arguments["polygon"]}]}
    try:
        zones = parse_masks(json.dumps(document), source="the command")
    except ConfigError as err:
        raise _invalid("; ".join(err.problems[:3])) from err
    except (ValueError, RecursionError) as err:
        raise _invalid("the polygon is no list of points") from err
    return Addition(number, digest, zones, reason, data, after)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= _MOST_TEXT:
        raise _invalid(f"{what} must be one line of 1 to {_MOST_TEXT} printable characters")
    return value


def _invalid(reason: str) -> TrustError:
    return TrustError(
        f"the polygon to be added is not valid: {reason}"[:300],
        code="authority.addition.invalid",
        hint="make it with `alpr-edge command make add-mask --polygon`",
    )
