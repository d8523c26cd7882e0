"""Edge: gathers the facts that the interlock judges, and tells its verdict.

`Guard` is what `service` asks before every frame: it looks at the mask record on disk (again as
soon as it changes), the place (`placement.standing`, `.moving`), the clocks and the disk, and what
was found at the start about configuration and models; lets `exclusion.interlock` judge; and writes
status file and log when the verdict changes. It decides nothing itself.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from alpr_edge.authority.store import MaskStore
from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.config.mask_store import load_masks
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.delivery.event import Provenance
from alpr_edge.errors import ConfigError, DigestMismatch, Rollback, TrustError
from alpr_edge.exclusion.ground import GroundZones
from alpr_edge.exclusion.interlock import (
    ClockFacts,
    Facts,
    Interlock,
    MaskFacts,
    MaskState,
    Phase,
    SoftwareFacts,
    Stop,
    Verdict,
    ViewFacts,
)
from alpr_edge.placement.standing import Question, SiteJudge
from alpr_edge.trust.checks import format_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, verify_file
from alpr_edge.trust.kept_number import take_number
from alpr_edge.trust.keys import PublicKey
from alpr_edge.trust.signed_pair import finish
from alpr_edge.zone_set import ZoneSet

_log = logging.getLogger(__name__)
_LOOK_AGAIN_NS: Final = 1_000_000_000
_TELL_AGAIN_NS: Final = 10_000_000_000
STATUS_BYTES: Final = 64 * 1024
EARLIEST: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock of a unit that runs this software can truly be earlier: it was written then."""


# --- masks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks in force, as facts for the interlock and as zones for the pipeline."""

    facts: MaskFacts
    zones: ZoneSet | None = None
    number: int = 0


class MaskSource(Protocol):
    """Port: where the masks in force come from."""

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever `load` would give something else; cheap."""
        ...

    def load(self) -> Masks:
        """The masks in force. Never raises."""
        ...


class StoredMasks:
    """Signed records from the store."""

    def __init__(self, store: MaskStore) -> None:
        self._store = store

    def stamp(self) -> tuple[int, ...]:
        """Of the store."""
        return self._store.stamp()

    def load(self) -> Masks:
        """The union of all records in force, and the strictest of what they ask for."""
        loaded = self._store.load()
        records, zones = loaded.state.records, loaded.state.zones
        if zones is None or not records:
            state = MaskState.DAMAGED if loaded.trouble else MaskState.MISSING
            detail = loaded.trouble or "no mask record was committed"
            return Masks(MaskFacts(state, detail))
        oldest, newest = records[0].record, records[-1].record
        ends = [one.record.valid_to for one in records if one.record.valid_to is not None]
        facts = MaskFacts(
            MaskState.USABLE,
            "",
            mask_digest(zones),
            is_signed=True,
            device=newest.device,
            camera=newest.camera,
            # Until it is confirmed, a record for another frame size or reference view only adds
            # its masks.
            frame_px=oldest.frame_px,
            reference=oldest.reference,
            valid_from=max(one.record.valid_from for one in records),
            valid_to=min(ends, default=None),
        )
        return Masks(facts, zones, newest.number)


class PlainMasks:
    """An unsigned mask file: for a bench."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def stamp(self) -> tuple[int, ...]:
        """Of the file."""
        try:
            status = os.stat(self._path)
        except OSError:
            return ()
        return (status.st_mtime_ns, status.st_ino, status.st_size)

    def load(self) -> Masks:
        """The file's masks, for any camera and frame size."""
        try:
            zones = load_masks(self._path)
        except ConfigError as err:
            missing = err.code == "exclusion.mask.missing"
            state = MaskState.MISSING if missing else MaskState.DAMAGED
            return Masks(MaskFacts(state, "; ".join([err.message, *err.problems[:5]])))
        return Masks(MaskFacts(MaskState.USABLE, "", mask_digest(zones)), zones)


# --- configuration and clock -----------------------------------------------------------------


def check_config_signature(
    config_file: str | os.PathLike[str],
    content: bytes,
    keys: tuple[PublicKey, ...],
    number_file: Path | None = None,
) -> tuple[bool, str]:
    """Whether the city signed the configuration, and what is wrong if it did not sign this one.

    The signature lies beside it: `NAME.toml.sig`, an envelope (`trust.envelope.sign_file`) with the
    configuration's `number`, which never goes back.
    """
    finish(Path(config_file), content, DocumentType.CONFIG, keys)
    data = read_regular_file(f"{os.fspath(config_file)}.sig", limit_bytes=MAX_ENVELOPE_BYTES)
    if isinstance(data, FileTrouble):
        missing = data.detail == "does not exist"
        return False, "" if missing or not keys else f"its signature {data.detail}"
    if not keys:
        return False, ""
    try:
        payload = verify_file(data, content, DocumentType.CONFIG, keys)
        _check_config_number(payload.get("number"), number_file)
    except (TrustError, DigestMismatch, Rollback) as err:
        return False, err.message
    return True, ""


def _check_config_number(number: Any, number_file: Path | None) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise TrustError("the configuration's signature has no number", code="trust.file.number")
    if number_file is not None:
        take_number("configuration", number, number_file, code="trust.file.number")


def clock_trouble(clocks: Clocks, accept: str, rtc: Path = Path("/sys/class/rtc/rtc0")) -> str:
    """Why the wall clock is not trusted; empty: it is.

    Args:
        accept: `synchronised`: NTP, PTP or GNSS disciplines it. `rtc`: that, or a hardware clock
            set it at the start. `assumed`: as `synchronised`, but the interlock waives it.
    """
    if datetime.fromtimestamp(clocks.wall_s(), UTC) < EARLIEST:
        return "the clock shows a time before this software was written"
    if clocks.believed():
        return ""
    if accept == "rtc":
        try:
            if (rtc / "hctosys").read_text("ascii").strip() == "1":
                return ""
        except OSError:
            pass
        return "neither a time source nor a hardware clock has set the clock"
    return "no time source has set the clock since the start"


LEAST_FREE_BYTES: Final = 4 << 20
"""Less free space is a full disk: the ledger could not even record that it stopped."""


def storage_trouble(folders: Iterable[Path]) -> str:
    """Why one of these folders, or what will hold it, takes nothing; empty: all do."""
    for folder in folders:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            space = os.statvfs(folder)
        except OSError as err:
            return f"{folder} cannot be used: {err.strerror}"
        if space.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
            return f"{folder} cannot be written to"
        if space.f_bavail * space.f_frsize < LEAST_FREE_BYTES:
            return f"the disk of {folder} is full"
    return ""


# --- the guard -------------------------------------------------------------------------------


class Guard:
    """Asked before every frame; see the module's docstring.

    Other rooms tell what they find by setting `view` (scene and reference), `self_test` and `site`.

    Args:
        unit: device and camera of the configuration.
        software: what the start found; `Guard` never changes it.
        trouble_of_clock: as `clock_trouble` with its arguments bound.
        monotonic_ns: a clock that never steps.
        status_file: where the verdict is told; `None`: nowhere.
        about: more for the status file: versions and digests.
        place: what the place forbids; None: nobody asks (tests of other causes).
        trouble_of_storage: why nothing can be kept; empty: it can.
    """

    def __init__(
        self,
        *,
        masks: MaskSource,
        interlock: Interlock,
        unit: tuple[str, str],
        software: SoftwareFacts,
        clocks: Clocks,
        trouble_of_clock: Callable[[], str],
        monotonic_ns: Callable[[], int],
        status_file: Path | None = None,
        about: dict[str, Any] | None = None,
        place: SiteJudge | None = None,
        trouble_of_storage: Callable[[], str] = lambda: "",
    ) -> None:
        self._place, self._place_stamp = place, None if place is None else place.stamp()
        self._trouble_of_storage = trouble_of_storage
        self._source = masks
        self._interlock = interlock
        self._software = software
        self._clocks = clocks
        self._trouble_of_clock = trouble_of_clock
        self._monotonic_ns = monotonic_ns
        self._status_file = status_file
        self._about = about or {}
        self._looked_ns: int | None = None
        self._told_ns = 0
        self._stamp: tuple[int, ...] = ()
        self._clock_says = self._storage_says = ""
        self._last: Verdict | None = None
        self._guards: dict[str, Any] = {"may_read": True, "view": "unwatched", "self_test": "none"}
        # What other rooms find; they replace it.
        self.view = ViewFacts(*unit)
        self.self_test = software.self_test
        self.site: tuple[Stop, ...] = ()
        self.masks = Masks(MaskFacts())
        # Told whenever the masks were read again.
        self.on_masks: Callable[[], None] = lambda: None
        # Told after a verdict that was based on another place.
        self.on_place: Callable[[], None] = lambda: None
        self._told_basis = ""

    @property
    def phase(self) -> Phase:
        """Where the device is."""
        return self._interlock.phase

    @property
    def mask_digest(self) -> str:
        """Names the masks that the last verdict was about."""
        return self.masks.facts.digest

    @property
    def is_outdated(self) -> bool:
        """Whether masks or place on disk are no longer what the last verdict was about."""
        if self._looked_ns is None:
            return False
        moved = self._place is not None and self._place.stamp() != self._place_stamp
        return moved or self._source.stamp() != self._stamp

    @property
    def basis(self) -> str:
        """Names register and commissioning that the last verdict was about."""
        return "" if self._place is None else self._place.basis

    def close(self) -> None:
        """Let receivers go. May be called twice."""
        if self._place is not None:
            self._place.close()

    def ground(self) -> GroundZones | None:
        """Ground that taints, as of the last verdict; None where none can be in view."""
        return None if self._place is None else self._place.ground()

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Digests of register and commissioning record, as of the last verdict."""
        return (
            (None, None)
            if self._place is None
            else (self._place.register, self._place.commissioning)
        )

    def located(self, provenance: Provenance) -> Provenance:
        """The provenance with register and commissioning as of the last verdict."""
        register, commissioning = self.place
        return replace(provenance, register_digest=register, commissioning_id=commissioning)

    def judge(self, frame_px: tuple[int, int] | None) -> Verdict:
        """Whether a frame of this width and height may be read now; before the first: `None`."""
        now_ns = self._monotonic_ns()
        due = self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_AGAIN_NS
        if due or self.is_outdated:
            self._looked_ns = now_ns
            self._look()
        view = self.view
        verdict = self._interlock.judge(
            Facts(
                self.masks.facts,
                ViewFacts(view.device, view.camera, frame_px, view.reference, view.scene),
                replace(
                    self._software,
                    self_test=self.self_test,
                    storage_trouble=self._software.storage_trouble or self._storage_says,
                ),
                ClockFacts(self._now(), now_ns, self._clock_says),
                (*self.site, *self._ask_the_place(frame_px, now_ns)),
            )
        )
        if self.basis != self._told_basis:
            self._told_basis = self.basis
            self.on_place()
        changed = self._last is None or _codes(verdict) != _codes(self._last)
        self._last = verdict
        if changed:
            self._log(verdict)
        if changed or now_ns - self._told_ns >= _TELL_AGAIN_NS:
            self._told_ns = now_ns
            self._tell(verdict)
        return verdict

    def noted(self, *, may_read: bool, view: str, self_test: str) -> None:
        """What the pipeline's own guards, which need frames, say; told with the verdict.

        They are enforced in `pipeline.Pipeline.step`, before anything looks.
        """
        told = {"may_read": may_read, "view": view, "self_test": self_test}
        if told != self._guards:
            self._guards = told
            if self._last is not None:
                self._tell(self._last)

    def _ask_the_place(self, frame_px: tuple[int, int] | None, now_ns: int) -> tuple[Stop, ...]:
        if self._place is None:
            return ()
        self._place_stamp = self._place.stamp()
        question = Question(
            self.masks.zones,
            self.masks.facts.digest,
            frame_px,
            self.view.reference,
            None if self._clock_says else self._now(),
            now_ns,
        )
        return self._place.stops(question)

    def _look(self) -> None:
        stamp = self._source.stamp()
        if stamp != self._stamp or not stamp or self.masks.zones is None:
            self.masks = self._source.load()
            self._stamp = stamp
            self.on_masks()
        self._clock_says = self._trouble_of_clock()
        self._storage_says = self._trouble_of_storage()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clocks.wall_s(), UTC)

    def _log(self, verdict: Verdict) -> None:
        if verdict.may_read:
            _log.info("reading")
        for stop in verdict.stops:
            _log.error("nothing is read: %s", stop.detail, extra={"code": str(stop.reason)})
        for stop in verdict.waived:
            _log.warning("not enforced here: %s", stop.detail, extra={"code": str(stop.reason)})

    def _tell(self, verdict: Verdict) -> None:
        if self._status_file is None:
            return
        document = {
            "phase": self._interlock.phase.value,
            "stops": [
                {"code": str(s.reason), "what": s.detail, "hint": s.hint} for s in verdict.stops
            ],
            "waived": [{"code": str(s.reason), "what": s.detail} for s in verdict.waived],
            "guards": self._guards,
            "masks": {
                "digest": self.masks.facts.digest,
                "number": self.masks.number,
                "signed": self.masks.facts.is_signed,
            },
            "place": {
                "register": self.place[0],
                "commissioning": self.place[1],
            },
            "told_at": format_time(self._now()),
            "told_boot_s": self._clocks.boot_s(),
            "boot_id": self._clocks.boot_id(),
            "pid": os.getpid(),
            **self._about,
        }
        try:
            write_durably(self._status_file, json.dumps(document, indent=1).encode() + b"\n")
        except OSError as err:
            _log.warning("the status file cannot be written", extra={"why": str(err.strerror)})


def _codes(verdict: Verdict) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(s.reason for s in verdict.stops), tuple(s.reason for s in verdict.waived)
