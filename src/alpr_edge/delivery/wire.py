"""The messages as types: what stands on the wire, field by field. Values only, nothing is computed.

`event` and `health` build these; mypy checks what they build against them, and
`scripts/messages.py` writes JSON Schema, AsyncAPI and the page of messages from them.

A field that may be unknown is there and null: consumers need not tell "absent" from "unknown".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

READ_TYPE = "alpr-edge.read.v1"
READ_SCHEMA = "urn:x-alpr-edge:schema:read:1"
"""`dataschema` of a read: docs/schemas/read.v1.json. A field that is added keeps the number."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}(,[0-9a-f]{64})*$")]
Stamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
EventId = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]


class Region(TypedDict):
    """Issuer of the plate."""

    code: Annotated[str, Field(description="`us-ca`, `mx`, `de`, …")]
    confidence: Fraction


class Direction(TypedDict):
    """How the plate moved through the picture, from the first to the last sighting."""

    motion: Annotated[
        Literal["approaching", "receding", "crossing"],
        Field(description="by the plate's size; `crossing` where it hardly changed"),
    ]
    heading_deg: Annotated[
        float, Field(ge=0, lt=360, description="in the picture: 0 up, 90 right, 180 down")
    ]


class Ledger(TypedDict):
    """Where the device's ledger stood when the event was made."""

    size: Annotated[int, Field(ge=0, description="entries in the Merkle log")]
    root: Annotated[str, Field(description="its root hash, SHA-256 in hex")]


class Provenance(TypedDict):
    """What the read comes from; digests are SHA-256 in hex."""

    device: str
    software: str
    model: Annotated[Digest, Field(description="detector and recogniser, with a comma between")]
    config: Digest
    mask: Annotated[str, Field(description="of the mask record in force")]
    register: Annotated[str | None, Field(description="of the premises register, where loaded")]
    commissioning: Annotated[str | None, Field(description="id of the commissioning record")]
    ledger: Ledger | None


class Use(TypedDict):
    """One entry of the training and data mining terms."""

    use: Literal["notAllowed"]


TrainingMining = TypedDict(
    "TrainingMining",
    {
        "cawg.ai_generative_training": Use,
        "cawg.ai_inference": Use,
        "cawg.ai_training": Use,
        "cawg.data_mining": Use,
    },
)


class Purpose(TypedDict):
    """What the read may be used for."""

    allowed: Annotated[list[str], Field(description="as configured by the operator")]
    prohibited: list[str]


class Usage(TypedDict):
    """Terms that go with the read wherever it is copied."""

    retention_until: Annotated[Stamp, Field(description="no copy may be kept longer")]
    training_mining: TrainingMining
    purpose: Purpose


class ReadData(TypedDict):
    """`data` of a read."""

    schema: Literal["alpr-edge.read.v1"]
    id: Annotated[EventId, Field(description="the event's id again: deduplicate by it")]
    plate: Annotated[str, Field(description="upper case, without separators")]
    confidence: Fraction
    char_confidences: list[Fraction]
    ambiguous: Annotated[
        list[int],
        Field(
            description="places from 0 on of an O, 0, I or 1 that neither shape nor serial decided"
        ),
    ]
    region: Region | None
    corners: Annotated[
        list[tuple[float, float]],
        Field(
            min_length=4,
            max_length=4,
            description="pixels of the frame, clockwise from the plate's own top left",
        ),
    ]
    first_seen: Stamp
    last_seen: Stamp
    frames: Annotated[int, Field(ge=1, description="sightings")]
    agreeing: Annotated[int, Field(ge=0, description="sightings with exactly this text")]
    direction: Direction | None
    camera: str
    site: str
    provenance: Provenance
    usage: Usage


class ReadEvent(TypedDict):
    """A read as structured CloudEvents 1.0 JSON."""

    specversion: Literal["1.0"]
    id: Annotated[EventId, Field(description="UUID version 7, made once")]
    source: Annotated[str, Field(description="/alpr-edge/DEVICE/CAMERA")]
    type: Literal["alpr-edge.read.v1"]
    dataschema: Literal["urn:x-alpr-edge:schema:read:1"]
    time: Annotated[Stamp, Field(description="of the last sighting")]
    datacontenttype: Literal["application/json"]
    data: ReadData


class Link(TypedDict):
    """The connection to a broker."""

    phase: Literal["idle", "connecting", "connected", "waiting", "closed"]
    code: Annotated[str, Field(description="why it is down or what is wrong; empty for nothing")]
    protocol: Annotated[str, Field(description="`MQTT 5` or `MQTT 3.1.1`")]
    broker: Annotated[str, Field(description="host:port")]


class Lost(TypedDict):
    """Events that will not arrive, by cause."""

    overflow: int
    expired: int
    damaged_outboxes: int
    unreadable: int
    not_stored: int


class Host(TypedDict):
    """The machine; null where it does not tell."""

    temperature_c: Annotated[float | None, Field(description="the hottest sensor")]
    disk_free_bytes: Annotated[int | None, Field(description="where the outbox lies")]
    flash_written_bytes: Annotated[int, Field(description="by the outbox, since the start")]
    clock_believed: Annotated[bool, Field(description="disciplined by NTP, PTP or GNSS")]
    certificate_days_left: Annotated[float | None, Field(description="of the device's own")]


class Versions(TypedDict):
    """What runs."""

    software: str
    config: str
    models: str
    mask: str


class View(TypedDict):
    """What the comparison with the reference view says."""

    state: Annotated[str, Field(description="confirmed, moved, covered, …: docs/view.md")]
    shift: Annotated[float | None, Field(description="last one found, part of the frame's width")]


class SelfTestResult(TypedDict):
    """The last self-test. Holds no plate."""

    state: Annotated[str, Field(description="passed, pending or failed")]
    finding: Annotated[str, Field(description="what failed; empty otherwise")]
    at: Annotated[str | None, Field(description="when, UTC")]


class Reading(TypedDict):
    """Whether anything is read at all, and why not."""

    phase: Literal["starting", "reading", "stopped"]
    stops: Annotated[list[str], Field(description="codes of what forbids it, docs/errors.md")]
    waived: Annotated[list[str], Field(description="codes of what this unit does without")]


class State(TypedDict):
    """Health, retained on the state topic. Holds no plate and tells of no single visit."""

    state: Literal["online"]
    software: str
    uptime_s: int
    frames_per_s: Annotated[float | None, Field(description="over the last complete minute")]
    published: Annotated[int, Field(description="given to a broker, repeats included")]
    settled: Annotated[int, Field(description="delivered, and deleted here")]
    pending: Annotated[int, Field(description="waiting on disk")]
    pending_in_memory: int
    queue_age_s: Annotated[int, Field(description="how long the oldest has been waiting")]
    refused: int
    lost: Lost
    reading: Reading
    last_error: Annotated[str, Field(description="a stable code, see docs/errors.md")]
    errors: Annotated[dict[str, int], Field(description="how often, by code")]
    warnings: Annotated[list[str], Field(description="codes of what needs somebody soon")]
    link: Link
    host: Host
    versions: Versions
    view: View
    self_test: SelfTestResult
    suppressed_last_hour_at_most: Annotated[
        dict[str, int] | None,
        Field(description="by reason: next power of two, at least 8, of the last complete hour"),
    ]


class Offline(TypedDict):
    """The last word on the state topic: last will, or an orderly end."""

    state: Literal["offline"]
    reason: Literal["connection_lost", "shutdown"]


class Receipt(TypedDict):
    """The application's word that it has stored these events."""

    ids: Annotated[list[EventId], Field(max_length=1500)]


Outcome = Literal["done", "refused", "not-available", "failed"]


class Response(TypedDict):
    """The device's answer to a signed request of the city."""

    device: str
    number: Annotated[int, Field(description="of the request; 0 where it had none")]
    command: Literal["status", "self-test", "checkpoint", "add-mask", "stop-reading"] | None
    outcome: Outcome
    code: Annotated[str, Field(description="a stable code; empty for `done`")]
    result: Annotated[dict[str, Any], Field(description="by command; holds no plate, no picture")]
