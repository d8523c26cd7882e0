"""The vocabulary: closed, canonical, and without a place for a plate."""

from __future__ import annotations

import json
import re
import typing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import DIGEST, EVENT, boot, egress, hour
from pydantic import TypeAdapter, ValidationError

from alpr_edge.errors import AuditError
from alpr_edge.ledger import fields
from alpr_edge.ledger.entry import Entry, decode, make_entry
from alpr_edge.ledger.kinds import KINDS, Access, AnyBody, Hour, MaskChange
from alpr_edge.types import DropReason

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
_LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=3)
_DIGITS = st.text("0123456789", min_size=1, max_size=4)
PLATES = st.builds(
    lambda parts, gap: gap.join(parts),
    st.one_of(st.tuples(_LETTERS, _DIGITS), st.tuples(_DIGITS, _LETTERS, _DIGITS)).filter(
        lambda parts: sum(map(len, parts)) >= 4
    ),
    st.sampled_from(["", " ", "-"]),
)


def _entry(body: Any, seq: int = 0) -> Entry:
    return make_entry(body, seq=seq, at=NOW, boot=1, up_ms=5)


@pytest.mark.parametrize("body", [boot(), egress(), hour()])
def test_an_entry_comes_back_from_its_bytes(body: Any) -> None:
    entry = _entry(body)
    assert decode(entry.encode()) == entry
    assert json.loads(entry.encode())["at"] == "2026-11-02T08:00:00.000Z"


def test_the_list_of_kinds_is_the_closed_union() -> None:
    union = typing.get_args(typing.get_args(AnyBody)[0])
    assert set(union) == set(KINDS)
    names = [kind.model_fields["kind"].default for kind in KINDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "plate_seen"},
        {"plate": "7ABC123"},
        {"count": "3"},
        {"count": -1},
        {"count": 3.5},
        {"first": "7ABC123"},
        {"destination": "7ABC123"},
        {"certificate": DIGEST.upper()},
    ],
)
def test_unknown_kinds_fields_and_types_are_refused(change: dict[str, Any]) -> None:
    document = json.loads(_entry(egress()).encode())
    document["body"] |= change
    with pytest.raises(AuditError, match="not an entry"):
        decode(json.dumps(document, separators=(",", ":")).encode())


def test_other_bytes_of_the_same_entry_are_refused() -> None:
    good = _entry(egress()).encode()
    for wrong in (
        good + b"\n",
        good.replace(b":", b": ", 1),
        good.replace(b'"seq"', b'"\\u0073eq"'),
    ):
        assert json.loads(wrong) == json.loads(good)
        with pytest.raises(AuditError, match="canonical"):
            decode(wrong)


@given(st.binary(max_size=300))
def test_garbage_is_refused_in_order(data: bytes) -> None:
    with pytest.raises(AuditError):
        decode(data)


# --- no plate --------------------------------------------------------------------------------


def _text_fields() -> list[tuple[type, str]]:
    """Every field of every kind whose JSON can be a text, but for its own closed list."""
    found = []
    for kind in KINDS:
        schema = kind.model_json_schema()
        for name, part in schema["properties"].items():
            if '"type": "string"' in json.dumps(part) and "const" not in part:
                found.append((kind, name))
    return found


def test_the_census_sees_the_fields() -> None:
    seen = {(kind.__name__, name) for kind, name in _text_fields()}
    assert {("Access", "purpose"), ("Login", "who"), ("Boot", "software")} <= seen
    assert len(seen) > 40


ADAPTERS = [
    (kind.__name__, name, TypeAdapter(kind.model_fields[name].rebuild_annotation()))
    for kind, name in _text_fields()
]


@settings(max_examples=25)
@given(plate=PLATES)
def test_no_field_of_any_kind_takes_a_plate(plate: str) -> None:
    for kind, name, adapter in ADAPTERS:
        for text in (plate, plate.lower(), plate.replace(" ", ""), f"seen {plate} today"):
            for value in (text, [text], (text,), {text: 8}, {"unread": text}):
                assert not _takes(adapter, value), f"{kind}.{name} takes {value!r}"


def _takes(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_numbers_are_bounded_and_suppressions_coarse() -> None:
    with pytest.raises(ValidationError):
        Hour(**(hour().model_dump() | {"frames": 1 << 53}))
    for exact in (0, 1, 7, 9, 12):
        with pytest.raises(ValidationError, match="power of two"):
            Hour(**(hour().model_dump() | {"suppressed_at_most": {DropReason.UNREAD: exact}}))


@given(plate=PLATES)
def test_what_people_type_loses_its_plates(plate: str) -> None:
    for text in (plate, f"about {plate}, seen", plate.lower(), " ".join(plate)):
        shown = fields.prose(text)
        assert fields.prose(shown) == shown
        squeezed = re.sub(r"[^A-Za-z0-9]", "", shown.replace(fields.WITHHELD, ""))
        assert re.sub(r"[^A-Z0-9]", "", plate).lower() not in squeezed.lower()
        assert fields.person(text).startswith("id:")
    Access(
        act="show",
        query="all",
        who=fields.person(plate),
        organisation=fields.prose(plate),
        purpose=fields.prose(plate),
        count=1,
        first=EVENT,
        last=EVENT,
    )


@given(st.text(max_size=300))
def test_anything_typed_can_be_recorded(text: str) -> None:
    change = MaskChange(
        old=DIGEST,
        new=DIGEST,
        added=1,
        removed=0,
        narrowed=None,
        by=fields.person(text),
        reason=fields.prose(text),
    )
    assert decode(_entry(change).encode()).body == change
    assert fields.host(text) == fields.host(fields.host(text))


def test_what_remains_readable() -> None:
    assert fields.prose("Council letter of 2026-11-02, page II") == (
        "Council letter of 2026-11-02, page [withheld]"
    )
    assert fields.person("A. Technician") == "A. Technician"
    assert fields.person("jane.doe") == "jane.doe"
    assert fields.person("") == "nobody"
    assert fields.host("Broker.City.Example") == "broker.city.example"
