"""Signed documents: sign and verify one DSSE envelope. Pure.

    {"payload": base64, "payloadType": "application/vnd.alpr-edge.KIND+json",
     "signatures": [{"keyid": "ed25519:…", "sig": base64}, …]}

Source: DSSE 1.0.2 (secure-systems-lab/dsse, protocol.md and envelope.md, 2024-05): what is signed
is PAE(type, payload), so that neither can be exchanged; the envelope is never parsed again after
verification, only the bytes that were verified are.

Rules:
- Signing writes canonical JSON, verifying takes the payload's bytes as they are: no signature
  depends on how a parser prints a number.
- A key id is a hint and decides nothing. A signature counts once a key, however often it stands
  there. Signatures of unknown keys are passed over; one known key is needed.
- JSON that two parsers may read differently is refused: repeated keys, NaN, a top level that is no
  object.

It does not know who a key belongs to (`keyring`), nor files and clocks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from alpr_edge.errors import BadSignature, DigestMismatch
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.keys import PrivateKey, PublicKey

MAX_ENVELOPE_BYTES: Final = 8 << 20
"""A register of a whole city has some hundred kilobytes."""
MAX_SIGNATURES: Final = 16

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """A document whose signatures were verified.

    Attributes:
        payload: its JSON object.
        signers: the keys that signed it, each once, in the order of the list that was given.
        digest: SHA-256 in hex of the payload's bytes; names the document, whoever signed it.
    """

    payload: dict[str, Any]
    signers: tuple[PublicKey, ...]
    digest: str


def canonical(payload: Payload) -> bytes:
    """The bytes that are signed: JSON with sorted keys, no spaces, ASCII only.

    Raises:
        ValueError: not JSON (a float that is no number, a key that is no text, another type).
    """
    _refuse_odd_keys(payload)
    try:
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as err:
        raise ValueError(f"not a JSON value: {err}") from err
    return text.encode("ascii")


def digest(payload: Payload) -> str:
    """SHA-256 in hex of the canonical bytes, as `Signed.digest` of what `sign` makes."""
    return hashlib.sha256(canonical(payload)).hexdigest()


def sign(document_type: DocumentType, payload: Payload, *keys: PrivateKey) -> bytes:
    """The payload in an envelope, signed with every key given.

    Raises:
        ValueError: no key, or the payload is not JSON.
    """
    if not keys:
        raise ValueError("a document needs a key to sign it")
    body = canonical(payload)
    return _format(document_type, body, [_signature(document_type, body, key) for key in keys])


def countersign(
    data: bytes, document_type: DocumentType, known: Sequence[PublicKey], key: PrivateKey
) -> bytes:
    """The same document with one more signature. The signatures of `known` keys are kept.

    Raises:
        BadSignature: no known key signed it: nothing is signed blindly.
    """
    body, found = _verified(data, document_type, known)
    kept = [entry for public, entry in found.items() if public != key.public]
    return _format(document_type, body, [*kept, _signature(document_type, body, key)])


def verify(
    data: bytes, document_type: DocumentType, keys: Iterable[PublicKey], *, threshold: int = 1
) -> dict[str, Any]:
    """The payload, if enough of the keys signed it.

    Raises:
        BadSignature: as `examine`.
    """
    return examine(data, document_type, keys, threshold=threshold).payload


def examine(
    data: bytes, document_type: DocumentType, keys: Iterable[PublicKey], *, threshold: int = 1
) -> Signed:
    """The payload and who signed it.

    Args:
        keys: the keys that are trusted for this, oldest to newest.
        threshold: how many different ones must have signed.

    Raises:
        BadSignature: `trust.envelope.invalid`, `trust.signature.type` or `.missing`.
    """
    body, found = _verified(data, document_type, keys)
    if len(found) < threshold:
        raise BadSignature(
            f"the {document_type.value} has {len(found)} valid signatures, {threshold} are needed",
            code="trust.signature.too_few",
            hint="let another person countersign it",
        )
    return Signed(_json(body), tuple(found), hashlib.sha256(body).hexdigest())


def read_unverified(data: bytes, document_type: DocumentType) -> Signed:
    """The payload of an envelope whoever signed it: to show it, or to check its digest elsewhere.

    Raises:
        BadSignature: `trust.envelope.invalid` or `trust.signature.type`.
    """
    body = _body(_open(data), document_type)
    return Signed(_json(body), (), hashlib.sha256(body).hexdigest())


def sign_file(
    document_type: DocumentType, content: bytes, *keys: PrivateKey, **extra: Any
) -> bytes:
    """A signature to lie beside a file: an envelope that names the file's digest and size.

    Args:
        extra: more to sign with it, such as `number=3`.
    """
    return sign(document_type, {**extra, **_named(content)}, *keys)


def verify_file(
    data: bytes, content: bytes, document_type: DocumentType, keys: Iterable[PublicKey]
) -> dict[str, Any]:
    """What `sign_file` signed, if it is about these bytes.

    Raises:
        BadSignature: as `examine`.
        DigestMismatch: `trust.file.changed`: signed were other bytes.
    """
    payload = verify(data, document_type, keys)
    named = _named(content)
    if {key: payload.get(key) for key in named} != named:
        raise DigestMismatch(
            f"the {document_type.value} is not the one that was signed",
            code="trust.file.changed",
            hint="it was changed after signing: put the signed file back, or sign it again",
        )
    return payload


def pae(payload_type: str, body: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what Ed25519 signs."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def _named(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _signature(document_type: DocumentType, body: bytes, key: PrivateKey) -> dict[str, str]:
    signature = key.sign(pae(document_type.payload_type, body))
    return {"keyid": key.public.key_id, "sig": base64.b64encode(signature).decode("ascii")}


def _format(
    document_type: DocumentType, body: bytes, signatures: Sequence[Mapping[str, str]]
) -> bytes:
    envelope = {
        "payload": base64.b64encode(body).decode("ascii"),
        "payloadType": document_type.payload_type,
        "signatures": list(signatures),
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _verified(
    data: bytes, document_type: DocumentType, keys: Iterable[PublicKey]
) -> tuple[bytes, dict[PublicKey, dict[str, str]]]:
    """The payload's bytes, and the entry of every key whose signature holds; at least one."""
    envelope = _open(data)
    body = _body(envelope, document_type)
    message = pae(document_type.payload_type, body)
    signatures = [_base64(entry["sig"]) for entry in envelope["signatures"]]
    found = {}
    for key in keys:
        for signature in signatures:
            if key.verifies(signature, message):
                encoded = base64.b64encode(signature).decode("ascii")
                found[key] = {"keyid": key.key_id, "sig": encoded}
                break
    if not found:
        raise BadSignature(
            f"no known key signed this {document_type.value}",
            code="trust.signature.missing",
            hint="it was changed after signing, or signed with a key that is not in the list",
        )
    return body, found


def _body(envelope: Mapping[str, Any], document_type: DocumentType) -> bytes:
    if envelope["payloadType"] != document_type.payload_type:
        raise BadSignature(
            f"this is not a {document_type.value} but {str(envelope['payloadType'])[:80]!r}",
            code="trust.signature.type",
            hint="give the right file: a signature holds for one kind of document only",
        )
    return _base64(envelope["payload"])


def _open(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_ENVELOPE_BYTES:
        _invalid(f"larger than {MAX_ENVELOPE_BYTES} bytes")
    envelope = _json(data)
    signatures = envelope.get("signatures")
    if not isinstance(envelope.get("payload"), str):
        _invalid("payload: must be text")
    if not isinstance(envelope.get("payloadType"), str):
        _invalid("payloadType: must be text")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        _invalid(f"signatures: must be a list of 1 to {MAX_SIGNATURES}")
    for entry in signatures:
        if not isinstance(entry, dict) or not isinstance(entry.get("sig"), str):
            _invalid("signatures: each must be an object with sig")
    return envelope


def _json(data: bytes) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a key is given twice")
        return found

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as err:
        raise _error(f"not JSON: {str(err)[:100]}") from err
    if not isinstance(value, dict):
        _invalid("not a JSON object")
    return value


def _base64(text: str) -> bytes:
    """Standard or URL-safe; DSSE lets the signer choose."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as err:
        raise _error(f"not base64: {err}") from err


def _invalid(reason: str) -> NoReturn:
    raise _error(reason)


def _error(reason: str) -> BadSignature:
    return BadSignature(
        f"not a signed document: {reason}",
        code="trust.envelope.invalid",
        hint="the file is damaged or not one that alpr-edge signed",
    )


def _refuse_odd_keys(value: Any) -> None:
    """json.dumps would write `{1: …}` as `{"1": …}`: another document than the one given."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if not all(isinstance(key, str) for key in one):
                raise ValueError("not a JSON value: a key is not text")
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
