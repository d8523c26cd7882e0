"""How a payload is sealed before it is written to the outbox: AES-256-GCM, one nonce a row. Pure.

It holds keys while the process runs; where they lie is `key_store`'s business.

Rules:
- The event's id and its schema are bound as associated data: a sealed payload that was moved to
  another row, or whose row's schema was changed, does not open.
- The newest key seals, every key of the ring opens. A key leaves the ring when no row needs it.
- `repr` shows no key.

Source: NIST SP 800-38D, sections 5.2.1.1 and 8.3 (96-bit random nonces, at most 2^32 a key).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_VERSION = b"\x01"
OVERHEAD_BYTES = len(_VERSION) + 4 + _NONCE_BYTES + _TAG_BYTES
"""What sealing adds to a payload: version, key number, nonce, tag."""


class Unsealable(Exception):
    """Sealed bytes that no key of the ring opens, or that were changed or moved."""


class Sealer(Protocol):
    """Turns a payload into what may lie on disk, and back."""

    def seal(self, event_id: str, schema: str, payload: bytes) -> bytes:
        """Bytes for the disk."""
        ...

    def open(self, event_id: str, schema: str, sealed: bytes) -> bytes:
        """The payload of `seal`.

        Raises:
            Unsealable: it was sealed by an unknown key, for another row, or changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a ring.

    Attributes:
        number: 1 and up, never used twice by a device.
        made_at: Unix time in seconds, for rotation.
    """

    number: int
    made_at: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.number < 2**32 or len(self.secret) != KEY_BYTES:
            raise ValueError("a key has a number from 1 and 32 bytes")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys from the oldest to the newest; at least one."""

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        numbers = [key.number for key in self.keys]
        if not numbers or numbers != sorted(set(numbers)):
            raise ValueError("a ring has one key or more, in the order of their numbers")

    @property
    def newest(self) -> Key:
        """The key that seals."""
        return self.keys[-1]

    def rotated(self, secret: bytes, made_at: int) -> KeyRing:
        """With a new key that seals from now on."""
        return KeyRing((*self.keys, Key(self.newest.number + 1, made_at, secret)))

    def without(self, unused: set[int]) -> KeyRing:
        """Without old keys that no row needs; the newest always stays."""
        kept = (key for key in self.keys if key.number not in unused or key is self.newest)
        return KeyRing(tuple(kept))


class AesGcmSealer:
    """Seals with a ring of keys.

    Args:
        ring: the keys.
        draw: n random bytes; `os.urandom` outside tests.
    """

    def __init__(self, ring: KeyRing, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """Go over to another ring; sealed bytes of its keys open, all others no more."""
        self.ring = ring
        self._ciphers = {key.number: AESGCM(key.secret) for key in ring.keys}
        self._head = _VERSION + ring.newest.number.to_bytes(4, "big")

    def seal(self, event_id: str, schema: str, payload: bytes) -> bytes:
        """By the newest key: version, key number, nonce, ciphertext with tag."""
        nonce = self._draw(_NONCE_BYTES)
        cipher = self._ciphers[self.ring.newest.number]
        head = self._head + nonce
        return head + cipher.encrypt(nonce, payload, _bound(self._head, event_id, schema))

    def open(self, event_id: str, schema: str, sealed: bytes) -> bytes:
        """By whichever key sealed it.

        Raises:
            Unsealable: see `Sealer.open`.
        """
        head, nonce, body = sealed[:5], sealed[5:17], sealed[17:]
        cipher = self._ciphers.get(int.from_bytes(head[1:], "big"))
        if len(sealed) < OVERHEAD_BYTES or head[:1] != _VERSION or cipher is None:
            raise Unsealable("no key of the ring sealed this")
        try:
            return cipher.decrypt(nonce, body, _bound(head, event_id, schema))
        except InvalidTag:
            raise Unsealable("it was changed, or sealed for another row") from None


def key_number(sealed: bytes) -> int:
    """Which key sealed it, from its first five bytes."""
    return int.from_bytes(sealed[1:5], "big")


def _bound(head: bytes, event_id: str, schema: str) -> bytes:
    """Associated data; the parts cannot run into each other, as ids and schemas hold no NUL."""
    return b"\0".join((b"alpr-edge outbox", head, event_id.encode(), schema.encode()))
