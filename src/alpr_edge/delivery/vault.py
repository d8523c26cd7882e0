"""The outbox's sealer with its keys: makes the first one, rotates, and forgets what is not needed.

It joins `sealing` (how) and `key_store` (where). Forgetting a key erases every copy that was sealed
by it, also those that flash still holds in pages which were given back.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from alpr_edge.delivery.key_store import KeyStore
from alpr_edge.delivery.sealing import KEY_BYTES, AesGcmSealer, Key, KeyRing

_log = logging.getLogger(__name__)
ROTATE_S = 30 * 86_400
"""A new key every 30 days: the longest retention, so at most two keys are ever needed."""


class Vault:
    """A `sealing.Sealer`. Safe to use from several threads."""

    def __init__(
        self, store: KeyStore, wall_s: float, draw: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Load the ring, or make the first key.

        Raises:
            PublishError: the ring cannot be used or stored (`delivery.key.*`).
        """
        self._store, self._draw = store, draw
        self._lock = threading.Lock()
        ring = store.load()
        if ring is None:
            ring = KeyRing((Key(1, int(wall_s), draw(KEY_BYTES)),))
            store.save(ring)
        self._sealer = AesGcmSealer(ring, draw)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The keys' numbers, oldest first."""
        return tuple(key.number for key in self._sealer.ring.keys)

    def seal(self, event_id: str, schema: str, payload: bytes) -> bytes:
        """See `Sealer.seal`."""
        with self._lock:
            return self._sealer.seal(event_id, schema, payload)

    def open(self, event_id: str, schema: str, sealed: bytes) -> bytes:
        """See `Sealer.open`."""
        with self._lock:
            return self._sealer.open(event_id, schema, sealed)

    def rotate_if_due(self, wall_s: float) -> bool:
        """Take a new key once the newest is `ROTATE_S` old; call it with a clock that is believed.

        Raises:
            PublishError: the new ring is not stored; the old one goes on sealing.
        """
        if wall_s - self._sealer.ring.newest.made_at < ROTATE_S:
            return False
        self.rotate(wall_s)
        return True

    def rotate(self, wall_s: float) -> None:
        """Take a new key now; the old ones still open.

        Raises:
            PublishError: the new ring is not stored; the old one goes on sealing.
        """
        with self._lock:
            ring = self._sealer.ring.rotated(self._draw(KEY_BYTES), int(wall_s))
            self._store.save(ring)
            self._sealer.use(ring)
        _log.info("outbox key rotated", extra={"key": ring.newest.number})

    def keep_only(self, needed: set[int]) -> int:
        """Forget every old key that is not needed. Returns how many went.

        Raises:
            PublishError: the shorter ring is not stored; nothing was forgotten.
        """
        with self._lock:
            old = self._sealer.ring
            ring = old.without({key.number for key in old.keys} - needed)
            gone = len(old.keys) - len(ring.keys)
            if gone:
                self._store.save(ring)
                self._sealer.use(ring)
        return gone
