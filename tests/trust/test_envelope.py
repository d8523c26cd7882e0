"""Signed documents: what was signed comes back, and nothing else does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr_edge.errors import BadSignature, DigestMismatch
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import (
    MAX_ENVELOPE_BYTES,
    canonical,
    countersign,
    digest,
    examine,
    pae,
    sign,
    sign_file,
    verify,
    verify_file,
)
from alpr_edge.trust.keys import PrivateKey

CITY, ANNA, BEN = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
KIND = DocumentType.MASK_RECORD

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
payloads = st.dictionaries(st.text(), json_values, max_size=5)


def code(data: bytes, *keys: PrivateKey, kind: DocumentType = KIND, threshold: int = 1) -> str:
    with pytest.raises(BadSignature) as caught:
        verify(data, kind, [key.public for key in keys], threshold=threshold)
    return caught.value.code


@given(payloads)
def test_what_was_signed_comes_back(payload: dict[str, Any]) -> None:
    signed = examine(sign(KIND, payload, ANNA), KIND, [CITY.public, ANNA.public])
    assert signed.payload == payload
    assert signed.signers == (ANNA.public,)
    assert signed.digest == digest(payload)


@given(payloads)
def test_the_same_payload_gives_the_same_bytes(payload: dict[str, Any]) -> None:
    turned = dict(reversed(list(payload.items())))
    assert sign(KIND, payload, ANNA) == sign(KIND, turned, ANNA)


@given(st.data(), payloads)
def test_any_changed_byte_of_the_payload_is_refused(data: st.DataObject, payload: Any) -> None:
    envelope = json.loads(sign(KIND, payload, ANNA))
    body = bytearray(base64.b64decode(envelope["payload"]))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    envelope["payload"] = base64.b64encode(body).decode()
    assert code(json.dumps(envelope).encode(), ANNA) == "trust.signature.missing"


def test_any_flipped_bit_of_the_whole_file_is_refused_or_changes_nothing() -> None:
    data = sign(KIND, {"number": 1}, ANNA)
    refused = 0
    for place in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << (place % 8)
        try:
            # The key id is a hint only, and some bits of base64's last character mean nothing.
            assert verify(bytes(damaged), KIND, [ANNA.public]) == {"number": 1}
        except BadSignature:
            refused += 1
    assert refused > len(data) * 8 * 0.7


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    assert code(data, ANNA) == "trust.envelope.invalid"


envelopes = st.fixed_dictionaries(
    {},
    optional={
        "payload": st.text() | json_values,
        "payloadType": st.just(KIND.payload_type) | json_values,
        "signatures": st.lists(st.dictionaries(st.sampled_from(["sig", "keyid"]), json_values))
        | json_values,
    },
)


@given(envelopes)
def test_random_envelopes_are_refused(envelope: dict[str, Any]) -> None:
    assert code(json.dumps(envelope).encode(), ANNA).startswith("trust.")


@pytest.mark.parametrize("kind", [kind for kind in DocumentType if kind is not KIND])
def test_a_signature_holds_for_one_kind_only(kind: DocumentType) -> None:
    data = sign(KIND, {}, ANNA)
    assert code(data, ANNA, kind=kind) == "trust.signature.type"
    envelope = json.loads(data)
    envelope["payloadType"] = kind.payload_type
    assert code(json.dumps(envelope).encode(), ANNA, kind=kind) == "trust.signature.missing"


def test_no_payload_type_is_the_beginning_of_a_trick() -> None:
    # PAE says how long each part is: no other pair of type and body gives the same bytes.
    assert pae("ab", b"c 1") != pae("a", b"b 3 c 1")
    assert pae("a", b"") == b"DSSEv1 1 a 0 "


def test_the_official_example_of_the_encoding() -> None:
    # Source: DSSE protocol.md, "Test Vectors".
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_an_independent_verifier_agrees() -> None:
    envelope = json.loads(sign(KIND, {"a": 1}, ANNA))
    body = base64.b64decode(envelope["payload"])
    message = b"DSSEv1 %d %b %d %b" % (
        len(envelope["payloadType"]),
        envelope["payloadType"].encode(),
        len(body),
        body,
    )
    key = Ed25519PublicKey.from_public_bytes(ANNA.public.raw)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)
    assert json.loads(body) == {"a": 1}


def test_two_signatures_are_two_signers() -> None:
    once = sign(KIND, {"a": 1}, ANNA)
    twice = countersign(once, KIND, [ANNA.public], BEN)
    signed = examine(twice, KIND, [BEN.public, ANNA.public], threshold=2)
    assert signed.signers == (BEN.public, ANNA.public)
    assert signed.digest == examine(once, KIND, [ANNA.public]).digest
    assert sign(KIND, {"a": 1}, ANNA, BEN) == twice


def test_one_key_counts_once() -> None:
    twice = countersign(sign(KIND, {}, ANNA), KIND, [ANNA.public], ANNA)
    assert code(twice, ANNA, BEN, threshold=2) == "trust.signature.too_few"
    envelope = json.loads(twice)
    envelope["signatures"] *= 3
    assert code(json.dumps(envelope).encode(), ANNA, ANNA, threshold=2) == "trust.signature.too_few"


def test_nothing_is_countersigned_blindly() -> None:
    with pytest.raises(BadSignature):
        countersign(sign(KIND, {}, ANNA), KIND, [CITY.public], BEN)


def test_key_ids_decide_nothing() -> None:
    envelope = json.loads(sign(KIND, {}, ANNA))
    envelope["signatures"][0]["keyid"] = BEN.public.key_id
    data = json.dumps(envelope).encode()
    assert examine(data, KIND, [BEN.public, ANNA.public]).signers == (ANNA.public,)


def test_an_old_key_verifies_until_it_is_left_out() -> None:
    data = sign(KIND, {}, ANNA)
    assert verify(data, KIND, [ANNA.public, BEN.public]) == {}
    assert code(data, BEN) == "trust.signature.missing"
    assert code(data) == "trust.signature.missing"


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[]", b'{"a": "\xff"}'])
def test_signed_json_that_parsers_may_differ_on_is_refused(body: bytes) -> None:
    signature = ANNA.sign(pae(KIND.payload_type, body))
    envelope = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": KIND.payload_type,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    assert code(json.dumps(envelope).encode(), ANNA) == "trust.envelope.invalid"


def test_url_safe_base64_and_unknown_fields_are_read() -> None:
    envelope = json.loads(sign(KIND, {"text": "???>>>~~~"}, ANNA))
    envelope["payload"] = envelope["payload"].replace("+", "-").replace("/", "_")
    envelope["more"] = 1
    assert verify(json.dumps(envelope).encode(), KIND, [ANNA.public]) == {"text": "???>>>~~~"}


def test_a_large_or_deep_file_is_refused_quickly() -> None:
    assert code(b"[" * (MAX_ENVELOPE_BYTES + 1), ANNA) == "trust.envelope.invalid"
    assert code(b"[" * 100_000, ANNA) == "trust.envelope.invalid"
    signatures = [{"sig": ""}] * 17
    many = {"payload": "", "payloadType": KIND.payload_type, "signatures": signatures}
    assert code(json.dumps(many).encode(), ANNA) == "trust.envelope.invalid"


@pytest.mark.parametrize("payload", [{"a": float("nan")}, {1: 2}, {"a": {2: 3}}, {"a": b""}])
def test_what_is_not_json_is_not_signed(payload: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|float"):
        canonical(payload)


def test_nothing_is_signed_without_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        sign(KIND, {})


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_signature_beside_a_file(content: bytes, other: bytes) -> None:
    assume(content != other)
    data = sign_file(DocumentType.CONFIG, content, CITY, number=3)
    assert verify_file(data, content, DocumentType.CONFIG, [CITY.public])["number"] == 3
    with pytest.raises(DigestMismatch) as caught:
        verify_file(data, other, DocumentType.CONFIG, [CITY.public])
    assert caught.value.code == "trust.file.changed"
