"""May a camera stand here? Verdict, reasons, what is lost, and what would be better. Pure.

Verdicts, the worst that applies:
- *must not stand*: the camera stands in or beside protected ground, or the masks that it would need
  leave less of the readable road than the policy asks for.
- *fits with this mask*: something protected is in view; the masks cover it for every pose that may
  be, and enough is left.
- *fits*: nothing protected is in view.

The readable ground is where a plate is wide enough to be read: between the lower edge of the
picture and the distance at which a plate has `Policy.plate_px` pixels. It is sampled on a grid; a
place counts as lost where a plate on it would fall on a mask or band, or on ground that taints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import cos, radians, sin, tan
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from alpr_edge.exclusion.camera_model import Lens, PlacedCamera
from alpr_edge.exclusion.local_plane import LocalPlane, Points
from alpr_edge.exclusion.premises import Site, core_area, taint_area
from alpr_edge.exclusion.projection import Projection, Rules, near_sites, project
from alpr_edge.zone_set import ZoneSet

PLATE_HEIGHT_M: Final = 0.7
_GRID: Final = (24, 16)
_TURNS: Final = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180)
_ZOOMS: Final = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


class Verdict(StrEnum):
    """Whether a camera may stand."""

    FITS = "fits"
    FITS_WITH_MASK = "fits_with_mask"
    MUST_NOT_STAND = "must_not_stand"

    @property
    def text(self) -> str:
        """For people."""
        return {"fits": "fits", "fits_with_mask": "fits with this mask"}.get(
            self.value, "must not stand here"
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What the city asks for.

    Attributes:
        rules: what is projected.
        plate_m: width of a plate. Source: SAE J686, 0.305 m; ISO 7591 has 0.52 m.
        plate_px: pixels that a plate must be wide to be read. Source: the shipped recogniser's
            input is 160 wide; reads grow rare below 50 in the street.
        most_lost: the part of the readable ground that masks may take.
    """

    rules: Rules = field(default_factory=Rules)
    plate_m: float = 0.305
    plate_px: float = 50.0
    most_lost: float = 0.6


@dataclass(frozen=True, slots=True)
class SiteReport:
    """One site near the camera.

    Attributes:
        distance_m: from the camera's foot to its core area.
        in_view: whether the camera may see any of it.
        readable: whether a plate may be read on its core area, were there no mask.
        share: of the frame that its mask takes.
    """

    id: str
    name: str
    category: str
    distance_m: float
    in_view: bool
    readable: bool
    share: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change with which the camera would get a better verdict."""

    text: str
    verdict: Verdict
    turn_deg: float = 0.0
    hfov_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """What a check found.

    Attributes:
        near_m, far_m: between which distances ahead plates can be read.
        lost: part of the readable ground that masks and bands take.
        masked: part of the frame that is blanked.
        reasons: why the verdict is what it is, for people.
    """

    camera: PlacedCamera
    verdict: Verdict
    reasons: tuple[str, ...]
    near_m: float
    far_m: float
    lost: float
    masked: float
    sites: tuple[SiteReport, ...]
    suggestions: tuple[Suggestion, ...]
    zones: ZoneSet


def check_placement(
    camera: PlacedCamera, sites: Sequence[Site], policy: Policy, *, suggest: bool = True
) -> Placement:
    """Judge one camera.

    Raises:
        ValueError: the camera's values are no camera.
    """
    found = project(sites, camera, policy.rules)
    near, far = readable_range(camera, policy)
    verdict, reasons, lost = _judge(camera, found, policy)
    better: tuple[Suggestion, ...] = ()
    if suggest and verdict is not Verdict.FITS:
        better = tuple(_suggest(camera, sites, policy, verdict, bool(found.stands_in)))
    return Placement(
        camera=camera,
        verdict=verdict,
        reasons=tuple(reasons),
        near_m=near,
        far_m=far,
        lost=lost,
        masked=found.masked,
        sites=_site_reports(camera, found, sites, policy),
        suggestions=better,
        zones=found.zones,
    )


def readable_range(camera: PlacedCamera, policy: Policy) -> tuple[float, float]:
    """Nearest and farthest distance ahead, on the ground, at which a plate can be read, metres.

    Both are zero where there is none: the picture ends nearer or farther than that.
    """
    high = camera.pose.height_m - PLATE_HEIGHT_M
    down = -camera.pose.tilt_deg + _half_height_deg(camera.lens)
    if down <= 0:
        return 0.0, 0.0
    near = max(high, 0.0) / tan(radians(down)) if down < 90 else 0.0
    slant = camera.lens.fx_px * policy.plate_m / policy.plate_px
    far = float(np.sqrt(max(slant**2 - high**2, 0.0)))
    up = -camera.pose.tilt_deg - _half_height_deg(camera.lens)
    if up > 0 and high > 0:
        far = min(far, high / tan(radians(up)))
    return (near, far) if far > near else (0.0, 0.0)


def _half_height_deg(lens: Lens) -> float:
    return float(np.degrees(np.arctan(lens.height_px / 2 / lens.fy_px)))


def readable_places(camera: PlacedCamera, policy: Policy) -> tuple[Points, Points]:
    """Places in view where a plate can be read, in metres; where each is seen, 0..1."""
    near, far = readable_range(camera, policy)
    if far <= 0:
        return np.zeros((0, 2)), np.zeros((0, 2))
    half = tan(radians(camera.lens.hfov_deg / 2)) * 1.1
    # As many samples near as far: what is lost is counted by road, not by pixels.
    ahead = np.linspace(near, far, _GRID[0])
    aside = np.linspace(-half, half, _GRID[1])
    grid = np.stack([np.outer(ahead, aside).ravel(), np.repeat(ahead, _GRID[1])], axis=-1)
    heading = radians(camera.pose.heading_deg)
    turn = np.array([(cos(heading), -sin(heading)), (sin(heading), cos(heading))])
    flat = grid @ turn
    world = np.column_stack([flat, np.full(len(flat), PLATE_HEIGHT_M)])
    in_camera = camera.view.to_camera(world)
    ahead_of = in_camera[:, 2] > 0.3
    in_camera[:, 2] = np.where(ahead_of, in_camera[:, 2], 1.0)
    lens = camera.lens
    seen = lens.to_frame(camera.view.to_ideal(in_camera, lens)) / (lens.width_px, lens.height_px)
    inside = ahead_of & ((seen >= 0) & (seen <= 1)).all(axis=1)
    return flat[inside], seen[inside]


def protected_shape(zones: ZoneSet) -> BaseGeometry:
    """Masks, bands and the ring round the masks, in parts of the frame."""
    if zones.whole_frame:
        return shapely.box(0, 0, 1, 1)
    parts = [shapely.Polygon(m.polygon, m.holes).buffer(zones.band) for m in zones.masks]
    parts += [shapely.Polygon(b.polygon, b.holes) for b in zones.bands]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _lost(camera: PlacedCamera, found: Projection, policy: Policy) -> float:
    """Part of the readable places that masks and bands take; 1 where nothing can be read anyway."""
    if found.zones.whole_frame:
        return 1.0
    if found.zones.nothing_protected:
        return 0.0
    places, seen = readable_places(camera, policy)
    if not len(places):
        return 1.0
    shape = protected_shape(found.zones)
    shapely.prepare(shape)
    hidden: NDArray[np.bool_] = shapely.intersects_xy(shape, seen)
    return float(hidden.mean())


def _judge(
    camera: PlacedCamera, found: Projection, policy: Policy
) -> tuple[Verdict, list[str], float]:
    lost = _lost(camera, found, policy)
    if found.stands_in:
        names = ", ".join(found.stands_in)
        return Verdict.MUST_NOT_STAND, [f"stands in or beside protected ground: {names}"], 1.0
    if not found.in_view:
        return Verdict.FITS, ["nothing protected is in view"], lost
    names = ", ".join(seen.site.id for seen in found.in_view[:8])
    reasons = [f"in view: {names}"]
    if found.zones.whole_frame:
        reasons.append("with this pose, as well as it is known, everything would be masked")
        return Verdict.MUST_NOT_STAND, reasons, 1.0
    if lost > policy.most_lost:
        reasons.append(
            f"masks would take {lost:.0%} of the readable ground; "
            f"{policy.most_lost:.0%} are allowed"
        )
        return Verdict.MUST_NOT_STAND, reasons, lost
    reasons.append(
        f"masks take {found.masked:.0%} of the picture, {lost:.0%} of the readable ground"
    )
    return Verdict.FITS_WITH_MASK, reasons, lost


def _site_reports(
    camera: PlacedCamera, found: Projection, sites: Sequence[Site], policy: Policy
) -> tuple[SiteReport, ...]:
    """Sites in view, and others within twice the readable range."""
    _, far = readable_range(camera, policy)
    near = near_sites(sites, camera, max(policy.rules.reach_m, 2 * far))
    if not near:
        return ()
    plane = LocalPlane(*camera.pose.place)
    in_view = {seen.site.id: seen for seen in found.in_view}
    places, _ = readable_places(camera, policy)
    reports = []
    for site in near:
        seen = in_view.get(site.id)
        area = core_area(site, plane)
        distance = float(shapely.distance(area, shapely.Point(0, 0)))
        if seen is None and distance > 2 * max(far, 25.0):
            continue
        readable = bool(len(places)) and bool(shapely.intersects_xy(area, places).any())
        reports.append(
            SiteReport(
                site.id, site.name, site.category.value, distance, seen is not None,
                readable, seen.share if seen else 0.0,
            )
        )  # fmt: skip
    return tuple(sorted(reports, key=lambda r: r.distance_m))


def _suggest(
    camera: PlacedCamera,
    sites: Sequence[Site],
    policy: Policy,
    verdict: Verdict,
    stands_in: bool,
) -> list[Suggestion]:
    """The smallest turn each way, and the narrowest lens, that give a better verdict."""
    if stands_in:
        return [Suggestion(_move_away(camera, sites, policy), Verdict.FITS)]
    found = []
    for sign, side in ((1, "right"), (-1, "left")):
        for turn in _TURNS:
            changed = _turned(camera, sign * turn)
            after = _quick(changed, sites, policy)
            if _is_better(after, verdict):
                text = f"turn by {turn}° to the {side}: {after.text}"
                found.append(Suggestion(text, after, turn_deg=float(sign * turn)))
                break
    for zoom in _ZOOMS:
        narrow = _zoomed(camera, zoom)
        after = _quick(narrow, sites, policy)
        if _is_better(after, verdict):
            hfov = narrow.lens.hfov_deg
            found.append(
                Suggestion(f"narrow the lens to {hfov:.1f}°: {after.text}", after, hfov_deg=hfov)
            )
            break
    return sorted(found, key=lambda s: (list(Verdict).index(s.verdict), abs(s.turn_deg)))


def _is_better(one: Verdict, than: Verdict) -> bool:
    order = list(Verdict)
    return order.index(one) < order.index(than)


def _quick(camera: PlacedCamera, sites: Sequence[Site], policy: Policy) -> Verdict:
    return _judge(camera, project(sites, camera, policy.rules), policy)[0]


def _turned(camera: PlacedCamera, by_deg: float) -> PlacedCamera:
    heading = (camera.pose.heading_deg + by_deg) % 360.0
    return replace(camera, pose=replace(camera.pose, heading_deg=heading))


def _zoomed(camera: PlacedCamera, factor: float) -> PlacedCamera:
    """The same camera with its field of view times `factor`, without distortion."""
    lens = camera.lens
    zoom = tan(radians(lens.hfov_deg / 2)) / tan(radians(lens.hfov_deg * factor / 2))
    narrow = replace(lens, fx_px=lens.fx_px * zoom, fy_px=lens.fy_px * zoom, distortion=(0.0,) * 5)
    return replace(camera, lens=narrow)


def _move_away(camera: PlacedCamera, sites: Sequence[Site], policy: Policy) -> str:
    """How far to carry the pole out of protected ground."""
    plane = LocalPlane(*camera.pose.place)
    areas = [
        taint_area(site, plane, policy.rules.band_m)
        for site in near_sites(sites, camera, policy.rules.reach_m)
    ]
    whole = shapely.union_all(areas).buffer(max(1.0, 3.0 * camera.position_error_m))
    here = shapely.Point(0, 0)
    away = shapely.get_coordinates(shapely.shortest_line(here, shapely.boundary(whole)))[-1]
    bearing = float(np.degrees(np.arctan2(away[0], away[1]))) % 360.0
    metres = float(np.hypot(*away)) + 1.0
    return f"put the pole {metres:.0f} m away, towards {bearing:.0f}°, and check again"
