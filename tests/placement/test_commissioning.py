"""The commissioning record: made only where it may be; stops a camera when the world changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exclusion.world_samples import HOME, box_site, camera, register_of

from alpr_edge.errors import BadSignature, ConfigError, ExclusionError, TrustError
from alpr_edge.exclusion.interlock import StopReason
from alpr_edge.exclusion.premises import Register, Site
from alpr_edge.exclusion.register_file import format_register, parse_register
from alpr_edge.placement.check import Policy, check_placement
from alpr_edge.placement.commissioning import (
    Record,
    Subject,
    commission,
    read_record,
    record_payload,
    site_stops,
)
from alpr_edge.placement.files import (
    load_record,
    load_register,
    save_record,
    sign_register,
)
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.zone_set import ZoneSet

CITY, ANNA = PrivateKey.generate(), PrivateKey.generate()
NOW, TODAY = datetime(2026, 11, 24, 8, tzinfo=UTC), date(2026, 11, 24)
POLICY = Policy()
SITE = box_site(HOME, (-14, 32), (4, 4), name="near", setback_m=2)
FAR = box_site(HOME, (3_000, 0), (4, 4), name="far")
CAMERA = camera(hfov_deg=25.0, tilt_deg=-10.0)


def issued(*sites: Site, serial: int = 1, **more: Any) -> Register:
    register = replace(register_of(*sites), serial=serial, **more)
    return parse_register(format_register(register), source="made")


REGISTER = issued(SITE, FAR)
SUBJECT = Subject("unit-1", CAMERA, check_placement(CAMERA, [SITE], POLICY).zones, "ab" * 32)
RECORD = commission(SUBJECT, REGISTER, POLICY, now=NOW, by="Anna (made up)")


def reasons(
    record: Record | None, register: Register | None, subject: Subject = SUBJECT
) -> set[StopReason]:
    return {stop.reason for stop in site_stops(record, register, subject, POLICY, on=TODAY)}


def test_a_camera_that_is_as_commissioned_may_read() -> None:
    assert reasons(RECORD, REGISTER) == set()
    assert set(RECORD.sites) == {"near"}


def test_there_and_back() -> None:
    payload = json.loads(json.dumps(record_payload(RECORD)))
    assert read_record(payload) == RECORD


def test_without_a_record_or_a_register_nothing_is_read() -> None:
    assert reasons(None, REGISTER) == {StopReason.SITE_NOT_COMMISSIONED}
    assert reasons(RECORD, None) == {StopReason.SITE_REGISTER}


@pytest.mark.parametrize(
    "other",
    [
        replace(SUBJECT, device="unit-2"),
        replace(SUBJECT, camera=replace(CAMERA, pose=replace(CAMERA.pose, heading_deg=1.0))),
        replace(SUBJECT, zones=ZoneSet(nothing_protected=True)),
        replace(SUBJECT, reference=None),
    ],
)
def test_anything_else_than_was_commissioned_stops(other: Subject) -> None:
    assert reasons(RECORD, REGISTER, other) == {StopReason.SITE_NOT_COMMISSIONED}


def test_a_newer_register_stops_only_the_cameras_that_it_touches() -> None:
    moved = replace(SITE, setback_m=3.0)
    another = box_site(HOME, (20, 60), (4, 4), name="new")
    far_away = box_site(HOME, (-3_000, 0), (4, 4), name="elsewhere")
    renamed = replace(SITE, name="Another name (made up)")
    for sites in ((moved, FAR), (SITE, FAR, another)):
        assert reasons(RECORD, issued(*sites, serial=2)) == {StopReason.SITE_UNCOVERED}
    for sites in ((SITE,), (SITE, FAR, far_away), (renamed, FAR), (FAR,)):
        assert reasons(RECORD, issued(*sites, serial=2)) == set()
    with_digest = commission(SUBJECT, issued(SITE, FAR, serial=5), POLICY, now=NOW, by="A")
    assert reasons(with_digest, REGISTER) == {StopReason.SITE_REGISTER}
    stale = issued(SITE, FAR, serial=2, valid_to=date(2026, 1, 1))
    assert reasons(RECORD, stale) == {StopReason.SITE_REGISTER}


def test_nothing_is_commissioned_that_may_not_be() -> None:
    in_front = issued(box_site(HOME, (0, 16), (4, 4), name="front"))
    for subject, register, said in (
        (SUBJECT, in_front, "must not stand here"),
        (replace(SUBJECT, zones=ZoneSet(nothing_protected=True)), REGISTER, "do not cover"),
        (SUBJECT, issued(SITE, valid_to=date(2026, 1, 1)), "was valid until"),
    ):
        with pytest.raises(ExclusionError, match=said) as caught:
            commission(subject, register, POLICY, now=NOW, by="A")
        assert caught.value.exit_status == 3
    more = replace(SUBJECT, zones=ZoneSet(whole_frame=True))
    assert commission(more, REGISTER, POLICY, now=NOW, by="A").verdict.value == "fits_with_mask"


def test_signed_files(tmp_path: Path) -> None:
    register, record = tmp_path / "premises.json", tmp_path / "commissioning.json"
    sign_register(REGISTER, register, CITY)
    loaded = load_register(register, [CITY.public])
    assert loaded.register == REGISTER
    assert loaded.signers == (CITY.public.key_id,)
    save_record(RECORD, record, ANNA)
    assert load_record(record, [ANNA.public]) == RECORD
    for call in (
        lambda: load_register(register, [ANNA.public]),
        lambda: load_register(register),
        lambda: load_record(record, [CITY.public]),
        lambda: load_record(register, [CITY.public]),
    ):
        with pytest.raises(BadSignature):
            call()
    plain = tmp_path / "plain.geojson"
    plain.write_text(format_register(REGISTER), "utf-8")
    assert load_register(plain).register == REGISTER
    with pytest.raises(BadSignature) as caught:
        load_register(plain, [CITY.public])
    assert caught.value.code == "placement.register.unsigned"
    with pytest.raises(ConfigError) as missing:
        load_register(tmp_path / "none")
    assert missing.value.code == "placement.file.missing"
    with pytest.raises(ConfigError):
        sign_register(REGISTER, tmp_path / "no" / "folder", CITY)


def test_a_signed_register_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(sign(DocumentType.REGISTER, {"type": "nothing"}, CITY))
    with pytest.raises(ConfigError):
        load_register(path, [CITY.public])


junk = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers())


@settings(max_examples=60)
@given(st.data(), junk)
def test_any_payload_is_a_record_or_refused(data: st.DataObject, value: Any) -> None:
    payload = json.loads(json.dumps(record_payload(RECORD)))
    node: Any = payload
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            node[key] = value
            break
        node = node[key]
    try:
        record = read_record(payload)
    except TrustError as err:
        code = err.code
    else:
        code = "" if record.device else "no device"
    assert code in ("placement.commission.invalid", "", "no device")
