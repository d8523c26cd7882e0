"""One signed statement of what a device is and runs: EAT claims as a JWT. Pure.

Claims are those of RFC 9711 where it has them (`ueid`, `eat_profile`, `swname`, `swversion`,
`bootcount`, `iat`), and our own under names that begin with `alpr_`. The device signs with its own
key (EdDSA); PyJWT does the JOSE.

It proves that the holder of the device's key said this at that time, and no more; `explain` says so
claim by claim.

Source: RFC 9711 (EAT), RFC 7519 (JWT), RFC 8037 (EdDSA in JOSE).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alpr_edge.errors import BadSignature
from alpr_edge.trust.keys import PrivateKey, PublicKey

PROFILE: Final = "tag:alpr-edge,2026:device-state:1"
_ALGORITHM: Final = "EdDSA"
_TYPE: Final = "eat+jwt"
MAX_BYTES: Final = 65_536
_UEID_RAND = b"\x01"
"""Source: RFC 9711, section 4.2.1.1: a UEID of type RAND, 32 bytes follow."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a device says of itself. Digests are SHA-256 in hex; None where it does not know.

    Attributes:
        ledger_origin, ledger_size, ledger_root: the newest signed head of its ledger.
        time_source: what disciplines its clock, `unknown` where nothing says.
        key_in_tpm: whether a TPM holds the device's key.
        witness: whose cosignature the device verified last; empty where it misses one; None where
            it knows no witness.
        witnessed_size, witnessed_at: what of the ledger that cosigned, and when (Unix seconds, by
            the witness's clock).
    """

    device: str
    software: str
    version: str
    boot_count: int
    config: str
    mask: str
    models: tuple[str, ...]
    sbom: str | None = None
    scan_findings: int | None = None
    register: str | None = None
    commissioning: str | None = None
    self_test_passed: bool | None = None
    drift_stopped: bool | None = None
    ledger_origin: str = ""
    ledger_size: int = 0
    ledger_root: str = ""
    time_source: str = "unknown"
    key_in_tpm: bool = False
    models_signers: tuple[str, ...] | None = None
    witness: str | None = None
    witnessed_size: int | None = None
    witnessed_at: int | None = None
    scan_unlisted: int | None = None
    scan_missed: int | None = None


def attest(
    statement: Statement,
    key: PrivateKey,
    issued_at: int,
    *,
    quote: Callable[[bytes], Mapping[str, str]] | None = None,
) -> bytes:
    """The statement as a compact JWT, signed by the device at Unix time `issued_at`.

    Args:
        quote: gives a TPM's quote over a digest, here that of all other claims; an empty one where
            the TPM failed.
    """
    claims = {
        "eat_profile": PROFILE,
        "iat": issued_at,
        "ueid": (_UEID_RAND + hashlib.sha256(key.public.raw).digest()).hex(),
        "sub": statement.device,
        "swname": statement.software,
        "swversion": [statement.version],
        "bootcount": statement.boot_count,
        "alpr_config": statement.config,
        "alpr_mask": statement.mask,
        "alpr_models": list(statement.models),
        "alpr_models_signers": None
        if statement.models_signers is None
        else list(statement.models_signers),
        "alpr_sbom": statement.sbom,
        "alpr_scan_findings": statement.scan_findings,
        "alpr_scan_unlisted": statement.scan_unlisted,
        "alpr_scan_missed": statement.scan_missed,
        "alpr_register": statement.register,
        "alpr_commissioning": statement.commissioning,
        "alpr_self_test_passed": statement.self_test_passed,
        "alpr_drift_stopped": statement.drift_stopped,
        "alpr_ledger_origin": statement.ledger_origin,
        "alpr_ledger_size": statement.ledger_size,
        "alpr_ledger_root": statement.ledger_root,
        "alpr_witness": statement.witness,
        "alpr_witnessed_size": statement.witnessed_size,
        "alpr_witnessed_at": statement.witnessed_at,
        "alpr_time_source": statement.time_source,
        "alpr_key_in_tpm": statement.key_in_tpm,
    }
    known = {name: value for name, value in claims.items() if value is not None}
    if quote is not None:
        known["alpr_tpm"] = dict(quote(claims_digest(known)))
    headers = {"typ": _TYPE, "kid": key.public.key_id}
    return jwt.encode(known, key.to_pem(), algorithm=_ALGORITHM, headers=headers).encode()


def claims_digest(claims: Mapping[str, Any]) -> bytes:
    """SHA-256 of all claims but the TPM's: what its quote is bound to."""
    rest = {name: value for name, value in claims.items() if name != "alpr_tpm"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).digest()


def check(token: bytes, keys: Iterable[PublicKey]) -> dict[str, Any]:
    """The claims, if one of the device's keys signed them.

    Raises:
        BadSignature: none did, or it is no attestation (`trust.attestation.*`).
    """
    if len(token) > MAX_BYTES:
        raise _refused("invalid", "it is too long")
    for key in keys:
        try:
            public = Ed25519PublicKey.from_public_bytes(key.raw)
            claims = jwt.decode(
                token,
                public,
                algorithms=[_ALGORITHM],
                options={"require": ["iat", "eat_profile", "sub"], "verify_iat": False},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError, RecursionError) as err:
            raise _refused("invalid", str(err)[:100]) from err
        if claims["eat_profile"] != PROFILE or not isinstance(claims["iat"], int):
            raise _refused("profile", f"its profile is {str(claims['eat_profile'])[:60]!r}")
        return dict(claims)
    raise _refused("signature", "no known key of the device signed it")


_EXPLAINED: Final[Mapping[str, tuple[str, str]]] = {
    "sub": ("the device's name", "that this is the unit that hangs on the pole"),
    "ueid": ("the device's key, hashed", "that nobody copied the key, unless a TPM holds it"),
    "iat": ("when it was said, by the device's clock", "that the clock was right"),
    "swname": ("the program that says so", "that no other program runs beside it"),
    "swversion": ("its version", "that its files are unchanged; compare the SBOM"),
    "bootcount": ("how often the service has started", "that it was not started elsewhere"),
    "alpr_config": ("digest of the configuration in force", "that the configuration is wise"),
    "alpr_mask": ("digest of the masks in force", "that the masks cover what they should"),
    "alpr_models": (
        "digests of the models that were loaded",
        "what a network cannot compute: only which files ran",
    ),
    "alpr_models_signers": (
        "keys that signed the models; empty: no signature was asked for, digests alone count",
        "that who holds the key looked at the models well",
    ),
    "alpr_sbom": ("digest of the list of installed packages", "that the list is complete"),
    "alpr_scan_findings": (
        "how many packages or files are on the list of face and biometric software",
        "that software which is not on the list, or is renamed, is absent",
    ),
    "alpr_scan_missed": (
        "places that the search could not look at",
        "anything about them: with any, no finding is no proof",
    ),
    "alpr_scan_unlisted": (
        "how many networks lie beside the program that the models' manifest does not name",
        "what they compute; nor that none lies elsewhere on the disk",
    ),
    "alpr_register": ("digest of the register of premises", "that the register is complete"),
    "alpr_commissioning": ("digest of the commissioning record", "that nothing moved since"),
    "alpr_self_test_passed": ("whether the last self-test passed", "more than it tests"),
    "alpr_drift_stopped": ("whether reading is stopped because the view shifted", "small shifts"),
    "alpr_ledger_origin": ("which ledger it keeps", "that it keeps no second one; ask the witness"),
    "alpr_ledger_size": ("how many entries are signed", "that they are true"),
    "alpr_ledger_root": ("the ledger's root, to compare with the witness", "the same"),
    "alpr_witness": (
        "whose cosignature over its ledger the device verified last; empty: it misses one",
        "that the witness saw no other ledger of this device; ask the witness itself",
    ),
    "alpr_witnessed_size": ("how many entries that witness has cosigned", "that they are true"),
    "alpr_witnessed_at": ("when, by the witness's clock (Unix seconds)", "that its clock is right"),
    "alpr_time_source": ("what sets its clock", "that the source was right"),
    "alpr_key_in_tpm": ("whether a TPM keeps the key", "it: the device says so itself"),
    "alpr_tpm": (
        "a TPM's own signature over all the above and over what was started (PCRs)",
        "that the TPM is a genuine one, unless its key was written down when the unit was accepted",
    ),
    "eat_profile": ("which kind of statement this is", "anything"),
}


def explain(claims: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """`(claim, value, what it says, what it does not prove)` in plain words."""
    rows = []
    for name, value in claims.items():
        says, not_proven = _EXPLAINED.get(name, ("a claim that this version does not know", "it"))
        text = ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
        rows.append((name, text, says, not_proven))
    return rows


def _refused(name: str, why: str) -> BadSignature:
    codes = {
        "invalid": "trust.attestation.invalid",
        "profile": "trust.attestation.profile",
        "signature": "trust.attestation.signature",
    }
    return BadSignature(
        f"the attestation does not hold: {why}",
        code=codes[name],
        hint="take it from the device's topic unchanged, and check that the key is this device's",
    )
