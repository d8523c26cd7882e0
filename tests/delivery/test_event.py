"""An event is complete, says its terms, comes of a released read only, and hides its plate."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from delivery_samples import PLATE, PROVENANCE, USAGE, closed_track, released, sample_event
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.event import UsageTerms, make_event
from alpr_edge.delivery.ids import new_event_id
from alpr_edge.errors import PublishError

SEEN = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_json_is_a_complete_cloudevent() -> None:
    event = make_event(released(closed_track(last_seen=SEEN)), PROVENANCE, USAGE, ID)
    assert json.loads(event.to_json()) == {
        "specversion": "1.0",
        "id": ID,
        "source": "/alpr-edge/cam-1/north",
        "type": "alpr-edge.read.v1",
        "dataschema": "urn:x-alpr-edge:schema:read:1",
        "time": "2026-03-01T12:00:00.250Z",
        "datacontenttype": "application/json",
        "data": {
            "schema": "alpr-edge.read.v1",
            "id": ID,
            "plate": PLATE,
            "confidence": 0.9,
            "char_confidences": [0.9] * 7,
            "ambiguous": [],
            "region": {"code": "us-ca", "confidence": 0.8},
            "corners": [[10.0, 10.0], [60.0, 11.0], [60.0, 26.0], [10.0, 25.0]],
            "first_seen": "2026-03-01T11:59:58.250Z",
            "last_seen": "2026-03-01T12:00:00.250Z",
            "frames": 12,
            "agreeing": 11,
            "direction": None,
            "camera": "north",
            "site": "5th and Main",
            "provenance": {
                "device": "cam-1",
                "software": "alpr-edge test",
                "model": "aa" * 32,
                "config": "bb" * 32,
                "mask": "cc" * 32,
                "register": None,
                "commissioning": None,
                "ledger": None,
            },
            "usage": {
                "retention_until": "2026-03-31T12:00:00.250Z",
                "training_mining": {
                    "cawg.ai_generative_training": {"use": "notAllowed"},
                    "cawg.ai_inference": {"use": "notAllowed"},
                    "cawg.ai_training": {"use": "notAllowed"},
                    "cawg.data_mining": {"use": "notAllowed"},
                },
                "purpose": {
                    "allowed": [],
                    "prohibited": [
                        "ai-training",
                        "biometric-analysis",
                        "face-recognition",
                        "sale",
                    ],
                },
            },
        },
    }


def test_a_read_without_region_says_null() -> None:
    event = make_event(released(closed_track(region=None)), PROVENANCE, USAGE, ID)
    assert json.loads(event.to_json())["data"]["region"] is None


def test_times_are_told_in_utc() -> None:
    east = SEEN.astimezone(timezone(timedelta(hours=9)))
    event = make_event(released(closed_track(last_seen=east)), PROVENANCE, USAGE, ID)
    assert json.loads(event.to_json())["time"] == "2026-03-01T12:00:00.250Z"


def test_only_a_released_read_makes_an_event() -> None:
    with pytest.raises(TypeError, match="ReleasedRead"):
        make_event(closed_track(), PROVENANCE, USAGE, ID)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", ["", "1", ID.upper(), ID.replace("-", ""), "x" * 36])
def test_an_id_that_is_no_uuid_is_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        make_event(released(closed_track()), PROVENANCE, USAGE, bad)


def test_a_naive_time_is_refused() -> None:
    naive = SEEN.replace(tzinfo=None)
    with pytest.raises(ValueError, match="aware"):
        make_event(released(closed_track(last_seen=naive)), PROVENANCE, USAGE, ID)


def test_retention_must_be_positive() -> None:
    with pytest.raises(ValueError, match="retention"):
        UsageTerms(timedelta(0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_an_own_error(bad: float) -> None:
    event = make_event(released(closed_track(confidence=bad)), PROVENANCE, USAGE, ID)
    with pytest.raises(PublishError) as caught:
        event.to_json()
    assert caught.value.code == "delivery.event.invalid"


def test_no_text_of_an_event_shows_the_plate() -> None:
    event = sample_event()
    assert PLATE not in f"{event!r} {event}"
    assert event.event_id in repr(event)


@given(st.text(max_size=12))
def test_any_plate_text_survives_json(plate: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in plate):
        return
    assert json.loads(sample_event(plate).to_json())["data"]["plate"] == plate


def test_ids_are_version_7_and_sort_by_time() -> None:
    ids = [new_event_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {one[14] for one in ids} == {"7"}
