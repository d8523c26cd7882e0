"""What goes over the wire in each encoding, against golden files; nothing in it that should not be.

The goldens are written by `--update-goldens` and were compared by eye with the public documents
that `foreign` and `home_assistant` name; `REKOR` holds the field names of one of them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import PLATE, PROVENANCE, closed_track, released, sample_event
from hypothesis import given
from hypothesis import strategies as st
from schemas import check

from alpr_edge.delivery import foreign
from alpr_edge.delivery.encoding import STRUCTURED, Encode, cloudevents
from alpr_edge.delivery.event import LedgerPosition, UsageTerms, make_event
from alpr_edge.delivery.home_assistant import discovery
from alpr_edge.delivery.port import Topics
from alpr_edge.errors import PublishError
from alpr_edge.types import Region

GOLDEN = Path(__file__).with_name("golden")
TOPICS = Topics("cam-1", "city/alpr")
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
SEEN = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ENCODINGS: dict[str, Encode] = {
    "cloudevents": cloudevents(TOPICS),
    "onvif": foreign.onvif(TOPICS),
    "openalpr": foreign.openalpr(TOPICS),
    "minimal": foreign.minimal(TOPICS),
}


def stored() -> bytes:
    from datetime import timedelta

    usage = UsageTerms(timedelta(days=30), ("stolen-vehicle-search",))
    track = closed_track(last_seen=SEEN, region=Region("us-ca", 0.8))
    ledger = LedgerPosition(42, "dd" * 32)
    return make_event(released(track), PROVENANCE, usage, ID, ledger=ledger).to_json()


def golden(name: str, found: Any, update: bool) -> None:
    path = GOLDEN / f"{name}.json"
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"differs from {path}"


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_encoding_is_as_its_golden_file_says(name: str, update_goldens: bool) -> None:
    message = ENCODINGS[name](ID, stored(), 3600.5)
    assert message.binary is not None
    assert message.expires_in_s == 3600
    assert message.event_id == ID
    golden(
        name,
        {
            "topic": message.topic,
            "content_type": message.content_type,
            "payload": json.loads(message.payload),
            "mqtt5": {
                "content_type": message.binary.content_type,
                "user_properties": dict(message.binary.properties),
                "payload": json.loads(message.binary.payload),
            },
        },
        update_goldens,
    )


def test_discovery_is_as_its_golden_file_says(update_goldens: bool) -> None:
    topic, payload = discovery(TOPICS, site="5th and Main", software="alpr-edge test")
    golden("home_assistant", {"topic": topic, "payload": json.loads(payload)}, update_goldens)


def test_discovery_knows_no_reads() -> None:
    topic, payload = discovery(TOPICS, site="x", software="y")
    text = payload.decode().replace("Plate reader", "")
    assert "reads" not in text
    assert "plate" not in text.replace("value_template", "").lower()
    assert "image" not in text
    document = json.loads(payload)
    assert document["state_topic"] == TOPICS.state
    assert topic.startswith("homeassistant/device/")


def test_the_binary_mode_is_the_structured_one_cut_in_two() -> None:
    event = sample_event()
    message = ENCODINGS["cloudevents"](event.event_id, event.to_json(), 10.0)
    assert message.content_type == STRUCTURED
    assert message.binary is not None
    whole = json.loads(message.payload)
    data = whole.pop("data")
    assert json.loads(message.binary.payload) == data
    assert (
        dict(message.binary.properties) | {"datacontenttype": message.binary.content_type} == whole
    )
    check("read.v1", json.loads(message.payload))
    check("read-data.v1", data)
    structured = cloudevents(TOPICS, "structured")(event.event_id, event.to_json(), 10.0)
    assert structured.binary is None


def texts(value: Any) -> set[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(texts, inner))


REKOR = {
    *("epoch_end", "epoch_start", "best_image_height", "best_image_width", "is_parked"),
    *("agent_type", "data_type", "gps_latitude", "gps_longitude", "frame_start", "frame_end"),
    *("best_region", "best_region_confidence", "agent_uid", "agent_version", "country", "uuids"),
    *("plate_indexes", "vehicle_crop_jpeg", "version", "candidates", "best_uuid", "best_plate"),
    *("best_plate_number", "best_confidence", "company_id", "camera_id", "travel_direction"),
    *("matches_template", "vehicle", "vehicle_signature", "web_server_config", "user_data"),
}


def test_openalpr_has_no_field_that_its_agent_does_not_send() -> None:
    document = json.loads(ENCODINGS["openalpr"](ID, stored(), 1.0).payload)
    assert set(document) <= REKOR
    assert document["candidates"][0]["plate"] == document["best_plate"]["plate"] == PLATE


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_site_and_plate_survive_every_encoding(site: str, plate: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in site + plate):
        return
    document = json.loads(stored())
    document["data"] |= {"site": site, "plate": plate}
    raw = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    for name, encode in ENCODINGS.items():
        message = encode(ID, raw, 1.0)
        assert plate in texts(json.loads(message.payload))
        assert message.binary is not None, name
        json.loads(message.binary.payload)


def test_no_topic_and_no_property_holds_a_plate() -> None:
    for encode in ENCODINGS.values():
        message = encode(ID, stored(), 1.0)
        assert message.binary is not None
        assert PLATE not in f"{message.topic} {message.binary.properties} {message!r}"


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"\xff", b'{"data":1}', b"[" * 9999])
def test_a_form_that_is_not_ours_is_an_own_error(name: str, raw: bytes) -> None:
    if name == "cloudevents" and raw == b'{"data":1}':
        return
    with pytest.raises(PublishError) as caught:
        ENCODINGS[name](ID, raw, 1.0)
    assert caught.value.code == "delivery.event.invalid"


def test_a_camera_keeps_its_number() -> None:
    assert foreign.camera_number("cam-1", "north") == foreign.camera_number("cam-1", "north")
    assert foreign.camera_number("cam-1", "north") != foreign.camera_number("cam-2", "north")


def test_a_read_without_region_is_encoded() -> None:
    document = json.loads(stored())
    document["data"]["region"] = None
    raw = json.dumps(document, separators=(",", ":")).encode()
    assert "CountryCode" not in ENCODINGS["onvif"](ID, raw, 1.0).payload.decode()
    assert json.loads(ENCODINGS["openalpr"](ID, raw, 1.0).payload)["best_region"] == ""
