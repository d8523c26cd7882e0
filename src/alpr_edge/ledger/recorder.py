"""What the service tells the ledger: turns events of the device into entries.

It is delivery's `Observer` and the service's `ServiceRecord`. It holds no plate and is given
none: counts, ids, codes and digests only.

Rules:
- An egress batch is on disk, synced, before its first read leaves; if it cannot be, nothing leaves.
- Suppressions are told per hour of the run, as powers of two from eight on, every reason always.
- A broker whose certificate changes, or whose authority is unknown, is a trigger.
- Time steps are noticed by comparing the wall clock with the monotonic one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alpr_edge.delivery.observer import Batch, ErasedBecause
from alpr_edge.ledger.fields import host, stamp
from alpr_edge.ledger.kinds import (
    Body,
    Boot,
    ConfigChange,
    Drift,
    Egress,
    Hour,
    LinkDown,
    LinkUp,
    MaskChange,
    Retention,
    Stop,
    StorageFault,
    TimeCorrection,
    Trigger,
)
from alpr_edge.ledger.store import Clock, Ledger
from alpr_edge.types import DropReason

HOUR_S = 3600.0
STEP_S = 2.0
"""Steps of the wall clock below this are not told: NTP slews them."""
_FLOOR = 8
_TLS_FAILED = 3


def coarse(count: int) -> int:
    """An upper bound: the next power of two, eight at the least."""
    return max(_FLOOR, 1 << max(0, count - 1).bit_length())


@dataclass(slots=True)
class _HourTally:
    began_s: float
    begin: datetime
    frames: int = 0
    failed: int = 0
    published: int = 0
    delivered: int = 0
    drops: Counter[DropReason] = field(default_factory=Counter)


class Recorder:
    """Writes to one ledger; safe to use from several threads."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock | None = None,
        alarm: Callable[[Trigger], None] = lambda _: None,
    ) -> None:
        """Args:
        alarm: told of every trigger, after it is on record.
        """
        self._ledger, self._clock, self._alarm = ledger, clock or Clock(), alarm
        self._lock = threading.Lock()
        self._hour = _HourTally(self._clock.monotonic(), self._clock.now())
        self._offset_s = self._clock.now().timestamp() - self._clock.monotonic()
        self._certificates: dict[str, str] = {}
        self._tls_failures = 0
        self._up: set[str] = set()

    # --- the run -----------------------------------------------------------------------------

    def begin(self, boot: Boot) -> None:
        """Record the start, and what is not as it was at the start before."""
        before = self._ledger.last_boot()
        if before is not None and before.config != boot.config:
            self._ledger.append(ConfigChange(old=before.config, new=boot.config))
        if before is not None and before.mask != boot.mask:
            change = MaskChange(old=before.mask, new=boot.mask, added=0, removed=0, narrowed=None)
            self._ledger.append(change)
        self._ledger.append(boot)

    def record(self, body: Body) -> None:
        """Record anything of the vocabulary; a trigger is raised as an alarm as well."""
        self._ledger.append(body)
        if isinstance(body, Trigger):
            self._alarm(body)

    def end(self, stop: Stop) -> None:
        """Record the last hour and the end, sync, sign, close."""
        self._turn(end=True)
        self._ledger.close(stop)

    # --- the service -------------------------------------------------------------------------

    def frame(self, *, failed: bool = False) -> None:
        """A frame was looked at, or could not be."""
        self._look_at_the_clock()
        self._turn()
        with self._lock:
            self._hour.frames += 1
            self._hour.failed += failed

    def published(self, count: int) -> None:
        """Reads were handed to delivery."""
        with self._lock:
            self._hour.published += count

    def suppressed(self, reason: DropReason, count: int = 1) -> None:
        """Tracks were held back; told coarsely only."""
        with self._lock:
            self._hour.drops[reason] += count

    def drift(self, *, stopped: bool, code: str | None = None) -> None:
        """The view shifted, or is believed again."""
        self.record(Drift(state="stopped" if stopped else "resumed", code=code))

    # --- delivery's observer -----------------------------------------------------------------

    def leaving(self, batch: Batch) -> None:
        """A batch is about to be sent.

        Raises:
            AuditError: it cannot be put on record durably; then it must not be sent.
        """
        name, port = _address(batch.destination)
        self._ledger.append(
            Egress(
                count=batch.count,
                first=batch.first_id,
                last=batch.last_id,
                destination=name,
                port=port,
                certificate=batch.certificate or None,
                repeated=batch.repeated,
            )
        )
        self._ledger.make_durable()

    def erased(self, count: int, because: ErasedBecause) -> None:
        """Events were deleted."""
        if count <= 0:
            return
        if because == "delivered":
            with self._lock:
                self._hour.delivered += count
        else:
            self._ledger.append(Retention(reason=because, count=count))
        if because == "damaged":
            self._ledger.append(StorageFault(what="outbox", code="delivery.outbox.damaged"))

    def link_up(self, destination: str, certificate: str, protocol: str) -> None:
        """A broker is connected."""
        name, port = _address(destination)
        self._tls_failures = 0
        self._up.add(destination)
        known = protocol if protocol in ("MQTT 5", "MQTT 3.1.1") else ""
        self._ledger.append(
            LinkUp(
                destination=name,
                port=port,
                certificate=certificate or None,
                protocol=known,  # type: ignore[arg-type]  # narrowed by the line above
            )
        )
        before = self._certificates.get(destination)
        if before is not None and before != certificate:
            self.record(
                Trigger(what="certificate_changed", old=before or None, new=certificate or None)
            )
        self._certificates[destination] = certificate

    def link_down(self, destination: str, code: str) -> None:
        """A connection ended, or an attempt failed. Attempts that fail alike are told once."""
        name, port = _address(destination)
        if destination in self._up or code:
            self._ledger.append(LinkDown(destination=name, port=port, code=code or None))
        self._up.discard(destination)
        if code == "delivery.link.tls_certificate":
            self.record(Trigger(what="unknown_authority", port=port))
        elif code == "delivery.link.tls":
            self._tls_failures += 1
            if self._tls_failures % _TLS_FAILED == 0:
                self.record(Trigger(what="tls_clients_failed", count=self._tls_failures))

    # --- inside ------------------------------------------------------------------------------

    def _turn(self, *, end: bool = False) -> None:
        now_s = self._clock.monotonic()
        with self._lock:
            hour = self._hour
            passed_s = now_s - hour.began_s
            if passed_s < HOUR_S and not end:
                return
            begin = self._clock.now()
            self._hour = _HourTally(now_s, begin)
            body = Hour(
                begin=stamp(begin - timedelta(seconds=passed_s)),
                seconds=round(passed_s),
                frames=hour.frames,
                failed_frames=hour.failed,
                published=hour.published,
                delivered=hour.delivered,
                suppressed_at_most={reason: coarse(hour.drops[reason]) for reason in DropReason},
            )
        self._ledger.append(body)

    def _look_at_the_clock(self) -> None:
        now = self._clock.now()
        offset_s = now.timestamp() - self._clock.monotonic()
        step_s = offset_s - self._offset_s
        if abs(step_s) < STEP_S:
            # Slewing is followed, so that it does not add up to a step.
            return
        with self._lock:
            self._offset_s = offset_s
        before = now - timedelta(seconds=step_s)
        self._ledger.append(
            TimeCorrection(
                before=stamp(before),
                after=stamp(now),
                step_ms=round(1000 * step_s),
                source="unknown",
            )
        )


def _address(destination: str) -> tuple[str, int]:
    name, _, port = destination.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        return host(destination), 0
    return host(name), int(port)
