"""Lets Home Assistant find the device's health by itself. Pure; never a plate, never an image.

One discovery message a device, retained, whose sensors read the state topic. Home Assistant thus
sees what the state topic tells, and nothing else: there is no entity for reads.

Source: home-assistant.io, MQTT integration, device discovery payload (`homeassistant/device/
OBJECT_ID/config` with `device`, `origin` and `components`), sensor and binary_sensor options.
"""

from __future__ import annotations

import json
from typing import Any

from alpr_edge.delivery.port import Topics


def discovery(
    topics: Topics, *, site: str, software: str, prefix: str = "homeassistant"
) -> tuple[str, bytes]:
    """The discovery topic and what is to be published there, retained."""
    unique = f"alpr_edge_{topics.device_id}"
    components = {
        "connected": {
            "platform": "binary_sensor",
            "name": "Connected",
            "unique_id": f"{unique}_connected",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        },
        "attention": {
            "platform": "binary_sensor",
            "name": "Needs attention",
            "unique_id": f"{unique}_attention",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.warnings | default([]) else 'OFF' }}",
        },
        "pending": _number(unique, "pending", "Events waiting", "value_json.pending"),
        "queue_age": _number(
            unique, "queue_age", "Oldest event", "value_json.queue_age_s", "s", "duration"
        ),
        "frame_rate": _number(
            unique, "frame_rate", "Frame rate", "value_json.frames_per_s", "fps"
        ),
        "temperature": _number(
            unique, "temperature", "Temperature", "host.temperature_c", "°C",
            "temperature",
        ),
        "disk_free": _number(
            unique, "disk_free", "Disk free", "host.disk_free_bytes", "B", "data_size"
        ),
        "certificate": _number(
            unique, "certificate", "Certificate days left",
            "host.certificate_days_left", "d", "duration",
        ),
    }  # fmt: skip
    document: dict[str, Any] = {
        "device": {
            "identifiers": [unique],
            "name": f"Plate reader {site}",
            "manufacturer": "alpr-edge",
            "model": "alpr-edge",
            "sw_version": software,
            "serial_number": topics.device_id,
        },
        "origin": {"name": "alpr-edge", "sw_version": software},
        "state_topic": topics.state,
        "qos": 0,
        "components": components,
    }
    payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return f"{prefix}/device/{unique}/config", payload


def _number(
    unique: str, key: str, name: str, value: str, unit: str = "", kind: str = ""
) -> dict[str, Any]:
    # "offline" has no `host`: its members are then undefined, not an error.
    value = value.replace("host.", "(value_json.host | default({})).")
    sensor = {
        "platform": "sensor",
        "name": name,
        "unique_id": f"{unique}_{key}",
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "value_template": f"{{{{ {value} | default(none) }}}}",
        "unit_of_measurement": unit,
        "device_class": kind,
    }
    return {name: given for name, given in sensor.items() if given}
