"""Ed25519 keys as values. Pure: `key_files` reads and writes them.

A public key's text is `ed25519:` and 43 characters of URL-safe base64; it is short enough to be
read over a telephone, and it is its own id in envelopes.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from alpr_edge.errors import KeyUnusable

_PREFIX: Final = "ed25519:"
KEY_BYTES: Final = 32
"""Source: RFC 8032, section 5.1.5."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies. Equal keys are equal values.

    Attributes:
        raw: its 32 bytes.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise ValueError(f"an Ed25519 key has {KEY_BYTES} bytes, not {len(self.raw)}")

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """From the text form.

        Raises:
            KeyUnusable: `trust.key.invalid`.
        """
        body = text.strip().removeprefix(_PREFIX)
        try:
            raw = base64.b64decode(body + "=", altchars=b"-_", validate=True)
            if text.strip() == cls(raw).key_id:
                return cls(raw)
        except (binascii.Error, ValueError):
            pass
        raise KeyUnusable(
            "this is not a public key",
            code="trust.key.invalid",
            hint="a public key looks like ed25519: and 43 letters, digits, '-' or '_'",
        )

    @property
    def key_id(self) -> str:
        """The text form."""
        return _PREFIX + base64.urlsafe_b64encode(self.raw).decode("ascii").rstrip("=")

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key's owner signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return self.key_id


class PrivateKey:
    """A key that signs. Never shows itself; `repr` names the public half."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one from the system's random source."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None = None) -> PrivateKey:
        """From PKCS #8 in PEM.

        Raises:
            KeyUnusable: `trust.key.passphrase` or `trust.key.invalid`.
        """
        try:
            key = load_pem_private_key(data, passphrase or None)
        except TypeError as err:
            raise KeyUnusable(
                "the key needs a passphrase" if not passphrase else "the key has no passphrase",
                code="trust.key.passphrase",
                hint="name a file that holds it with --passphrase-file",
            ) from err
        except (ValueError, UnsupportedAlgorithm) as err:
            raise KeyUnusable(
                "the passphrase is wrong, or this is not a private key",
                code="trust.key.passphrase" if passphrase else "trust.key.invalid",
                hint="a private key is a PKCS #8 PEM file, as `alpr-edge keys new` writes it",
            ) from err
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(
                "the key is not an Ed25519 key",
                code="trust.key.invalid",
                hint="make one with `alpr-edge keys new`",
            )
        return cls(key)

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """PKCS #8 in PEM, encrypted if there is a passphrase."""
        encryption: KeySerializationEncryption = (
            BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        )
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def sign(self, message: bytes) -> bytes:
        """64 bytes. For documents use `envelope.sign`, which says what kind they are."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled")
