"""How a read is written for those who receive it; chosen in the configuration. Pure.

The outbox keeps one form, our own structured CloudEvent; an encoding turns that into what is sent.
`cloudevents` is our own; `onvif`, `openalpr` and `minimal` speak to systems that exist already.
No encoding adds anything to a read, and none is ever retained.

Source: CloudEvents 1.0.2 MQTT binding, sections 3.1 (binary) and 3.2 (structured).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic_core import from_json

from alpr_edge.delivery.port import Binary, Message, Topics
from alpr_edge.errors import PublishError

EncodingName = Literal["cloudevents", "onvif", "openalpr", "minimal"]
ContentMode = Literal["auto", "structured"]
STRUCTURED = "application/cloudevents+json; charset=utf-8"
_DATA = b',"data":'

Encode = Callable[[str, bytes, float], Message]
"""`(event id, stored form, seconds it may still be kept)` → what is sent.

Raises:
    PublishError: the stored form is not ours (`delivery.event.invalid`).
"""


def cloudevents(topics: Topics, mode: ContentMode = "auto") -> Encode:
    """Our own: structured JSON, and with MQTT 5 the binary mode as well, unless it is not wanted.

    In the binary mode the attributes are user properties and the payload is `data`.
    """

    def encode(event_id: str, stored: bytes, left_s: float) -> Message:
        binary = None if mode == "structured" else _binary(stored)
        return Message(event_id, topics.reads, stored, STRUCTURED, _seconds(left_s), binary)

    return encode


def read_of(stored: bytes) -> dict[str, Any]:
    """The stored form as a document.

    Raises:
        PublishError: it is not ours (`delivery.event.invalid`).
    """
    try:
        document = json.loads(stored)
    except (ValueError, RecursionError) as err:
        raise _foreign() from err
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise _foreign()
    return document


def encoded(event_id: str, topic: str, document: dict[str, Any], left_s: float) -> Message:
    """A message of plain JSON; with MQTT 5 the id goes along as a user property."""
    payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    binary = Binary(payload, "application/json", (("id", event_id),))
    return Message(event_id, topic, payload, "application/json", _seconds(left_s), binary)


def _binary(stored: bytes) -> Binary:
    """Cut the stored form in two, without reading `data`.

    `,"data":` cannot stand earlier: within a JSON string its quotes would be escaped.
    """
    head, found, data = stored.partition(_DATA)
    if not found:
        raise _foreign()
    try:
        attributes = from_json(head + b"}")
    except ValueError as err:
        raise _foreign() from err
    content_type = attributes.pop("datacontenttype")
    return Binary(data[:-1], content_type, tuple(attributes.items()))


def _seconds(left_s: float) -> int:
    return max(0, int(left_s))


def _foreign() -> PublishError:
    return PublishError(
        "an event in the outbox has not the form that this software writes",
        code="delivery.event.invalid",
        hint="it is deleted; if this happens again, report it",
    )
