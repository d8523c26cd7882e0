"""How the rest of the program tells the ledger what happened: one method an event. Pure.

`Recorder` (in the service) and `Reporter` (any other process of the unit) both are `Tells`. Names,
reasons and organisations may be any text: they are made fit for an entry here (`fields`).

Rules:
- `shown` and `exported` return once the entry survives a power cut, and raise if it cannot be
  written: then nothing may be shown. California Civil Code 1798.90.52.
- All others never raise: a full disk keeps nobody from repairing a unit. What was lost is counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alpr_edge.ledger.fields import person, prose, stamp
from alpr_edge.ledger.kinds import (
    Access,
    Body,
    Commissioning,
    ConfigChange,
    Drift,
    FileMoved,
    KeyChange,
    Login,
    MaskChange,
    Reported,
    SelfTest,
    StorageFault,
    TimeCorrection,
    Update,
)

Way = Literal["serial", "network", "local"]
MovedAct = Literal["pulled", "pushed", "refused", "tried", "asked"]
MovedFile = Literal["masks", "register", "config", "log", "update", "request", "picture"]
StoragePart = Literal["outbox", "ledger", "config", "masks", "models", "keys"]
TimeSource = Literal["ntp", "gnss", "rtc", "manual", "unknown", "ptp"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for reads, and what for.

    Attributes:
        purpose: the reason given, in words; a plate in it is withheld from the ledger.
        query: how the reads were chosen.
        begin, end: the time range asked for.
        plate_mac: for a search by plate: `plate_mac.plate_mac` of it.
    """

    who: str
    organisation: str
    purpose: str
    query: Literal["time_range", "event_ids", "plate", "all"] = "all"
    begin: datetime | None = None
    end: datetime | None = None
    plate_mac: str | None = None


@dataclass(frozen=True, slots=True)
class By:
    """On whose word something changed, and why; empty where nobody said."""

    who: str = ""
    second: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MasksChanged:
    """From which masks to which.

    Attributes:
        old, new: digests of all masks in force before and after; zeros where there were none.
        added, removed: polygons, lines and bands that are new, and that are gone.
        added_px, removed_px: pixels of the frame that are blanked now, and no longer.
        narrowed: whether any ground became readable; None where that is not known.
        number: of the record that did it.
        order: digest of the record, where the city signed it.
        polygon: the highest number of a polygon that the city ever added.
        view_old, view_new: digests of the reference views that the masks are bound to.
        other_frame: made for another frame size.
        waits: old and new masks are in force together until it is confirmed.
        repair: what was in force before could not be read.
    """

    old: str
    new: str
    added: int = 0
    removed: int = 0
    added_px: int = 0
    removed_px: int = 0
    narrowed: bool | None = None
    number: int = 0
    order: str | None = None
    polygon: int = 0
    view_old: str | None = None
    view_new: str | None = None
    other_frame: bool = False
    waits: bool = False
    repair: bool = False


class Tells(ABC):
    """See the module's docstring."""

    @abstractmethod
    def record(self, body: Body) -> None:
        """Put an entry on record soon; never raises."""

    @abstractmethod
    def record_now(self, body: Body) -> None:
        """Put an entry on record, durably, before it returns.

        Raises:
            AuditError: it is not on record; what it speaks of must not happen.
        """

    # --- people ------------------------------------------------------------------------------

    def login(self, who: str, *, way: Way, factors: int) -> None:
        """Someone is in."""
        self.record(Login(who=person(who), outcome="granted", way=way, factors=factors))

    def login_failed(self, who: str, *, way: Way, code: str, locked: bool = False) -> None:
        """Someone did not get in; `locked`: and may not try again for a while."""
        outcome: Literal["locked", "refused"] = "locked" if locked else "refused"
        self.record(Login(who=person(who), outcome=outcome, way=way, code=code or None))

    def logged_out(self, who: str, *, way: Way) -> None:
        """Someone left, was idle for too long, or unplugged."""
        self.record(Login(who=person(who), outcome="ended", way=way))

    def shown(self, asked: Asked, count: int, first: str = "", last: str = "") -> None:
        """Reads are about to be shown.

        Args:
            first, last: ids of the events.

        Raises:
            AuditError: it is not on record: show nothing.
        """
        self.record_now(_access("show", asked, count, first, last))

    def exported(self, asked: Asked, count: int, first: str = "", last: str = "") -> None:
        """Reads are about to be handed out as a file; as `shown`."""
        self.record_now(_access("export", asked, count, first, last))

    def reported(self, what: Literal["report", "memo", "export"], who: str) -> None:
        """Someone made a report, a memo or an export of this ledger."""
        self.record(Reported(what=what, who=person(who)))

    def file_moved(
        self,
        act: MovedAct,
        what: MovedFile,
        digest: str,
        by: By,
        *,
        code: str | None = None,
    ) -> None:
        """A whole file was fetched or brought over the console, or refused (`code` says why)."""
        who, reason = person(by.who), prose(by.reason)
        self.record(FileMoved(act=act, what=what, digest=digest, who=who, reason=reason, code=code))

    # --- what the unit is to do --------------------------------------------------------------

    def mask_changed(self, change: MasksChanged, by: By) -> None:
        """Other masks are in force."""
        self.record(
            MaskChange(
                old=change.old,
                new=change.new,
                added=change.added,
                removed=change.removed,
                narrowed=change.narrowed,
                by=person(by.who),
                second=person(by.second),
                order=change.order,
                reason=prose(by.reason),
                added_px=change.added_px,
                removed_px=change.removed_px,
                number=change.number,
                polygon=change.polygon,
                view_old=change.view_old,
                view_new=change.view_new,
                other_frame=change.other_frame,
                waits=change.waits,
                repair=change.repair,
            )
        )

    def config_changed(self, old: str, new: str, by: By, *, settings: tuple[str, ...] = ()) -> None:
        """Another configuration is in force. `settings`: the keys that differ, as `mqtt.host`."""
        self.record(
            ConfigChange(
                old=old,
                new=new,
                settings=settings[:64],
                by=person(by.who),
                second=person(by.second),
                reason=prose(by.reason),
            )
        )

    def commissioned(
        self, record: str, mask: str, by: By, *, old: str | None = None, in_force: bool = True
    ) -> None:
        """Someone stated what the camera sees. `record`, `mask`, `old`: digests.

        Args:
            in_force: the device goes by it; else it was only made.
        """
        self.record(
            Commissioning(
                old=old,
                record=record,
                mask=mask,
                by=person(by.who),
                second=person(by.second),
                reason=prose(by.reason),
                in_force=in_force,
            )
        )

    def updated(
        self,
        outcome: Literal["installed", "refused", "rolled_back", "confirmed"],
        *,
        bundle: str | None = None,
        old: str | None = None,
        new: str | None = None,
        code: str | None = None,
    ) -> None:
        """Someone tried to install other software. `old`, `new`: as `alpr-edge 0.1.0`."""
        self.record(Update(outcome=outcome, bundle=bundle, old=old, new=new, code=code))

    def key_changed(
        self,
        key: Literal["device", "city", "vendor", "broker", "outbox"],
        act: Literal["made", "added", "rotated", "revoked"],
        digest: str,
        *,
        by: str = "",
        sealed: bool | None = None,
    ) -> None:
        """A key was made, added, replaced or revoked. `digest`: SHA-256 of its public half."""
        self.record(KeyChange(key=key, act=act, digest=digest, by=person(by), sealed=sealed))

    # --- what happens to it ------------------------------------------------------------------

    def self_tested(self, *, passed: bool, checks: int, failed: tuple[str, ...] = ()) -> None:
        """A self-test ended. `failed`: codes of what it found."""
        self.record(SelfTest(passed=passed, checks=checks, failed=failed[:32]))

    def drift_stopped(self, code: str | None = None) -> None:
        """The view is not the commissioned one: reading has stopped."""
        self.record(Drift(state="stopped", code=code))

    def drift_resumed(self, code: str | None = None, *, by: str = "") -> None:
        """The view is believed again."""
        self.record(Drift(state="resumed", code=code, by=person(by)))

    def time_corrected(self, before: datetime, after: datetime, source: TimeSource) -> None:
        """The clock was set."""
        self.record(
            TimeCorrection(
                before=stamp(before),
                after=stamp(after),
                step_ms=round(1000 * (after - before).total_seconds()),
                source=source,
            )
        )

    def storage_failed(self, what: StoragePart, code: str, *, lost: int = 0) -> None:
        """Something on disk could not be written or read."""
        self.record(StorageFault(what=what, code=code, lost=lost))


def _access(
    act: Literal["show", "export"], asked: Asked, count: int, first: str, last: str
) -> Access:
    return Access(
        act=act,
        query=asked.query,
        begin=None if asked.begin is None else stamp(asked.begin),
        end=None if asked.end is None else stamp(asked.end),
        plate_mac=asked.plate_mac,
        who=person(asked.who),
        organisation=prose(asked.organisation),
        purpose=prose(asked.purpose),
        count=count,
        first=first or None,
        last=last or None,
    )
