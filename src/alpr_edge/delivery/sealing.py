"""How a payload is sealed before it is written to the outbox.

The seam for encryption: a sealer that uses AES-256-GCM with the event's id as associated data fits
without a change to the outbox or its schema. `PlainSealer`, the only one now, hides nothing.
"""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Turns a payload into what may lie on disk, and back."""

    def seal(self, event_id: str, payload: bytes) -> bytes:
        """Bytes for the disk."""
        ...

    def open(self, event_id: str, sealed: bytes) -> bytes:
        """The payload of `seal`."""
        ...


class PlainSealer:
    """Stores payloads as they are; the file's mode 0600 is all that protects them."""

    def seal(self, event_id: str, payload: bytes) -> bytes:
        """The payload itself."""
        return payload

    def open(self, event_id: str, sealed: bytes) -> bytes:
        """The payload itself."""
        return sealed
