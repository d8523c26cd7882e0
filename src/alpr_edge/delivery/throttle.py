"""A limit of bytes a second, for links that are paid by volume. Pure.

A bucket that fills at the limit and holds ten seconds of it; one message more may go whenever it is
not empty, so that a message larger than the bucket is delayed, not stuck.
"""

from __future__ import annotations

_BURST_S = 10.0
OVERHEAD_BYTES = 120
"""What a message costs beside topic and payload. Source: MQTT fixed header and properties (about
50), TLS record (29) and TCP/IP headers (40), rounded; measured on loopback in docs/sizing.md."""


class Throttle:
    """Counts what may be sent now. Without a limit everything may."""

    def __init__(self, bytes_per_s: int, now_s: float) -> None:
        """Begin with a full bucket.

        Args:
            bytes_per_s: 0 is no limit.
            now_s: seconds of a clock that never goes back.
        """
        self._rate = float(bytes_per_s)
        self._left = self._rate * _BURST_S
        self._at_s = now_s

    def open(self, now_s: float) -> bool:
        """Whether another message may go."""
        if not self._rate:
            return True
        gained = self._rate * max(0.0, now_s - self._at_s)
        self._left = min(self._rate * _BURST_S, self._left + gained)
        self._at_s = max(self._at_s, now_s)
        return self._left > 0

    def spend(self, size: int) -> None:
        """Note a message of so many bytes, topic and payload."""
        if self._rate:
            self._left -= size + OVERHEAD_BYTES
