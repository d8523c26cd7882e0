"""What the service tells the ledger: turns events of the device into entries.

It is delivery's `Observer`, the service's `ServiceRecord` and the ledger's `Tells`. It holds no
plate and is given none: counts, ids, codes and digests only.

Rules:
- An egress batch is on disk, synced, before its first read leaves; if it cannot be, nothing leaves.
- Suppressions are told per hour of the run, as powers of two from eight on, every reason always.
- A broker whose certificate changes, or whose authority is unknown, is a trigger.
- Time steps are noticed by comparing the wall clock with the monotonic one.
- Masks that come into force without anybody's word are an entry by nobody, and a trigger.
- So are `_REFUSED` logins within `_REFUSED_WITHIN_S` that failed.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alpr_edge.delivery.observer import Batch, ErasedBecause
from alpr_edge.ledger.fields import host, stamp
from alpr_edge.ledger.kinds import (
    Body,
    Boot,
    Commissioning,
    ConfigChange,
    Drift,
    Egress,
    Hour,
    KeyChange,
    LinkDown,
    LinkUp,
    Login,
    MaskChange,
    ModelCheck,
    Retention,
    SelfTest,
    Stop,
    StorageFault,
    Trigger,
    Update,
    Witnessed,
)
from alpr_edge.ledger.spool import Notice
from alpr_edge.ledger.store import Clock, Ledger
from alpr_edge.ledger.telling import By, StoragePart, Tells
from alpr_edge.ledger.time_source import ClockSetter
from alpr_edge.types import DropReason

HOUR_S = 3600.0
STEP_S = 2.0
"""Steps of the wall clock below this are not told: NTP slews them."""
_FLOOR = 8
_TLS_FAILED = 3
_REFUSED = 5
_REFUSED_WITHIN_S = 600.0
_UNEXPLAINED_S = 5.0
"""How long a mask record may be in force before its entry has come through the spool."""
NO_MASKS = "0" * 64
CHECKS_OF_A_SELF_TEST = 4
"""Masked pixels, inside, band, outside: `exclusion.self_test.Finding`."""
STOPPED_VIEWS = frozenset({"moved", "turned", "covered", "defocused", "frozen", "unconfirmed"})


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


_ATTESTED = (
    Commissioning,
    ConfigChange,
    Drift,
    KeyChange,
    MaskChange,
    ModelCheck,
    SelfTest,
    Update,
)


class Recorder(Tells):
    """Writes to one ledger; safe to use from several threads."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock | None = None,
        alarm: Callable[[Trigger], None] = lambda _: None,
        clock_setter: Callable[[], ClockSetter] | None = None,
    ) -> None:
        """Args:
        alarm: told of every trigger, after it is on record.
        clock_setter: asked what sets the clock, when it has stepped.
        """
        self._clock_setter = clock_setter
        self._ledger, self._clock, self._alarm = ledger, clock or Clock(), alarm
        self._lock = threading.Lock()
        self._hour = _HourTally(self._clock.monotonic(), self._clock.now())
        self._offset_s = self._clock.now().timestamp() - self._clock.monotonic()
        self._certificates: dict[str, str] = {}
        self._tls_failures = 0
        self._up: set[str] = set()
        self._refused: deque[float] = deque(maxlen=_REFUSED)
        known = self._ledger.newest(Boot, MaskChange)
        self._mask = known.mask if isinstance(known, Boot) else getattr(known, "new", "")
        known = self._ledger.newest(Boot, Commissioning, such=_is_in_force)
        self._commissioning = (
            known.commissioning if isinstance(known, Boot) else getattr(known, "record", None)
        )
        self._faults: dict[tuple[str, str], float] = {}
        self._unexplained: tuple[str, float] | None = None
        self._view, self._tested, self._witness_state = "", "", ""
        self.revision = 0
        """Grows with every entry that changes what an attestation says."""
        self.self_test_passed: bool | None = None
        self.drift_is_stopped: bool | None = None

    # --- the run -----------------------------------------------------------------------------

    def begin(self, boot: Boot, settings: tuple[str, ...] = (), by: By | None = None) -> None:
        """Record the start, and what is not as it was at the start before.

        Args:
            settings: which keys of the configuration differ from those of the start before.
            by: who signed the configuration.
        """
        before = self._ledger.last_boot()
        config, software = (self._ledger.newest(Boot, one) for one in (ConfigChange, Update))
        self._ledger.append(boot)
        told = isinstance(config, ConfigChange) and config.new == boot.config
        if before is not None and before.config != boot.config and not told:
            self.config_changed(before.config, boot.config, by or By(), settings=settings)
        told = isinstance(software, Update) and software.new == boot.software
        if before is not None and before.software != boot.software and not told:
            self.updated("installed", old=before.software, new=boot.software)
        self.masks_in_force(boot.mask)

    def record(self, body: Body) -> None:
        """Record anything of the vocabulary; a trigger is raised as an alarm as well."""
        self._ledger.append(body)
        self._draw_conclusions(body)

    def record_now(self, body: Body) -> None:
        """As `record`, and it survives a power cut.

        Raises:
            AuditError: the disk does not take it.
        """
        self.record(body)
        self._ledger.make_durable()

    def take(self, notice: Notice) -> None:
        """Record what another process told."""
        self._ledger.take(notice)
        self._draw_conclusions(notice.body)

    def end(self, stop: Stop) -> None:
        """Record the last hour and the end, sync, sign, close."""
        self.tick(at_once=True)
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

    def guarded(self, *, view: str, self_test: str, finding: str = "") -> None:
        """What view watch and self-test say; told whenever one of them has changed.

        Args:
            view: a `ViewState`.
            self_test: `passed`, `failed` or what else a `SelfTestReport` says, with its time, so
                that two tests that pass are two.
            finding: a `Finding`, if it failed.
        """
        before, self._view = self._view, view
        if view not in STOPPED_VIEWS and self.drift_is_stopped is None:
            self.drift_is_stopped = False
        if view in STOPPED_VIEWS and before not in STOPPED_VIEWS:
            self.drift_stopped(f"exclusion.scene.{view}")
        elif before in STOPPED_VIEWS and view not in STOPPED_VIEWS:
            self.drift_resumed(f"exclusion.scene.{view}")
        state = self_test.partition(" ")[0]
        if self_test != self._tested and state in ("passed", "failed"):
            failed = (f"exclusion.self_test.{finding}",) if finding else ()
            passed = state == "passed"
            self.record(SelfTest(passed=passed, checks=CHECKS_OF_A_SELF_TEST, failed=failed))
        self._tested = self_test

    def storage_failed(self, what: StoragePart, code: str, *, lost: int = 0) -> None:
        """See `Tells`; the same fault is told once an hour."""
        now_s = self._clock.monotonic()
        if now_s - self._faults.get((what, code), float("-inf")) >= HOUR_S:
            self._faults[what, code] = now_s
            super().storage_failed(what, code, lost=lost)

    def masks_in_force(self, digest: str) -> None:
        """Which masks the device reads under now; empty: none. Who put them there tells it too."""
        new = digest or NO_MASKS
        if not self._mask:
            self._mask = new
        if new == self._mask:
            self._unexplained = None
        elif self._unexplained is None or self._unexplained[0] != new:
            self._unexplained = (new, self._clock.monotonic())

    def commissioning_in_force(self, record: str | None, mask: str, by: Callable[[], By]) -> None:
        """Which commissioning record the device goes by now; one that is not known yet is told.

        Args:
            by: asked for only then.
        """
        if record is None or record == self._commissioning:
            return
        self.commissioned(record, mask, by(), old=self._commissioning)

    def tick(self, *, at_once: bool = False) -> None:
        """Called now and then: what nobody has explained in time is an entry."""
        unexplained = self._unexplained
        if unexplained is None:
            return
        if self._clock.monotonic() - unexplained[1] < _UNEXPLAINED_S and not at_once:
            return
        self._unexplained = None
        self._mask_by_nobody(unexplained[0])
        self._mask = unexplained[0]

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

    @property
    def mask(self) -> str:
        """Digest of the masks in force, as far as is known."""
        return self._mask

    def _draw_conclusions(self, body: Body) -> None:
        self.revision += isinstance(body, _ATTESTED)
        if isinstance(body, SelfTest):
            self.self_test_passed = body.passed
        elif isinstance(body, Drift):
            self.drift_is_stopped = body.state == "stopped"
        elif isinstance(body, Trigger):
            self._alarm(body)
        elif isinstance(body, Witnessed):
            # An hourly cosignature is no news; a witness that comes or goes is.
            self.revision += body.state != self._witness_state
            self._witness_state = body.state
        elif isinstance(body, Commissioning) and body.in_force:
            self._commissioning = body.record
        elif isinstance(body, MaskChange):
            self._mask = body.new
            if self._unexplained is not None and self._unexplained[0] == body.new:
                self._unexplained = None
        elif isinstance(body, Login) and body.outcome == "granted":
            self._refused.clear()
        elif isinstance(body, Login) and body.outcome in ("refused", "locked"):
            now_s = self._clock.monotonic()
            self._refused.append(now_s)
            if len(self._refused) == _REFUSED and now_s - self._refused[0] < _REFUSED_WITHIN_S:
                self._refused.clear()
                self.record(Trigger(what="repeated_logins", count=_REFUSED))

    def _mask_by_nobody(self, new: str) -> None:
        old = self._mask
        self._ledger.append(MaskChange(old=old, new=new, added=0, removed=0, narrowed=None))
        self.revision += 1
        self.record(Trigger(what="file_changed", file="masks", old=old, new=new))

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
        # Only who disciplines the clock now is blamed; any other program, or a person, may have.
        setter = None if self._clock_setter is None else self._clock_setter()
        source = setter.kind if setter is not None and setter.disciplined else "unknown"
        self.time_corrected(now - timedelta(seconds=step_s), now, source)


def _is_in_force(body: Body) -> bool:
    return not isinstance(body, Commissioning) or body.in_force


def _address(destination: str) -> tuple[str, int]:
    name, _, port = destination.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        return host(destination), 0
    return host(name), int(port)
