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
from dataclasses import dataclass, field, replace
from typing import Literal

from alpr_edge.delivery import wire
from alpr_edge.delivery.port import LinkState
from alpr_edge.exclusion.interlock import Verdict
from alpr_edge.types import DropReason

FLOOR = 8
WARN_DAYS = 30.0
"""A certificate is told of so long before it ends: a technician's round takes weeks."""
LEAST_FREE_BYTES = 64 * 2**20
HOT_C = 80.0
"""Source: Raspberry Pi documentation, the CM4 slows down from 80 °C on."""
_HOUR_S = 3600.0
_MINUTE_S = 60.0


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
    unreadable: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """The machine. What it does not tell is None."""

    temperature_c: float | None = None
    disk_free_bytes: int | None = None
    flash_written_bytes: int = 0
    clock_believed: bool = True
    certificate_days_left: float | None = None
    flash_worn: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: digests as in the events' provenance."""

    software: str
    config: str = ""
    models: str = ""
    mask: str = ""


class Health:
    """Counts for one run of the service; safe to use from several threads.

    Times are monotonic seconds, given by the caller.
    """

    def __init__(self, running: Running | str, started_s: float) -> None:
        self._running = Running(running) if isinstance(running, str) else running
        self._started_s = started_s
        self._minute = 0
        self._frames = 0
        self._frames_last_minute: int | None = None
        self._lock = threading.Lock()
        self._view: wire.View = {"state": "no_reference", "shift": None}
        self._self_test: wire.SelfTestResult = {"state": "pending", "finding": "", "at": None}
        self._tally = _Tally()
        self._verdict: Verdict | None = None
        self._standing: set[str] = set()
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

    def frame(self, now_s: float) -> None:
        """Note that a frame was read."""
        with self._lock:
            self._turn_minute(now_s)
            self._frames += 1

    def runs(self, *, mask: str) -> None:
        """Note the mask record, which is known once the first frame has come."""
        with self._lock:
            self._running = replace(self._running, mask=mask)

    def guarded(self, view: wire.View, self_test: wire.SelfTestResult) -> None:
        """Note what view watch and self-test say."""
        with self._lock:
            self._view, self._self_test = view, self_test

    def warn(self, code: str, *, stands: bool = True) -> None:
        """Note a stable code that is true until it is said to stand no more."""
        with self._lock:
            if stands:
                self._standing.add(code)
            else:
                self._standing.discard(code)

    def interlock(self, verdict: Verdict) -> None:
        """Note whether anything may be read."""
        with self._lock:
            self._verdict = verdict

    def document(
        self, waiting: Waiting, link: LinkState, now_s: float, facts: Facts | None = None
    ) -> wire.State:
        """Everything that is told, for the health topic or a local page."""
        facts = facts or Facts()
        with self._lock:
            self._turn_hour(now_s)
            self._turn_minute(now_s)
            tally, last, running = self._tally, self._last_hour, self._running
            frames = self._frames_last_minute
            return {
                "state": "online",
                "software": running.software,
                "uptime_s": int(max(0.0, now_s - self._started_s)),
                "frames_per_s": None if frames is None else round(frames / _MINUTE_S, 1),
                "published": tally.published,
                "settled": tally.settled,
                "pending": waiting.rows,
                "pending_in_memory": waiting.in_memory,
                "queue_age_s": int(waiting.oldest_s),
                "refused": tally.refused,
                "lost": {
                    "overflow": waiting.dropped,
                    "expired": waiting.expired,
                    "damaged_outboxes": waiting.damaged,
                    "unreadable": waiting.unreadable,
                    "not_stored": tally.unstored_lost,
                },
                "reading": _reading(self._verdict),
                "last_error": tally.last_error,
                "errors": dict(tally.errors),
                "warnings": [*warnings(facts), *sorted(self._standing)],
                "link": {
                    "phase": link.phase.value,
                    "code": str(link.code),
                    "protocol": link.protocol,
                    "broker": link.destination,
                },
                "host": {
                    "temperature_c": facts.temperature_c,
                    "disk_free_bytes": facts.disk_free_bytes,
                    "flash_written_bytes": facts.flash_written_bytes,
                    "clock_believed": facts.clock_believed,
                    "certificate_days_left": facts.certificate_days_left,
                },
                "versions": {
                    "software": running.software,
                    "config": running.config,
                    "models": running.models,
                    "mask": running.mask,
                },
                "view": self._view,
                "self_test": self._self_test,
                "suppressed_last_hour_at_most": None
                if last is None
                else {str(reason): coarse(last[reason]) for reason in DropReason},
            }

    def _turn_minute(self, now_s: float) -> None:
        minute = int((now_s - self._started_s) // _MINUTE_S)
        if minute > self._minute:
            self._frames_last_minute = self._frames if minute == self._minute + 1 else 0
            self._frames = 0
            self._minute = minute

    def _turn_hour(self, now_s: float) -> None:
        hour = int((now_s - self._started_s) // _HOUR_S)
        if hour > self._hour:
            # An hour in which nobody asked or counted was an hour of zero.
            self._last_hour = self._this_hour if hour == self._hour + 1 else Counter()
            self._this_hour = Counter()
            self._hour = hour


def _reading(verdict: Verdict | None) -> wire.Reading:
    """What the interlock says, as codes."""
    if verdict is None:
        return {"phase": "starting", "stops": [], "waived": []}
    return {
        "phase": "reading" if verdict.may_read else "stopped",
        "stops": [str(stop.reason) for stop in verdict.stops],
        "waived": [str(stop.reason) for stop in verdict.waived],
    }


def warnings(facts: Facts) -> list[str]:
    """What needs somebody soon, as stable codes."""
    found = []
    days = facts.certificate_days_left
    if days is not None and days < WARN_DAYS:
        found.append(
            "delivery.certificate.expired" if days <= 0 else "delivery.certificate.expiring"
        )
    if not facts.clock_believed:
        found.append("delivery.clock.not_believed")
    if facts.flash_worn:
        found.append("delivery.flash.budget_used_up")
    if facts.disk_free_bytes is not None and facts.disk_free_bytes < LEAST_FREE_BYTES:
        found.append("delivery.disk.nearly_full")
    if facts.temperature_c is not None and facts.temperature_c >= HOT_C:
        found.append("delivery.temperature.high")
    return found


def coarse(count: int) -> int:
    """An upper bound of `count`: the next power of two, `FLOOR` at the least."""
    return max(FLOOR, 1 << max(0, count - 1).bit_length())


def offline(reason: Literal["connection_lost", "shutdown"]) -> bytes:
    """The state topic's last word: `connection_lost` as last will, `shutdown` on a clean end."""
    document: wire.Offline = {"state": "offline", "reason": reason}
    return json.dumps(document).encode()
