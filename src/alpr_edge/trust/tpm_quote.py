"""What a TPM's quote says, and whether it holds. Pure.

Source: TPM 2.0 Library, part 2, sections 10.12.12 (TPMS_ATTEST), 10.12.1 (TPMS_QUOTE_INFO), 10.11.1
(TPMS_CLOCK_INFO); all numbers big-endian.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from alpr_edge.errors import BadSignature

_MAGIC: Final = 0xFF544347
"""TPM_GENERATED_VALUE: no key of this kind signs data from outside that begins so."""
_QUOTE: Final = 0x8018
_SHA256: Final = 0x000B
_PCR_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote whose signature held.

    Attributes:
        key: SHA-256 in hex of the TPM's public key (DER): compare with what was written down.
        pcrs: value by number, hex.
        resets: how often the TPM was powered up.
        firmware: the TPM's own version.
    """

    key: str
    pcrs: dict[int, str]
    resets: int
    firmware: int


def check_quote(document: Mapping[str, Any], digest: bytes) -> Quote:
    """The quote of `Tpm.quote(digest)`.

    Raises:
        BadSignature: it does not hold, or is over another digest (`trust.tpm.quote`).
    """
    parts = {name: _bytes(document, name) for name in ("quote", "signature", "public", "pcrs")}
    try:
        key = load_der_public_key(parts["public"])
        if not isinstance(key, EllipticCurvePublicKey):
            raise _refused("its key is no elliptic-curve key")
        key.verify(parts["signature"], parts["quote"], ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as err:
        raise _refused("its signature does not hold") from err
    try:
        said, numbers, pcr_digest, resets, firmware = _parse(parts["quote"])
    except (struct.error, IndexError) as err:
        raise _refused("it is cut short") from err
    if said != digest:
        raise _refused("it is over other claims")
    values = parts["pcrs"]
    if len(values) != _PCR_BYTES * len(numbers) or hashlib.sha256(values).digest() != pcr_digest:
        raise _refused("the PCR values are not the quoted ones")
    pcrs = {
        number: values[_PCR_BYTES * at : _PCR_BYTES * (at + 1)].hex()
        for at, number in enumerate(numbers)
    }
    return Quote(hashlib.sha256(parts["public"]).hexdigest(), pcrs, resets, firmware)


def _parse(data: bytes) -> tuple[bytes, list[int], bytes, int, int]:
    magic, kind = struct.unpack_from(">IH", data, 0)
    if magic != _MAGIC or kind != _QUOTE:
        raise _refused("it is no quote")
    _signer, at = _sized(data, 6)
    extra, at = _sized(data, at)
    _clock, resets, _restarts, _safe = struct.unpack_from(">QIIB", data, at)
    (firmware, selections) = struct.unpack_from(">QI", data, at + 17)
    at += 17 + 12
    numbers: list[int] = []
    for _ in range(min(selections, 16)):
        bank, size = struct.unpack_from(">HB", data, at)
        bits = data[at + 3 : at + 3 + size]
        if len(bits) != size or bank != _SHA256:
            raise _refused("it is over PCRs of another kind")
        numbers += [8 * i + b for i, byte in enumerate(bits) for b in range(8) if byte >> b & 1]
        at += 3 + size
    pcr_digest, at = _sized(data, at)
    if at != len(data):
        raise _refused("something follows it")
    return extra, numbers, pcr_digest, resets, firmware


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">H", data, at)
    part = data[at + 2 : at + 2 + size]
    if len(part) != size:
        raise IndexError
    return part, at + 2 + size


def _bytes(document: Mapping[str, Any], name: str) -> bytes:
    text = document.get(name)
    try:
        return base64.b64decode(text if isinstance(text, str) else "!", validate=True)
    except (binascii.Error, ValueError) as err:
        raise _refused(f"it has no {name}") from err


def _refused(why: str) -> BadSignature:
    return BadSignature(
        f"the TPM's quote does not hold: {why}",
        code="trust.tpm.quote",
        hint="take the attestation from the device's topic unchanged",
    )
