"""Receipts: what a consumer writes is read back, and no bytes whatever upset the parser."""

from __future__ import annotations

import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from alpr_edge.delivery.receipts import MAX_BYTES, make_receipt, parse_receipt

ids = st.lists(st.uuids().map(str), unique=True, max_size=50)
json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ids", "x"]), inner),
)


@given(ids)
def test_round_trip(event_ids: list[str]) -> None:
    assert parse_receipt(make_receipt(event_ids)) == tuple(event_ids)


@given(st.binary(max_size=300))
@example(b"[" * 60_000)
@example(b'{"ids":' * 9_000)
@example(b'{"ids":[' + b"9" * 6_000 + b"]}")
@example(b"\xff\xfe")
def test_random_bytes_never_raise(payload: bytes) -> None:
    assert isinstance(parse_receipt(payload), tuple)


@given(json_like)
def test_random_json_never_raises(document: object) -> None:
    import json

    for one in parse_receipt(json.dumps(document).encode("utf-8", "replace")):
        uuid.UUID(one)


def test_what_is_no_id_is_left_out() -> None:
    good = str(uuid.uuid4())
    payload = f'{{"ids":["{good}", 1, null, "x", "{good.upper()}", "{good}"]}}'.encode()
    assert parse_receipt(payload) == (good,)


def test_a_huge_receipt_is_none() -> None:
    assert parse_receipt(b" " * MAX_BYTES + b"{}") == ()
