"""The mask record: what one camera never reads, for whom, from when, by whom. Pure.

Signed as `DocumentType.MASK_RECORD`; its payload:

    {"number": 3, "device": "unit-1", "camera": "cam0", "frame": [1280, 720],
     "reference": "…64 hex…" or null, "valid_from": "2026-11-24T08:00:00Z", "valid_to": null,
     "previous": "…64 hex…" or null, "authors": ["A. Technician"], "reason": "new driveway",
     "zones": {"masks": [...]}}

`number` grows with every record of a device and camera. `previous` is the digest of the record that
was in force when this one was made (`null`: none). `zones` is a mask record as `config.mask_file`
reads it. `authors` is for people; authority comes from signatures only.

It may also hold `"lets_go": ["…64 hex…"]`: digests of polygons of the city (`addition`) that end
when this record is confirmed. It shows that those who signed knew of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from alpr_edge.config.mask_file import format_masks, parse_masks
from alpr_edge.config.rules import identifier
from alpr_edge.errors import ConfigError, TrustError
from alpr_edge.trust.checks import format_time, parse_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import examine
from alpr_edge.trust.keyring import Keyring, Role
from alpr_edge.trust.keys import PublicKey
from alpr_edge.zone_set import ZoneSet

SIGNING_ROLES: Final = (Role.TECHNICIAN, Role.SUPERVISOR)
MAX_NUMBER: Final = 2**53 - 1
"""Largest whole number that all JSON readers agree on. Source: RFC 8259, section 6."""
MAX_FRAME: Final = 16_384
_KEYS: Final = frozenset(
    {
        *("number", "device", "camera", "frame", "reference", "valid_from", "valid_to"),
        *("previous", "authors", "reason", "zones"),
    }
)
_LETS_GO: Final = "lets_go"
MAX_LETS_GO: Final = 64
"""Polygons of the city that one record may name: as many as there may be."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """A mask record; see the module's docstring.

    Attributes:
        frame_px: width and height of the frames it was made for.
        lets_go: digests of the city's polygons that it need not cover.
    """

    number: int
    device: str
    camera: str
    frame_px: tuple[int, int]
    zones: ZoneSet
    valid_from: datetime
    valid_to: datetime | None = None
    reference: str | None = None
    previous: str | None = None
    authors: tuple[str, ...] = ()
    reason: str = ""
    lets_go: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A mask record whose signatures were verified.

    Attributes:
        digest: names the record (SHA-256 of its payload, hex), whoever signed it.
        signers: keys of technicians, supervisors or the city.
        data: the envelope as it came.
    """

    record: MaskRecord
    digest: str
    signers: tuple[PublicKey, ...]
    data: bytes


def open_record(data: bytes, keyring: Keyring) -> SignedRecord:
    """The record in an envelope that someone who may set masks has signed.

    Raises:
        BadSignature: nobody who may set masks signed it.
        TrustError: `authority.record.invalid`, with the problem.
    """
    keys = (*keyring.city, *keyring.keys_of(*SIGNING_ROLES))
    signed = examine(data, DocumentType.MASK_RECORD, keys)
    return SignedRecord(parse_record(signed.payload), signed.digest, signed.signers, data)


def record_payload(record: MaskRecord) -> dict[str, Any]:
    """The record as it is signed. `parse_record(record_payload(r)) == r`."""
    payload: dict[str, Any] = {
        "number": record.number,
        "device": record.device,
        "camera": record.camera,
        "frame": list(record.frame_px),
        "reference": record.reference,
        "valid_from": format_time(record.valid_from),
        "valid_to": None if record.valid_to is None else format_time(record.valid_to),
        "previous": record.previous,
        "authors": list(record.authors),
        "reason": record.reason,
        "zones": json.loads(format_masks(record.zones)),
    }
    if record.lets_go:
        payload[_LETS_GO] = list(record.lets_go)
    return payload


def parse_record(payload: dict[str, Any]) -> MaskRecord:
    """The record of a payload.

    Raises:
        TrustError: `authority.record.invalid`, with the problem.
    """
    if set(payload) - {_LETS_GO} != _KEYS:
        odd = ", ".join(sorted((set(payload) - {_LETS_GO}) ^ _KEYS)[:5])
        raise _invalid(f"it has not the keys that it should have: {odd}"[:200])
    valid_from = _time(payload, "valid_from")
    valid_to = None if payload["valid_to"] is None else _time(payload, "valid_to")
    if valid_to is not None and valid_to <= valid_from:
        raise _invalid("valid_to is not after valid_from")
    return MaskRecord(
        number=_number(payload["number"], "number", MAX_NUMBER),
        device=_ident(payload["device"], "device"),
        camera=_ident(payload["camera"], "camera"),
        frame_px=_frame(payload["frame"]),
        zones=_zones(payload["zones"]),
        valid_from=valid_from,
        valid_to=valid_to,
        reference=_digest(payload["reference"], "reference"),
        previous=_digest(payload["previous"], "previous"),
        authors=_authors(payload["authors"]),
        reason=_line(payload["reason"], "reason", 500),
        lets_go=_lets_go(payload[_LETS_GO]) if _LETS_GO in payload else (),
    )


def _number(value: object, what: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise _invalid(f"{what} must be a whole number from 1 to {most}")
    return value


def _ident(value: object, what: str) -> str:
    try:
        return identifier(value if isinstance(value, str) else "")
    except ValueError as err:
        raise _invalid(f"{what} {err}") from err


def _frame(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise _invalid("frame must be [width, height]")
    width, height = (_number(side, "a side of the frame", MAX_FRAME) for side in value)
    return width, height


def _zones(value: object) -> ZoneSet:
    try:
        return parse_masks(json.dumps(value), source="the record's zones")
    except ConfigError as err:
        raise _invalid("; ".join(err.problems[:5])) from err


def _digest(value: object, what: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return value
    raise _invalid(f"{what} must be null or 64 hexadecimal digits")


def _lets_go(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_LETS_GO:
        raise _invalid(f"{_LETS_GO} must be a list of 1 to {MAX_LETS_GO} digests, or left out")
    digests = tuple(one for each in value if (one := _digest(each, _LETS_GO)) is not None)
    if len(set(digests)) != len(value):
        raise _invalid(f"{_LETS_GO} must be digests, each once")
    return digests


def _authors(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 8:
        raise _invalid("authors must be a list of 1 to 8 names")
    return tuple(_line(name, "an author", 128) for name in value)


def _line(value: object, what: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise _invalid(f"{what} must be one line of at most {most} printable characters")
    return value


def _time(payload: dict[str, Any], key: str) -> datetime:
    try:
        return parse_time(payload[key], key)
    except TrustError as err:
        raise _invalid(err.message) from err


def _invalid(reason: str) -> TrustError:
    return TrustError(
        f"the mask record is not valid: {reason}",
        code="authority.record.invalid",
        hint="make it with `alpr-edge masks sign`",
    )
