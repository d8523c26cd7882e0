"""Encodings for systems that exist already: ONVIF Profile M, OpenALPR, and plain JSON. Pure.

They carry less than our own: no provenance and, but for `minimal`, no usage terms. Whoever takes
them must know both from elsewhere. With MQTT 5 the event's id goes along as a user property;
OpenALPR's form and `minimal` hold it in the payload, ONVIF's has no place for it.

Source: ONVIF Core Specification, events over MQTT, topic structure:
`TopicPrefix/PayloadPrefix/LocalTopic/&Source values`, without namespace prefixes; the payload
prefix `onvif-ej` stands for JSON events with UtcTime, Source and Data. ONVIF Analytics Service
Specification: license plate recognition rule (`tns1:RuleEngine/Recognition/LicensePlate`) and
tt:LicensePlateInfo
(PlateNumber with Likelihood, PlateType, CountryCode, IssuingEntity); element items are nested in
their element's name, attributes begin with `@` and text is `#text`, as cameras of two makers send
it. OpenALPR agent documentation, "JSON Group Results", version 2 (docs.rekor.ai).
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

from alpr_edge.delivery.encoding import Encode, encoded, read_of
from alpr_edge.delivery.port import Message, Topics

_RULE = "alpr-edge"


def minimal(topics: Topics) -> Encode:
    """Plate, confidence, region, time, camera, the id, and until when it may be kept."""

    def encode(event_id: str, stored: bytes, left_s: float) -> Message:
        data = read_of(stored)["data"]
        document = {
            "id": event_id,
            "plate": data["plate"],
            "confidence": data["confidence"],
            "region": None if data["region"] is None else data["region"]["code"],
            "time": data["last_seen"],
            "camera": data["camera"],
            "retention_until": data["usage"]["retention_until"],
        }
        return encoded(event_id, topics.reads, document, left_s)

    return encode


def onvif(topics: Topics) -> Encode:
    """ONVIF's event over MQTT, topic layout included; the prefix is the device's."""

    def encode(event_id: str, stored: bytes, left_s: float) -> Message:
        data = read_of(stored)["data"]
        source = str(data["camera"])
        topic = (
            f"{topics.prefix}/{topics.device_id}/onvif-ej/RuleEngine/Recognition/LicensePlate"
            f"/&{source}/{_RULE}"
        )
        document = {
            "UtcTime": data["last_seen"],
            "Source": {"VideoSource": source, "Rule": _RULE},
            "Data": {
                "Likelihood": data["confidence"],
                "LicensePlateInfo": {"LicensePlateInfo": _plate_info(data)},
            },
        }
        return encoded(event_id, topic, document, left_s)

    return encode


def openalpr(topics: Topics) -> Encode:
    """OpenALPR's group result: one a vehicle. No picture, no make and model: we know none."""

    def encode(event_id: str, stored: bytes, left_s: float) -> Message:
        data = read_of(stored)["data"]
        return encoded(event_id, topics.reads, _group(topics, event_id, data), left_s)

    return encode


def camera_number(device_id: str, camera: str) -> int:
    """OpenALPR names cameras by number: the CRC-32 of `device/camera`."""
    return zlib.crc32(f"{device_id}/{camera}".encode())


def _plate_info(data: dict[str, Any]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "PlateNumber": {"@Likelihood": data["confidence"], "#text": data["plate"]}
    }
    region = data["region"]
    if region is not None:
        country, _, entity = str(region["code"]).partition("-")
        info["CountryCode"] = {"@Likelihood": region["confidence"], "#text": country.upper()}
        if entity:
            info["IssuingEntity"] = {"@Likelihood": region["confidence"], "#text": entity.upper()}
    return info


def _group(topics: Topics, event_id: str, data: dict[str, Any]) -> dict[str, Any]:
    region = data["region"] or {"code": "", "confidence": 0.0}
    confidence = round(100.0 * data["confidence"], 2)
    best = {
        "plate": data["plate"],
        "confidence": confidence,
        "matches_template": 0,
        "plate_index": 0,
        "region": region["code"],
        "region_confidence": round(100.0 * region["confidence"], 2),
        "coordinates": [{"x": round(x), "y": round(y)} for x, y in data["corners"]],
    }
    country, _, _ = str(region["code"]).partition("-")
    return {
        "version": 2,
        "data_type": "alpr_group",
        "epoch_start": _epoch_ms(data["first_seen"]),
        "epoch_end": _epoch_ms(data["last_seen"]),
        "frame_start": 0,
        "frame_end": data["frames"] - 1,
        "company_id": "",
        "agent_uid": topics.device_id,
        "agent_version": data["provenance"]["software"],
        "agent_type": "alpr-edge",
        "camera_id": camera_number(topics.device_id, data["camera"]),
        "country": country,
        "uuids": [event_id],
        "best_uuid": event_id,
        "plate_indexes": [0],
        "candidates": [{"plate": data["plate"], "confidence": confidence, "matches_template": 0}],
        "best_plate": best,
        "best_confidence": confidence,
        "best_plate_number": data["plate"],
        "best_region": region["code"],
        "best_region_confidence": best["region_confidence"],
        "matches_template": False,
        "travel_direction": (data["direction"] or {"heading_deg": 0.0})["heading_deg"],
        "is_parked": False,
    }


def _epoch_ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
