"""The signature over a folder of models: OpenSSF model signing 1.0, with a key. Pure.

    model.sig   a Sigstore bundle: { mediaType, verificationMaterial: { publicKey: { hint } },
                dsseEnvelope: in-toto statement with the predicate of model signing }

The statement lists every file of the folder with its SHA-256. Signed with ECDSA on P-256, P-384 or
P-521, as the format's own tool does, which verifies what is signed here and the other way round. Of
the format, what the device needs: files, SHA-256, one signature, keys from a list; no certificates,
no transparency log.

Rules:
- The list of keys is oldest to newest. A new key is added, models are signed anew, the old key is
  taken out: from then on whatever it signed does not load (revocation).
- The hint names a key and decides nothing.

Source: OpenSSF Model Signing v1.0 (sigstore/model-transparency, docs/model_signing_format.md);
DSSE 1.0.2; in-toto Statement v1; Sigstore bundle v0.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from alpr_edge.errors import BadSignature, KeyUnusable
from alpr_edge.trust.envelope import pae

SIGNATURE_FILE: Final = "model.sig"
MAX_SIGNATURE_BYTES: Final = 1 << 20
MAX_KEYS: Final = 16
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PREDICATE: Final = "https://model_signing/signature/v1.0"
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IGNORED: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""What the format leaves out of every folder."""
_HASHES: Final[Mapping[str, type[hashes.HashAlgorithm]]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_PEM: Final = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SignedModels:
    """What a signature covers.

    Attributes:
        digests: SHA-256 in hex by file name.
        signer: SHA-256 in hex of the key (PEM), as the format's hints have it.
    """

    digests: Mapping[str, str]
    signer: str


def parse_model_keys(text: str) -> tuple[ec.EllipticCurvePublicKey, ...]:
    """Public keys in PEM, one after the other, oldest first; other text is for people.

    Raises:
        KeyUnusable: none, too many, or one of another kind (`trust.key.invalid`).
    """
    found = [_public(pem) for pem in _PEM.findall(text)]
    if not 1 <= len(found) <= MAX_KEYS or "PRIVATE KEY" in text:
        raise _no_key(f"the list must hold 1 to {MAX_KEYS} public keys, and nothing private")
    return tuple(found)


def sign_models(files: Mapping[str, str], name: str, private_pem: bytes) -> bytes:
    """The content of `model.sig`.

    Args:
        files: SHA-256 in hex by file name, all files of the folder but this one.
        name: of the whole, for people.
        private_pem: ECDSA, without a passphrase.

    Raises:
        KeyUnusable: `trust.key.invalid`.
    """
    try:
        key = load_pem_private_key(private_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise _no_key("it is no private key, or needs a passphrase") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise _no_key("models are signed with a key on P-256, P-384 or P-521")
    payload = json.dumps(_statement(files, name)).encode()
    algorithm = _HASHES[key.curve.name]()
    signature = key.sign(pae(_PAYLOAD_TYPE, payload), ec.ECDSA(algorithm))
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": key_name(key.public_key())},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def verify_models(data: bytes, keys: Sequence[ec.EllipticCurvePublicKey]) -> SignedModels:
    """What `model.sig` covers, if one of the keys signed it.

    Raises:
        BadSignature: no key of the list did, or it is no such signature (`trust.model.signature`).
    """
    bundle = _object(data)
    if bundle.get("mediaType") != _BUNDLE:
        _refuse("it is no Sigstore bundle of version 0.3")
    envelope = bundle.get("dsseEnvelope")
    if not isinstance(envelope, dict) or envelope.get("payloadType") != _PAYLOAD_TYPE:
        _refuse("it holds no in-toto statement")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        _refuse("it must have one signature")
    payload = _base64(envelope.get("payload"))
    entry = signatures[0]
    signature = _base64(entry.get("sig") if isinstance(entry, dict) else None)
    for key in keys:
        try:
            algorithm = _HASHES[key.curve.name]()
            key.verify(signature, pae(_PAYLOAD_TYPE, payload), ec.ECDSA(algorithm))
        except InvalidSignature:
            continue
        return SignedModels(_digests(_object(payload)), key_name(key))
    raise _error("no key of the list signed it, or it was changed since")


def key_name(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 in hex of the key's PEM."""
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _statement(files: Mapping[str, str], name: str) -> dict[str, Any]:
    names = sorted(files)
    whole = hashlib.sha256(b"".join(bytes.fromhex(files[one]) for one in names)).hexdigest()
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE_FILE, *_IGNORED],
            },
            "resources": [
                {"name": one, "algorithm": "sha256", "digest": files[one]} for one in names
            ],
        },
    }


def _digests(statement: Mapping[str, Any]) -> dict[str, str]:
    if statement.get("_type") != _STATEMENT or statement.get("predicateType") != _PREDICATE:
        _refuse("its statement is of another kind or version")
    try:
        (subject,) = statement["subject"]
        predicate = statement["predicate"]
        if predicate["serialization"]["method"] != "files":
            _refuse("its files are not hashed one by one")
        found: dict[str, str] = {}
        for one in predicate["resources"]:
            raw = bytes.fromhex(one["digest"])
            if one["algorithm"] != "sha256" or len(raw) != 32 or one["name"] in found:
                _refuse("a file is listed twice, or not by its SHA-256")
            found[str(one["name"])] = raw.hex()
        whole = hashlib.sha256(b"".join(bytes.fromhex(one) for one in found.values())).hexdigest()
        if subject["digest"]["sha256"] != whole:
            _refuse("its files do not add up to its subject")
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise _error("its statement is not complete") from err
    return found


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_SIGNATURE_BYTES:
        _refuse("it is too long")
    try:
        document = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as err:
        raise _error("it is not JSON") from err
    if not isinstance(document, dict):
        _refuse("it is not a JSON object")
    return document


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "!", validate=True)
    except (binascii.Error, ValueError) as err:
        raise _error("it is not base64") from err


def _public(pem: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as err:
        raise _no_key("one of the list is no public key") from err
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise _no_key("models are signed with keys on P-256, P-384 or P-521")
    return key


def _no_key(why: str) -> KeyUnusable:
    return KeyUnusable(
        f"the key for models cannot be used: {why}",
        code="trust.key.invalid",
        hint="make one: openssl ecparam -genkey -name prime256v1 -noout -out models.key",
    )


def _refuse(why: str) -> NoReturn:
    raise _error(why)


def _error(why: str) -> BadSignature:
    return BadSignature(
        f"the models' signature does not hold: {why}",
        code="trust.model.signature",
        hint="sign the folder with `alpr-edge models sign`, with a key of models.keys",
    )
