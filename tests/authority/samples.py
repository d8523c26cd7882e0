"""Keys, people and records for the tests of this room. Everything is made at run time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Unit
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keyring import Keyring, Person, Role
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.zone_set import Ring, ZonePolygon, ZoneSet

CITY, ANNA, BEN, CARL, EVE, DEVICE = (PrivateKey.generate() for _ in range(6))
ANNA_2 = PrivateKey.generate()
RING = Keyring(
    (CITY.public,),
    (
        Person("Anna", Role.TECHNICIAN, (ANNA.public, ANNA_2.public)),
        Person("Ben", Role.SUPERVISOR, (BEN.public,)),
        Person("Carl", Role.AUDITOR, (CARL.public,)),
    ),
    1,
)
UNIT = Unit("unit-1", "cam0")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRAME = (64, 36)


def box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def zones(*rings: Ring) -> ZoneSet:
    masks = tuple(ZonePolygon(f"m{i}", ring) for i, ring in enumerate(rings))
    return ZoneSet(masks, nothing_protected=not masks)


SMALL = zones(box(0.25, 0.25, 0.5, 0.5))
LARGE = zones(box(0.125, 0.125, 0.75, 0.75))
MOVED = zones(box(0.375, 0.25, 0.625, 0.5))
NOTHING = zones()

RECORD = MaskRecord(
    number=1,
    device="unit-1",
    camera="cam0",
    frame_px=FRAME,
    zones=SMALL,
    valid_from=NOW - HOUR,
    authors=("Anna",),
)


def signed(*keys: PrivateKey, **changes: object) -> bytes:
    payload = record_payload(replace(RECORD, **changes))  # type: ignore[arg-type]
    return sign(DocumentType.MASK_RECORD, payload, *keys)


def ordered(number: int, ring: Ring, key: PrivateKey = CITY, **more: object) -> bytes:
    """A command of the city that adds one region; whether it counts is judged elsewhere."""
    payload = {
        "device": "unit-1",
        "number": number,
        "command": "add-mask",
        "not_before": NOW.isoformat(),
        "not_after": (NOW + HOUR).isoformat(),
        "arguments": {"polygon": [list(point) for point in ring], **more},
    }
    return sign(DocumentType.COMMAND, payload, key)
