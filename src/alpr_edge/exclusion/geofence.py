"""Where a moving camera may look, and whether protected ground may be there. Pure.

For vehicles and pan-tilt cameras: every fix and every position of the head is judged anew. The
answer is a `Verdict`: `CLEAR` only where all is known and nothing protected can be in view.

Rules (all doubt is `UNKNOWN`, which reads as little as `PROTECTED`):
- No fix, an old one, one that is too coarse, of too few satellites, or without a stated accuracy.
- A jump that no vehicle makes; a place that does not move while the receiver states a speed, or
  moves while it states none; a GNSS time that goes back or differs from the device's clock. After
  one of these, `Limits.settle_fixes` fixes that agree are needed before `CLEAR` is possible again.
- A register that is stale.
- Where heading or head position are not known, the camera may look all round.
- A worse accuracy, heading or reach only ever adds ground (N4).

Times: `taken_ns` is the device's monotonic clock at the moment the fix arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from math import atan2, ceil, cos, degrees, isfinite, pi, radians
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from alpr_edge.exclusion.local_plane import (
    LocalPlane,
    LonLat,
    Points,
    degrees_round,
    distance_m,
    place_problem,
)
from alpr_edge.exclusion.premises import Register, Site, middle_of, taint_area
from alpr_edge.types import GnssFix, HeadPosition

_ARC_DEG: Final = 10.0
_CHORD: Final = 1 / cos(radians(_ARC_DEG / 2))
_SPEED_NOISE_MPS: Final = 2.0
_CIRCLE: Final = np.arange(0.0, 2 * pi - 1e-9, radians(_ARC_DEG))
_BLUR_MOST_M: Final = 5_000.0


class Verdict(StrEnum):
    """What a moving camera may do."""

    CLEAR = "clear"
    PROTECTED = "protected"
    UNKNOWN = "unknown"


class Doubt(StrEnum):
    """Why a verdict is `UNKNOWN`."""

    NO_FIX = "no_fix"
    STALE_FIX = "stale_fix"
    COARSE_FIX = "coarse_fix"
    FEW_SATELLITES = "few_satellites"
    IMPOSSIBLE_JUMP = "impossible_jump"
    SPEED_MISMATCH = "speed_mismatch"
    TIME_WENT_BACK = "time_went_back"
    CLOCK_MISMATCH = "clock_mismatch"
    SETTLING = "settling"
    REGISTER_STALE = "register_stale"
    NO_PLACE = "no_place"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fix must be to be believed.

    Attributes:
        reach_m: how far the camera can read, with some to spare.
        band_m: as `projection.Rules.band_m`.
        max_age_s: of a fix.
        max_accuracy_m: 95 % radius that is accepted.
        min_satellites: used in the fix.
        max_speed_mps: faster is no vehicle. Source: chosen, 250 km/h.
        max_acceleration_mps2: how fast the stated speed may change. Source: chosen, hard braking.
        max_clock_error_s: between GNSS time and the device's clock, where that is trusted.
        settle_fixes: fixes that agree, after doubt, before anything is clear.
        hold_s: a verdict stays protected so long after the last contact.
        min_course_speed_mps: below it, the course over ground is no heading.
    """

    reach_m: float = 60.0
    band_m: float = 2.0
    max_age_s: float = 2.0
    max_accuracy_m: float = 15.0
    min_satellites: int = 5
    max_speed_mps: float = 70.0
    max_acceleration_mps2: float = 12.0
    max_clock_error_s: float = 2.0
    settle_fixes: int = 5
    hold_s: float = 3.0
    min_course_speed_mps: float = 3.0


@dataclass(frozen=True, slots=True)
class Looking:
    """How a camera is fixed to its vehicle or post.

    Attributes:
        hfov_deg: horizontal field of view at the widest zoom in use.
        offset_deg: direction of view against the vehicle's heading, clockwise.
        error_deg: how far that may be off.
        head: position of a pan-tilt head; None for a camera that is fixed.
        has_head: whether there is a head; without its position the view may be anywhere.
    """

    hfov_deg: float
    offset_deg: float = 0.0
    error_deg: float = 5.0
    head: HeadPosition | None = None
    has_head: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known at one moment.

    Attributes:
        doubts: why it is not known, where it is not.
        sites: ids of the sites that may be in view.
    """

    verdict: Verdict
    doubts: tuple[Doubt, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Heading:
    """Middle and half width of the directions of view, degrees; 180 is all round."""

    middle_deg: float
    half_deg: float


class Fence:
    """The register, indexed for questions about small parts of it."""

    def __init__(self, sites: Sequence[Site], band_m: float) -> None:
        self._sites = [_Fenced.make(site, band_m) for site in sites]
        boxes, owners = [], []
        for number, fenced in enumerate(self._sites):
            west, south, east, north = fenced.box
            # Boxes near the antimeridian are there on both sides of it.
            for turn in (-360.0, 0.0, 360.0):
                if west + turn <= 182.0 and east + turn >= -182.0:
                    boxes.append((west + turn, south, east + turn, north))
                    owners.append(number)
        self._owners = owners
        self._tree = shapely.STRtree(shapely.box(*np.array(boxes).reshape(-1, 4).T))

    def touched(self, place: LonLat, view: Points) -> tuple[str, ...]:
        """Ids of sites whose taint area meets a polygon.

        Args:
            view: `(N, 2)` metres east and north of `place`.
        """
        reach = float(np.hypot(view[:, 0], view[:, 1]).max())
        wide, high = degrees_round(place, reach)
        box = shapely.box(place[0] - wide, place[1] - high, place[0] + wide, place[1] + high)
        found = sorted({self._owners[i] for i in self._tree.query(box)})
        if not found:
            return ()
        plane = LocalPlane(*place)
        return tuple(self._sites[n].id for n in found if self._sites[n].meets(plane, view))


@dataclass(frozen=True, slots=True)
class _Fenced:
    """One site in a plane of its own."""

    id: str
    plane: LocalPlane
    area: BaseGeometry
    box: tuple[float, float, float, float]

    @classmethod
    def make(cls, site: Site, band_m: float) -> _Fenced:
        plane = LocalPlane(*middle_of(site))
        area = taint_area(site, plane, band_m)
        shapely.prepare(area)
        outline = shapely.get_coordinates(area)
        farthest = float(np.hypot(outline[:, 0], outline[:, 1]).max())
        wide, high = degrees_round((plane.longitude, plane.latitude), farthest)
        west, south = plane.longitude - wide, plane.latitude - high
        return cls(site.id, plane, area, (west, south, west + 2 * wide, south + 2 * high))

    def meets(self, plane: LocalPlane, view: Points) -> bool:
        polygon = shapely.Polygon(self.plane.from_other(plane, view))
        return bool(shapely.intersects(self.area, polygon))


class Geofence:
    """Judges one moving camera, fix by fix. Keeps the last fixes, nothing else."""

    def __init__(self, register: Register, limits: Limits, *, on: date | None) -> None:
        self._limits = limits
        self._stale = register.is_stale(on)
        self._fence = Fence(register.sites_on(on), limits.band_m)
        self._last: GnssFix | None = None
        self._agreeing = 0
        self._touched_ns: int | None = None
        self._touched: tuple[str, ...] = ()

    def judge(
        self,
        fix: GnssFix | None,
        looking: Looking,
        *,
        now_ns: int,
        clock: datetime | None,
    ) -> Judgement:
        """What a camera may see now.

        Args:
            fix: the newest fix; the same one may be given again and grows old.
            now_ns: monotonic time.
            clock: the device's UTC time, None where it is not trusted.
        """
        doubts = self._doubts(fix, now_ns, clock)
        if fix is None or Doubt.NO_PLACE in doubts or Doubt.NO_FIX in doubts:
            return Judgement(Verdict.UNKNOWN, tuple(doubts), self._touched)
        touched = self._fence.touched(fix.place, view_polygon(fix, looking, self._limits))
        if touched:
            self._touched, self._touched_ns = touched, now_ns
        if doubts:
            return Judgement(Verdict.UNKNOWN, tuple(doubts), touched)
        if touched or self._is_held(now_ns):
            return Judgement(Verdict.PROTECTED, (), touched or self._touched)
        self._touched = ()
        return Judgement(Verdict.CLEAR)

    def _is_held(self, now_ns: int) -> bool:
        since = self._touched_ns
        return since is not None and not now_ns - since > self._limits.hold_s * 1e9

    def _doubts(self, fix: GnssFix | None, now_ns: int, clock: datetime | None) -> list[Doubt]:
        doubts = [Doubt.REGISTER_STALE] if self._stale else []
        if fix is None or not fix.is_valid or not isfinite(fix.speed_mps or 0.0):
            self._agreeing = 0
            return [*doubts, Doubt.NO_FIX]
        if place_problem(fix.place):
            self._agreeing = 0
            return [*doubts, Doubt.NO_PLACE]
        if fix is not self._last:
            self._take(fix, clock, doubts)
        age_s = (now_ns - fix.taken_ns) / 1e9
        if not 0.0 <= age_s <= self._limits.max_age_s:
            self._agreeing = 0
            doubts.append(Doubt.STALE_FIX)
        if not 0.0 < fix.accuracy_m <= self._limits.max_accuracy_m:
            doubts.append(Doubt.COARSE_FIX)
        if fix.satellites < self._limits.min_satellites:
            doubts.append(Doubt.FEW_SATELLITES)
        if not doubts and self._agreeing < self._limits.settle_fixes:
            doubts.append(Doubt.SETTLING)
        return doubts

    def _take(self, fix: GnssFix, clock: datetime | None, doubts: list[Doubt]) -> None:
        """Compare a new fix with the last one and the clock."""
        last, self._last = self._last, fix
        found = [] if last is None else self._against(fix, last)
        if clock is not None and fix.gnss_time is not None:
            error_s = abs((clock - fix.gnss_time).total_seconds())
            if not error_s <= self._limits.max_clock_error_s + self._limits.max_age_s:
                found.append(Doubt.CLOCK_MISMATCH)
        self._agreeing = 0 if found else self._agreeing + 1
        doubts += found

    def _against(self, fix: GnssFix, last: GnssFix) -> list[Doubt]:
        limits, found = self._limits, []
        seconds = (fix.taken_ns - last.taken_ns) / 1e9
        if seconds <= 0.0:
            return [Doubt.TIME_WENT_BACK]
        if fix.gnss_time is not None and last.gnss_time is not None:
            passed = (fix.gnss_time - last.gnss_time).total_seconds()
            if passed < 0.0:
                found.append(Doubt.TIME_WENT_BACK)
            elif abs(passed - seconds) > limits.max_clock_error_s:
                found.append(Doubt.CLOCK_MISMATCH)
        moved = distance_m(fix.place, last.place)
        blur = _blur(fix) + _blur(last)
        if moved - blur > limits.max_speed_mps * seconds:
            found.append(Doubt.IMPOSSIBLE_JUMP)
        elif fix.speed_mps is not None and last.speed_mps is not None:
            gained = limits.max_acceleration_mps2 * seconds
            slow, fast = sorted((fix.speed_mps, last.speed_mps))
            too_far = moved - blur > (fast + gained) * seconds
            too_near = moved + blur < (slow - gained) * seconds
            frozen = fix.place == last.place and slow > limits.min_course_speed_mps
            too_sudden = fast - slow > gained + _SPEED_NOISE_MPS
            if too_far or too_near or too_sudden or frozen:
                found.append(Doubt.SPEED_MISMATCH)
        return found


def view_polygon(fix: GnssFix, looking: Looking, limits: Limits) -> Points:
    """The ground that may be in view, `(N, 2)` metres east and north of the fix's place.

    It holds every view from within the fix's accuracy, in every direction that is possible.
    """
    heading = _heading(fix, looking, limits)
    speed = fix.speed_mps or 0.0
    blur = min(_blur(fix) + speed * limits.max_age_s, _BLUR_MOST_M)
    # Half widths are rounded up to the corners of one polygon, so that a wider view holds a
    # narrower one exactly.
    count = ceil(heading.half_deg / _ARC_DEG)
    if count * _ARC_DEG >= 85.0:
        angles, reach = _CIRCLE, limits.reach_m * _CHORD * _CHORD
        view = reach * np.column_stack([np.sin(angles), np.cos(angles)])
    else:
        angles = radians(heading.middle_deg) + np.arange(-count, count + 1) * radians(_ARC_DEG)
        rim = limits.reach_m * _CHORD * np.column_stack([np.sin(angles), np.cos(angles)])
        view = np.vstack([np.zeros((1, 2)), rim])
    disc = blur * _CHORD * np.column_stack([np.sin(_CIRCLE), np.cos(_CIRCLE)])
    everywhere = (view[:, None] + disc[None]).reshape(-1, 2)
    return shapely.get_coordinates(shapely.MultiPoint(everywhere).convex_hull)


def _heading(fix: GnssFix, looking: Looking, limits: Limits) -> _Heading:
    """Directions of view; all round where any part of them is not known."""
    all_round = _Heading(0.0, 180.0)
    middle, error = fix.heading_deg, fix.heading_error_deg
    if middle is None:
        speed = fix.speed_mps or 0.0
        if fix.course_deg is None or speed < limits.min_course_speed_mps:
            return all_round
        # A vehicle may skid or stand askew; slower, the course says less.
        middle = fix.course_deg
        error = 10.0 + degrees(atan2(max(1.0, _blur(fix) / 4), speed))
    if error is None or not isfinite(middle + error) or (looking.has_head and not looking.head):
        return all_round
    half = looking.hfov_deg / 2 + abs(error) + abs(looking.error_deg)
    if looking.head is not None:
        middle += looking.head.pan_deg
        half += abs(looking.head.error_deg)
    if not isfinite(middle + half) or half >= 85.0:
        return all_round
    return _Heading(middle + looking.offset_deg, half)


def _blur(fix: GnssFix) -> float:
    """How far the true place may be from the stated one; very far where nothing is stated."""
    stated = isfinite(fix.accuracy_m) and fix.accuracy_m > 0
    return min(fix.accuracy_m, _BLUR_MOST_M) if stated else _BLUR_MOST_M
