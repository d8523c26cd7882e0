"""Whether a camera that stands still may read where it stands, asked before every frame. Pure.

The files come from `site_files`, facts about masks and frames with each question. Answers are kept
until one of them changes, so a question costs microseconds.

Rules:
- Without a valid commissioning record that is about exactly this, nothing is read (N3). Where
  something protected may be in view, or nobody can know, the stop is final: no bench waives it.
- A camera file beside the record must be the record's camera: calibrated anew is commissioned anew.
- The frame must have the size that was commissioned: all geometry is in its pixels.

`moving` judges cameras that move; `commissioning` holds the rules of the record itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol

from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.ground import FARTHEST_M, GroundZones
from alpr_edge.exclusion.interlock import Stop, StopReason
from alpr_edge.exclusion.premises import Register
from alpr_edge.exclusion.projection import near_sites, project
from alpr_edge.placement.check import Policy
from alpr_edge.placement.commissioning import Subject, site_stops
from alpr_edge.placement.site_files import OnDisk, SiteFiles
from alpr_edge.zone_set import ZoneSet

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is known of a frame that is to be read.

    Attributes:
        zones, masks: the masks in force and their digest; None: there are none.
        frame_px: width and height; None before the first frame.
        reference: digest of the reference view in use.
        now: UTC; None where the clock is not trusted.
        now_ns: monotonic time.
    """

    zones: ZoneSet | None
    masks: str
    frame_px: tuple[int, int] | None
    reference: str | None
    now: datetime | None
    now_ns: int


class SiteJudge(Protocol):
    """Port of `watch.Guard`: what the place forbids."""

    @property
    def basis(self) -> str:
        """Names what the last answer was based on; other ground is another basis."""
        ...

    @property
    def register(self) -> str | None:
        """Digest of the register in use."""
        ...

    @property
    def commissioning(self) -> str | None:
        """Digest of the commissioning record in use."""
        ...

    def stamp(self) -> object:
        """Changes whenever a file changes; some microseconds."""
        ...

    def stops(self, question: Question) -> tuple[Stop, ...]:
        """What forbids reading; empty: nothing. Never raises."""
        ...

    def ground(self) -> GroundZones | None:
        """Ground that taints, under the basis; None where none can be in view."""
        ...

    def close(self) -> None:
        """Let receivers go. May be called twice."""
        ...


class NoSite:
    """A unit that was told no register: nobody knows what it sees."""

    basis, register, commissioning = "", None, None

    def stamp(self) -> object:
        """Nothing changes."""
        return ()

    def stops(self, question: Question) -> tuple[Stop, ...]:
        """One, which a bench may waive."""
        detail = "the configuration names no register of premises"
        return (Stop(StopReason.SITE_NOT_COMMISSIONED, detail),)

    def ground(self) -> None:
        """None is known."""

    def close(self) -> None:
        """Nothing is open."""


class StandingCamera:
    """Judges one camera that stands still. See the module's docstring.

    Args:
        device: `device.id` of the configuration.
        least_band: as of `zones.rasterise`.
    """

    def __init__(
        self, files: SiteFiles, device: str, policy: Policy, *, least_band: float = 0.0
    ) -> None:
        self._files, self._device = files, device
        self._policy, self._least_band = policy, least_band
        self._stamp: object = None
        self._found = OnDisk()
        self._asked: object = None
        self._stops: tuple[Stop, ...] = ()
        self._on: date | None = None

    @property
    def basis(self) -> str:
        """See `SiteJudge`."""
        return f"{self.register} {self.commissioning}"

    @property
    def register(self) -> str | None:
        """See `SiteJudge`."""
        return None if self._found.register is None else self._found.register.digest

    @property
    def commissioning(self) -> str | None:
        """See `SiteJudge`."""
        return None if self._found.record is None else self._found.record.digest

    def stamp(self) -> object:
        """See `SiteJudge`."""
        return self._files.stamp()

    def stops(self, question: Question) -> tuple[Stop, ...]:
        """See `SiteJudge`."""
        stamp = self._files.stamp()
        if stamp != self._stamp:
            self._found, self._stamp = self._files.load(), stamp
        on = None if question.now is None else question.now.date()
        asked = (stamp, question.masks, question.frame_px, question.reference, on)
        if asked != self._asked:
            self._on = on
            self._stops, self._asked = tuple(self._judge(question, on)), asked
        return self._stops

    def ground(self) -> GroundZones | None:
        """See `SiteJudge`."""
        register, camera = self._found.register, self._camera
        if register is None or camera is None:
            return None
        near = near_sites(register.sites_on(self._on), camera, 2 * FARTHEST_M)
        zones = GroundZones(near, camera, self._policy.rules)
        return zones if zones.protected else None

    def close(self) -> None:
        """Nothing is open."""

    @property
    def _camera(self) -> PlacedCamera | None:
        found = self._found
        return found.camera if found.record is None else found.record.camera

    def _judge(self, question: Question, on: date | None) -> list[Stop]:
        found, stops = self._found, list[Stop]()
        if found.register is None:
            detail = found.trouble.get("register", "there is no register of premises")
            stops.append(Stop(StopReason.SITE_REGISTER, detail))
        if question.zones is None:
            # Without masks nothing is read anyway, and there is nothing to compare.
            return stops
        if found.record is None:
            detail = found.trouble.get("record", "there is no commissioning record")
            stops.append(Stop(StopReason.SITE_NOT_COMMISSIONED, detail))
        else:
            subject = Subject(
                self._device,
                found.camera or found.record.camera,
                question.zones,
                question.reference,
                self._least_band,
            )
            told = site_stops(found.record, found.register, subject, self._policy, on=on)
            stops += [s for s in told if found.register or s.reason != StopReason.SITE_REGISTER]
        if "camera" in found.trouble:
            stops.append(Stop(StopReason.SITE_NOT_COMMISSIONED, found.trouble["camera"]))
        if "keys" in found.trouble:
            stops.append(Stop(StopReason.SITE_NOT_COMMISSIONED, found.trouble["keys"]))
        stops += self._wrong_size(question.frame_px)
        if any(stop.reason is StopReason.SITE_NOT_COMMISSIONED for stop in stops):
            stops = self._final(stops, on)
        return stops

    def _wrong_size(self, frame_px: tuple[int, int] | None) -> list[Stop]:
        camera = self._camera
        if camera is None or frame_px is None:
            return []
        made = camera.lens.width_px, camera.lens.height_px
        if made == frame_px:
            return []
        detail = "the camera was calibrated for {}x{}, frames have {}x{}".format(*made, *frame_px)
        return [Stop(StopReason.SITE_NOT_COMMISSIONED, detail)]

    def _final(self, stops: list[Stop], on: date | None) -> list[Stop]:
        """Where something protected may be in view, a missing commissioning is final."""
        seen = self._may_see(on)
        if not seen:
            return stops
        return [
            replace(stop, is_final=True, detail=f"{stop.detail}; {seen}")
            if stop.reason is StopReason.SITE_NOT_COMMISSIONED
            else stop
            for stop in stops
        ]

    def _may_see(self, on: date | None) -> str:
        """What protected may be in view, as a phrase; empty: surely nothing."""
        register = self._found.register
        if register is None:
            return "without a register nobody knows what is in view"
        sites = register.sites_on(on)
        if not sites:
            return ""
        cameras = [self._found.camera, None if self._found.record is None else self._camera]
        known = [camera for camera in cameras if camera is not None]
        if not known:
            return "where the camera stands is not known, so the register's sites may be in view"
        names = sorted({name for one in known for name in self._in_view(register, one, on)})
        if not names:
            return ""
        more = "" if len(names) <= _SHOWN else f" and {len(names) - _SHOWN} more"
        return f"protected premises may be in view: {', '.join(names[:_SHOWN])}{more}"

    def _in_view(self, register: Register, camera: PlacedCamera, on: date | None) -> list[str]:
        rules = self._policy.rules
        near = near_sites(register.sites_on(on), camera, rules.reach_m)
        return [one.site.id for one in project(near, camera, rules).in_view]
