"""Whether a camera that moves may read now: vehicles, and pan-tilt heads. Asked before every frame.

`exclusion.geofence` judges fix and direction; here they are fetched, and its verdict becomes a
stop. Both stops pass by themselves when the camera is elsewhere. There is no commissioning record:
what a moving camera sees changes with every frame, so every frame is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.geofence import Geofence, Limits, Looking, Verdict
from alpr_edge.exclusion.interlock import Stop, StopReason
from alpr_edge.placement.site_files import OnDisk, SiteFiles
from alpr_edge.placement.standing import Question
from alpr_edge.types import GnssFix, HeadPosition


class GivesFixes(Protocol):
    """Port: a satellite receiver (`capture.gnss.GnssSource`), or `Post`."""

    def newest(self) -> GnssFix | None: ...

    def close(self) -> None: ...


class GivesHead(Protocol):
    """Port: a pan-tilt head (`capture.ptz.HeadSource`)."""

    def position(self, now_ns: int) -> HeadPosition | None:
        """Where it points now, its error with all that it may have turned since it was asked."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Post:
    """A post that a pan-tilt head hangs on: it never moves, and is as well known as its camera."""

    camera: PlacedCamera
    monotonic_ns: Callable[[], int]

    def newest(self) -> GnssFix:
        """Where the post stands, as a fix of this moment."""
        return GnssFix(
            place=self.camera.pose.place,
            taken_ns=self.monotonic_ns(),
            is_valid=True,
            accuracy_m=max(self.camera.position_error_m, 0.1),
            satellites=99,
            heading_deg=self.camera.pose.heading_deg,
            heading_error_deg=self.camera.turn_error_deg,
        )

    def close(self) -> None:
        """Nothing is open."""


class MovingCamera:
    """Judges one camera that moves. See the module's docstring.

    Args:
        looking: how it is fixed; `has_head` where `head` is given.
        head: None for a camera without a pan-tilt head.
    """

    def __init__(
        self,
        files: SiteFiles,
        fixes: GivesFixes,
        looking: Looking,
        limits: Limits,
        *,
        head: GivesHead | None = None,
    ) -> None:
        self._files, self._fixes, self._head = files, fixes, head
        self._looking = replace(looking, has_head=head is not None)
        self._limits = limits
        self._stamp: object = None
        self._on: date | None = None
        self._found = OnDisk()
        self._fence: Geofence | None = None

    @property
    def basis(self) -> str:
        """See `standing.SiteJudge`."""
        return str(self.register)

    @property
    def register(self) -> str | None:
        """See `standing.SiteJudge`."""
        return None if self._found.register is None else self._found.register.digest

    @property
    def commissioning(self) -> None:
        """A moving camera has none."""

    def stamp(self) -> object:
        """See `standing.SiteJudge`."""
        return self._files.stamp()

    def ground(self) -> None:
        """Nothing is read at all while protected ground may be in view."""

    def close(self) -> None:
        """See `standing.SiteJudge`."""
        self._fixes.close()
        if self._head is not None:
            self._head.close()

    def stops(self, question: Question) -> tuple[Stop, ...]:
        """See `standing.SiteJudge`."""
        fence = self._fence_of(question)
        if fence is None:
            detail = self._found.trouble.get("register", "there is no register of premises")
            return (Stop(StopReason.SITE_REGISTER, detail),)
        looking = self._looking
        if self._head is not None:
            looking = replace(looking, head=self._head.position(question.now_ns))
        judged = fence.judge(
            self._fixes.newest(), looking, now_ns=question.now_ns, clock=question.now
        )
        if judged.verdict is Verdict.CLEAR:
            return ()
        if judged.verdict is Verdict.PROTECTED:
            detail = "protected premises may be in view of the moving camera"
            return (Stop(StopReason.SITE_IN_VIEW, detail),)
        doubts = ", ".join(doubt.value for doubt in judged.doubts)
        return (Stop(StopReason.SITE_POSITION, f"where the camera is, is not known: {doubts}"),)

    def _fence_of(self, question: Question) -> Geofence | None:
        """The fence of the register on disk and of today; a new one has to settle again."""
        stamp, on = self._files.stamp(), None if question.now is None else question.now.date()
        if stamp != self._stamp or on != self._on:
            if stamp != self._stamp:
                self._found = self._files.load()
            self._stamp, self._on = stamp, on
            register = self._found.register
            self._fence = None if register is None else Geofence(register, self._limits, on=on)
        return self._fence
