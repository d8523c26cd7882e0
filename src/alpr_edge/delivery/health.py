"""What is said about delivery: counters and the link's state, never a plate.

Published retained on `alpr-edge/<device>/state`, every minute or so and on each connection.

How suppressions are made coarse, so that no count tells of a single visit:
- They are counted per whole hour since the start; only the last complete hour is told, so a number
  changes once an hour.
- It is told as an upper bound: the next power of two, and never less than `FLOOR`.
- Every reason is always listed, so that its appearance tells nothing.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field

from alpr_edge.delivery.port import LinkState
from alpr_edge.types import DropReason

FLOOR = 8
_HOUR_S = 3600.0


@dataclass(slots=True)
class _Tally:
    published: int = 0
    settled: int = 0
    refused: int = 0
    unstored_lost: int = 0
    last_error: str = ""
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has not been delivered yet, and what never will be."""

    rows: int = 0
    in_memory: int = 0
    dropped: int = 0
    expired: int = 0
    damaged: int = 0


class Health:
    """Counts for one run of the service; safe to use from several threads.

    Times are monotonic seconds, given by the caller.
    """

    def __init__(self, software: str, started_s: float) -> None:
        self._software = software
        self._started_s = started_s
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._hour = 0
        self._this_hour: Counter[DropReason] = Counter()
        self._last_hour: Counter[DropReason] | None = None

    def count(
        self, *, published: int = 0, settled: int = 0, refused: int = 0, lost: int = 0
    ) -> None:
        """Add to the counters; `lost` are events that neither disk nor broker took."""
        with self._lock:
            self._tally.published += published
            self._tally.settled += settled
            self._tally.refused += refused
            self._tally.unstored_lost += lost

    def error(self, code: str) -> None:
        """Note a stable code."""
        with self._lock:
            self._tally.last_error = code
            self._tally.errors[code] += 1

    def suppressed(self, reason: DropReason, now_s: float, count: int = 1) -> None:
        """Note suppressed tracks; told coarsely only."""
        with self._lock:
            self._turn_hour(now_s)
            self._this_hour[reason] += count

    def document(self, waiting: Waiting, link: LinkState, now_s: float) -> dict[str, object]:
        """Everything that is told, for the health topic or a local page."""
        with self._lock:
            self._turn_hour(now_s)
            tally, last = self._tally, self._last_hour
            return {
                "state": "online",
                "software": self._software,
                "uptime_s": int(max(0.0, now_s - self._started_s)),
                "published": tally.published,
                "settled": tally.settled,
                "pending": waiting.rows,
                "pending_in_memory": waiting.in_memory,
                "refused": tally.refused,
                "lost": {
                    "overflow": waiting.dropped,
                    "expired": waiting.expired,
                    "damaged_outboxes": waiting.damaged,
                    "not_stored": tally.unstored_lost,
                },
                "last_error": tally.last_error,
                "errors": dict(tally.errors),
                "link": {
                    "phase": str(link.phase),
                    "code": str(link.code),
                    "protocol": link.protocol,
                },
                "suppressed_last_hour_at_most": None
                if last is None
                else {str(reason): coarse(last[reason]) for reason in DropReason},
            }

    def _turn_hour(self, now_s: float) -> None:
        hour = int((now_s - self._started_s) // _HOUR_S)
        if hour > self._hour:
            # An hour in which nobody asked or counted was an hour of zero.
            self._last_hour = self._this_hour if hour == self._hour + 1 else Counter()
            self._this_hour = Counter()
            self._hour = hour


def coarse(count: int) -> int:
    """An upper bound of `count`: the next power of two, `FLOOR` at the least."""
    return max(FLOOR, 1 << max(0, count - 1).bit_length())


def offline(reason: str) -> bytes:
    """The state topic's last word: `connection_lost` as last will, `shutdown` on a clean end."""
    return json.dumps({"state": "offline", "reason": reason}).encode()
