"""The shipped fake of `device.DeviceAccess`: a unit in memory, with the real rules for masks.

It has no camera and no network; what needs them says so, or answers as set. Nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from alpr_edge.authority.record import SignedRecord, open_record
from alpr_edge.authority.rules import State, Unit, confirm, plan_commit
from alpr_edge.console import mask_facts
from alpr_edge.console.device import (
    KEPT,
    NOT_HERE,
    Committed,
    Document,
    MasksInForce,
    Parcel,
    Preview,
    Still,
)
from alpr_edge.console.settings import LinkSettings, changed_text
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.errors import ConsoleError
from alpr_edge.placement.session import CalibrationSession
from alpr_edge.trust.checks import format_time
from alpr_edge.trust.keyring import Keyring
from alpr_edge.zone_set import ZoneSet


class MemoryUnit:
    """See the module's docstring.

    Attributes:
        noted: logins that were put on record.
        accesses: who was shown reads, and why.
        done: acts that were asked for, such as `reboot`.
        moved: files that were fetched or brought, by whom and why.
        waiting: reads that wait here.
        picture: what `still` gives.
        link: what was set for the network.
        view, taken: digests of the reference view in use, and of the last one taken.
        ring: who may sign masks; set it when keys are known.
    """

    def __init__(self, clocks: Clocks, ring: Keyring | None = None) -> None:
        self.clocks, self.ring = clocks, ring or Keyring()
        self.unit = Unit("unit-1", "cam0")
        self.frame_px = (64, 36)
        self.state = State()
        self.records: list[SignedRecord] = []
        self.noted: list[tuple[str, str, int, str]] = []
        self.accesses: list[tuple[str, str]] = []
        self.done: list[str] = []
        self.waiting: list[Document] = []
        self.parcels: dict[Parcel, bytes] = {}
        self.moved: list[tuple[Parcel, str, str]] = []
        self.picture: Still | None = None
        self.view: str | None = None
        self.taken: str | None = None
        self.link: LinkSettings | None = None

    # --- looking -----------------------------------------------------------------------------

    def about(self) -> Document:
        """Of a unit in memory."""
        about = {"unit": self.unit.device, "camera": self.unit.camera, "software": "alpr-edge"}
        return {**about, "time": format_time(self._now)}

    def status(self) -> Document:
        """Whether masks are in force."""
        return {"phase": "reading" if self.state.records else "stopped"}

    def health(self) -> Document:
        """Nothing is wrong in memory."""
        return {"state": "online"}

    def masks(self) -> MasksInForce:
        """Of the state in memory."""
        return mask_facts.in_force(self.state, self.frame_px)

    def mask_history(self) -> list[Document]:
        """Every record since the start."""
        in_force = {one.digest for one in self.state.records}
        return [
            {
                "number": one.record.number,
                "digest": one.digest,
                "valid_from": format_time(one.record.valid_from),
                "authors": ", ".join(one.record.authors),
                "reason": one.record.reason,
                "mark": "in force" if one.digest in in_force else "",
            }
            for one in self.records
        ]

    def record_zones(self, number: int) -> ZoneSet:
        """Of a record since the start."""
        for one in self.records:
            if one.record.number == number:
                return one.record.zones
        raise ConsoleError(
            f"there is no record {number}", code="console.record.unknown", hint="show history"
        )

    def reference(self, columns: int = 0) -> Document:
        """What was taken, which is what is in use from the next start on."""
        found: Document = {"in_use": self.view, "taken": self.taken and {"digest": self.taken}}
        return {**found, "edges": ["-|"]} if columns else found

    def calibration(self) -> Document:
        """None is made."""
        return {"calibration": None}

    def premises(self) -> Document:
        """There is no register."""
        return {"register": None}

    def placement(self) -> Document:
        """Nothing was checked."""
        return {"verdict": None}

    def network(self) -> Document:
        """There is none."""
        return {"links": []}

    def mqtt(self) -> Document:
        """There is none."""
        return {"broker": None}

    def certificates(self) -> Document:
        """There are none."""
        return {"certificates": []}

    def models(self) -> Document:
        """There are none."""
        return {"models": []}

    def self_test(self) -> Document:
        """None was made."""
        return {"state": "none"}

    def ledger_head(self) -> Document:
        """There is none."""
        return {"checkpoint": None}

    # --- masks -------------------------------------------------------------------------------

    def preview(self, zones: ZoneSet, view: str = KEPT) -> Preview:
        """By the real rules."""
        return mask_facts.preview(self.state, zones, self._frame, self.unit, view)

    def draft(
        self, zones: ZoneSet, authors: Sequence[str], reason: str, view: str = KEPT
    ) -> Document:
        """By the real rules."""
        return mask_facts.draft(
            self.state,
            zones,
            self._frame,
            self.unit,
            authors=authors,
            reason=reason,
            now=self._now,
            view=view,
        )

    def commit_record(self, envelope: bytes, minutes: float) -> Committed:
        """By the real rules."""
        signed = open_record(envelope, self.ring)
        plan = plan_commit(
            self.state,
            signed,
            self.ring,
            self.unit,
            confirm_before=self._now + timedelta(minutes=minutes),
            now=self._now,
        )
        self.state = plan.state
        self.records.append(signed)
        return mask_facts.committed(plan)

    def confirm_masks(self) -> MasksInForce:
        """By the real rules."""
        self.state = confirm(self.state, self._now)
        return self.masks()

    # --- acts --------------------------------------------------------------------------------

    def run_self_test(self) -> Document:
        """Noted."""
        self.done.append("self-test")
        return {"started": True}

    def link_settings(self) -> LinkSettings | None:
        """What was set."""
        return self.link

    def set_link(self, settings: LinkSettings, *, who: str) -> Document:
        """Kept in memory."""
        settings.check()
        self.link = settings
        self.done.append(f"network by {who}")
        return settings.document()

    def requested(self, signed: Mapping[str, str | int], *, who: str = "") -> bytes:
        """A small configuration, changed."""
        return changed_text('[mqtt]\nhost = "127.0.0.1"\n', signed).encode()

    def test_mqtt(
        self, signed: Mapping[str, str | int] | None = None, *, who: str = ""
    ) -> Document:
        """Noted."""
        self.done.append(f"mqtt {dict(signed)}" if signed else "mqtt")
        return {"steps": [{"step": "connect", "good": True}]}

    def take_reference(self, seconds: float = 60.0) -> Document:
        """One of this unit is taken at once."""
        self.done.append("reference")
        self.taken = hashlib.sha256(f"view {len(self.done)}".encode()).hexdigest()
        return {"state": "taken", "digest": self.taken}

    def save_calibration(self, answers: Sequence[tuple[str, str]]) -> Document:
        """Fitted, not kept."""
        fit = CalibrationSession(tuple(answers)).fit()
        self.done.append("calibration")
        return {"camera": fit.camera.id}

    def still(self, width_px: int, *, clear_plates: bool, reason: str, who: str) -> Still:
        """The picture that was set."""
        if self.picture is None:
            raise ConsoleError("there is no camera", code=NOT_HERE, hint="")
        if clear_plates:
            self.accesses.append((who, reason))
        return self.picture

    def reads(self, count: int, *, reason: str, who: str) -> list[Document]:
        """What waits, noted first."""
        self.accesses.append((who, reason))
        return self.waiting[-count:]

    def pull(self, what: Parcel, *, who: str = "", reason: str = "") -> bytes:
        """What was pushed."""
        if what not in self.parcels:
            raise ConsoleError(f"there is no {what.value}", code=NOT_HERE, hint="")
        self.moved.append((what, who, reason))
        return self.parcels[what]

    def push(
        self,
        what: Parcel,
        data: bytes,
        signature: bytes | None = None,
        *,
        who: str = "",
        reason: str = "",
    ) -> Document:
        """Kept in memory; masks are committed."""
        if what is Parcel.MASKS:
            done = self.commit_record(data, 10.0)
            self.moved.append((what, who, reason))
            return {"number": done.number, "digest": done.digest}
        self.parcels[what] = data
        self.moved.append((what, who, reason))
        return {"bytes": len(data)}

    def reboot(self) -> Document:
        """Noted."""
        self.done.append("reboot")
        return {"rebooting": True}

    def factory_reset(self, who: str) -> Document:
        """Noted; everything is protected."""
        self.done.append("factory-reset")
        self.state = State(highest=self.state.highest)
        return {"erased": ["state"]}

    def note_login(self, who: str, outcome: str, factors: int, code: str = "") -> None:
        """Noted."""
        self.noted.append((who, outcome, factors, code))

    # --- inside ------------------------------------------------------------------------------

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clocks.wall_s(), UTC).replace(microsecond=0)

    @property
    def _frame(self) -> tuple[int, int]:
        newest = self.state.newest
        return self.frame_px if newest is None else newest.record.frame_px
