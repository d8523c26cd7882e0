"""Premises on the map → what is protected in a camera's picture: a `ZoneSet`.

The ground of a site is extruded to vehicle height, and everything that any admissible pose may see
of it belongs to the mask. Rules:

- Work is done on convex pieces of ground. A convex prism's picture lies in the hull of its corners'
  pictures; each corner's picture lies in a box round its pixel that holds it under every admissible
  pose; so the hull of the boxes holds the prism.
- The box: half of what the corner moves between both ends of each axis of the pose's ellipsoid,
  squared and summed (exact where pixels change linearly), and the whole curvature on top, one and
  a half times, and the lens's own error. Where a corner comes too near to the lens for this to
  mean anything, the whole frame is taken.
- Ground is uneven: prisms begin below and end above by `GroundError` and the earth's curvature.
- Straightness is used in ideal pixels only; the finished outline is bent by the lens in short
  steps.
- Rounding is outwards: a pixel or more is added, and detailed shapes give way to larger ones.
- A camera that may stand in or beside protected ground sees nothing but the whole frame masked.

Nothing beyond `Rules.reach_m` is looked at: a plate there has no pixels to be read from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from alpr_edge.exclusion.camera_model import PlacedCamera, Views
from alpr_edge.exclusion.local_plane import LocalPlane, Points, degrees_round, drop_m
from alpr_edge.exclusion.premises import (
    Site,
    approach_pieces,
    core_pieces,
    gate_lines,
    grow_all,
)
from alpr_edge.zone_set import GateLine, ZonePolygon, ZoneSet

CURVATURE: Final = 1.5
STEP_PX: Final = 12.0
"""Outlines are bent by the lens at steps of this; the chord is off by far less than a pixel."""
OUTWARD_PX: Final = 1.0
MOST_POINTS: Final = 200
MOST_SHAPES: Final = 100
"""Within the limits of a mask file (`config.mask_file`)."""
_NEVER_PX: Final = 1e5


@dataclass(frozen=True, slots=True)
class Rules:
    """What is projected.

    Attributes:
        vehicle_height_m: ground is extruded to this. Source: 96/53/EC, 4.0 m; US states to 4.3 m.
        plate_height_m: approach lanes are extruded to this: only plates are seen on them.
        band_m: vehicles this near to the core area taint their tracks.
        reach_m: sites farther away than this are out of view.
        band_share: width of the ring round every mask, as a part of the frame's width.
    """

    vehicle_height_m: float = 4.5
    plate_height_m: float = 2.0
    band_m: float = 2.0
    reach_m: float = 400.0
    band_share: float = 0.01


@dataclass(frozen=True, slots=True)
class SiteInView:
    """A site of which something is, or may be, in the picture.

    Attributes:
        distance_m: from the camera's foot to its core area; 0 where it may stand inside.
        share: part of the frame that its core mask covers.
    """

    site: Site
    distance_m: float
    share: float


@dataclass(frozen=True, slots=True)
class Projection:
    """The protected part of one camera's view.

    Attributes:
        zones: what to commission.
        in_view: the sites it protects, nearest first.
        stands_in: ids of sites in or beside whose protected ground the camera may stand.
        masked: part of the frame that the core masks cover.
    """

    zones: ZoneSet
    in_view: tuple[SiteInView, ...]
    stands_in: tuple[str, ...]
    masked: float


def project(sites: Sequence[Site], camera: PlacedCamera, rules: Rules) -> Projection:
    """What of the sites a camera may see.

    Raises:
        ValueError: the camera's values are no camera; ask `camera.problems()` first.
    """
    problems = camera.problems()
    if problems:
        raise ValueError("; ".join(problems))
    near = near_sites(sites, camera, rules.reach_m)
    if not near:
        return Projection(ZoneSet(nothing_protected=True), (), (), 0.0)
    plane = LocalPlane(*camera.pose.place)
    frame = _Frame(camera, rules)
    seen: list[SiteInView] = []
    masks: list[ZonePolygon] = []
    bands: list[ZonePolygon] = []
    gates: list[GateLine] = []
    cores: list[BaseGeometry] = []
    stands_in: list[str] = []
    here = shapely.Point(0, 0)
    grounds = [core_pieces(site, plane) for site in near]
    distances = [float(shapely.distance(pieces, here).min()) for pieces in grounds]
    rings = [grow_all(pieces, rules.band_m) for pieces in grounds]
    lanes = [approach_pieces(site, plane) for site in near]
    tall = frame.pictures_of([*grounds, *rings], rules.vehicle_height_m)
    flat = frame.pictures_of(lanes, rules.plate_height_m)
    for number, (site, distance) in enumerate(zip(near, distances, strict=True)):
        if distance <= frame.clearance_m:
            stands_in.append(site.id)
            seen.append(SiteInView(site, 0.0, 1.0))
            continue
        core_px, ring_px, lane_px = (
            frame.bent(p) for p in (tall[number], tall[number + len(near)], flat[number])
        )
        taint_px = shapely.union(ring_px, lane_px)
        if taint_px.area == 0.0:
            continue
        cores.append(core_px)
        seen.append(SiteInView(site, distance, frame.share(core_px)))
        masks += frame.polygons(site.id, core_px)
        bands += frame.polygons(site.id, taint_px)
        gates += frame.gates(site, plane)
    in_view = tuple(sorted(seen, key=lambda s: s.distance_m))
    masked = frame.share(shapely.union_all(cores)) if cores else 0.0
    if stands_in or masked > 1 - 1e-6:
        return Projection(ZoneSet(whole_frame=True), in_view, tuple(stands_in), 1.0)
    zones = ZoneSet(
        masks=_within_limits(masks),
        nothing_protected=not seen,
        bands=_within_limits(bands),
        gates=tuple(gates[:MOST_SHAPES]),
        band=rules.band_share if masks else 0.0,
    )
    return Projection(zones, in_view, (), masked)


def near_sites(sites: Iterable[Site], camera: PlacedCamera, reach_m: float) -> list[Site]:
    """Sites of which a point may lie within `reach_m` of the camera. Cheap; may name too many."""
    place = camera.pose.place
    found = []
    for site in sites:
        far = reach_m + site.reach_m + camera.position_error_m
        wide, high = degrees_round(place, far)
        away = np.array(list(site.places())) - place
        away[:, 0] = (away[:, 0] + 180.0) % 360.0 - 180.0
        low, top = away.min(axis=0), away.max(axis=0)
        if low[0] <= wide and top[0] >= -wide and low[1] <= high and top[1] >= -high:
            found.append(site)
    return found


class _Frame:
    """One camera's frame, prepared for projecting."""

    def __init__(self, camera: PlacedCamera, rules: Rules) -> None:
        self._camera, self._rules = camera, rules
        lens = camera.lens
        self._views = Views.of((camera.view, *camera.extreme_views))
        ideal = lens.to_ideal(lens.border)
        self._shape = shapely.Polygon(ideal).buffer(4.0 * lens.error_px + 4.0)
        # A bent lens shrinks what is at the edge, and its outline is drawn in steps.
        self._outward_px = OUTWARD_PX * (1.0 if lens.is_straight else 3.0)
        self.whole = shapely.box(0, 0, lens.width_px, lens.height_px)
        rays = camera.view.rays(ideal, lens)
        ahead = camera.view.rotation[2]
        # Half of the widest angle of view, with the pose's turning.
        self._cone_deg = float(np.degrees(np.arccos((rays @ ahead).min()))) + camera.turn_error_deg
        self.clearance_m = max(1.0, 3.0 * camera.position_error_m) + 0.01
        # What the camera sees is farther than the clearance, so no nearer than this along its axis.
        self._near_m = 0.9 * self.clearance_m * cos(radians(min(self._cone_deg + 10.0, 85.0)))
        self._sector = self._view_sector(rays)

    def _view_sector(self, rays: Points) -> shapely.Polygon:
        """The ground that may be in view, as a wedge, or a square where it may be all round."""
        camera, reach = self._camera, self._rules.reach_m
        everything = shapely.box(-reach, -reach, reach, reach)
        across = np.hypot(rays[:, 0], rays[:, 1])
        if across.min() < cos(radians(75.0)):
            return everything
        bearing = np.degrees(np.arctan2(rays[:, 0], rays[:, 1])) - camera.pose.heading_deg
        half = float(np.abs((bearing + 180.0) % 360.0 - 180.0).max())
        half += camera.turn_error_deg / float(across.min()) + float(camera.spread[6]) * half + 1.0
        if half > 80.0:
            return everything
        back = camera.position_error_m / sin(radians(half)) + 0.1
        return _wedge(camera.pose.heading_deg, half, 2 * reach, back)

    def pictures_of(
        self, grounds: Sequence[Sequence[BaseGeometry]], height_m: float
    ) -> list[BaseGeometry | None]:
        """What may be seen of each ground, given in convex pieces, up to a height: ideal pixels.

        None is the whole frame.
        """
        prisms, owners = [], []
        for owner, pieces in enumerate(grounds):
            for ground in shapely.intersection(list(pieces), self._sector):
                if not ground.is_empty:
                    outline = shapely.get_coordinates(ground.convex_hull)
                    prism = self._prism(outline, height_m)
                    if len(prism):
                        prisms.append(prism)
                        owners.append(owner)
        if not prisms:
            return [shapely.Polygon()] * len(grounds)
        counts = np.array([len(prism) for prism in prisms])
        boxes, sure = self._boxes(np.concatenate(prisms))
        index = np.repeat(np.arange(len(prisms)), counts)
        points = shapely.multipoints(boxes.reshape(-1, 2), indices=np.repeat(index, 4))
        hulls = np.asarray(shapely.convex_hull(points))
        all_sure = np.logical_and.reduceat(sure, np.concatenate([[0], counts.cumsum()[:-1]]))
        pictures: list[BaseGeometry | None] = []
        for owner in range(len(grounds)):
            mine = [i for i, o in enumerate(owners) if o == owner]
            if not all_sure[mine].all():
                pictures.append(None)
                continue
            pictures.append(shapely.union_all(hulls[mine]))
        return pictures

    def _prism(self, ground: Points, height_m: float) -> Points:
        """The corners `(N, 3)` of a convex piece of ground, extruded, in front of the lens."""
        away = np.hypot(ground[:, 0], ground[:, 1])
        loose = self._camera.ground.at(away) + drop_m(float(away.max()))
        low = np.column_stack([ground, -loose])
        top = np.column_stack([ground, height_m + loose])
        return _cut_near(np.concatenate([low, top]), self._camera, self._near_m)

    def _boxes(self, corners: Points) -> tuple[Points, NDArray[np.bool_]]:
        """Corners of the boxes `(N, 4, 2)` that hold the corners' pixels under every pose.

        Returns:
            The boxes, and for each whether it means anything: not too near to the lens.
        """
        lens, near = self._camera.lens, 0.2 * self._near_m
        in_camera = self._views.to_camera(corners)
        sure = in_camera[..., 2].min(axis=0) >= near
        in_camera[..., 2] = np.maximum(in_camera[..., 2], near)
        pixels = self._views.to_ideal(in_camera, lens)
        centre, plus, minus = pixels[0], pixels[1::2], pixels[2::2]
        linear = np.sqrt((((plus - minus) / 2) ** 2).sum(axis=0))
        curved = np.abs((plus + minus) / 2 - centre).sum(axis=0)
        half = linear + CURVATURE * curved + 1.5 * lens.error_px + self._outward_px
        low = np.clip(centre - half, -_NEVER_PX, _NEVER_PX)
        top = np.clip(centre + half, -_NEVER_PX, _NEVER_PX)
        x = np.stack([low[:, 0], top[:, 0], low[:, 0], top[:, 0]], axis=-1)
        y = np.stack([low[:, 1], low[:, 1], top[:, 1], top[:, 1]], axis=-1)
        return np.stack([x, y], axis=-1), sure & np.isfinite(half).all(axis=-1)

    def bent(self, seen: BaseGeometry | None) -> BaseGeometry:
        """Ideal pixels to pixels of the frame, cut at its edge; None is the whole of it."""
        if seen is None:
            return self.whole
        lens = self._camera.lens
        if not lens.is_straight:
            stepped = shapely.segmentize(shapely.intersection(seen, self._shape), STEP_PX)
            seen = shapely.transform(stepped, lens.to_frame)
            # Steps of a bent outline may cross where it is thin: grown by nothing, it is whole.
            seen = seen if seen.is_valid else seen.buffer(OUTWARD_PX).convex_hull
        return shapely.intersection(seen, self.whole)

    def share(self, pixels: BaseGeometry) -> float:
        """Part of the frame, 0..1."""
        return min(1.0, float(pixels.area / self.whole.area))

    def polygons(self, name: str, pixels: BaseGeometry) -> list[ZonePolygon]:
        """The parts of a shape as polygons in parts of the frame."""
        parts = [p for p in shapely.get_parts(pixels) if isinstance(p, shapely.Polygon)]
        parts = [part for part in parts if not part.is_empty]
        return [
            self._polygon(_title(name, number), part) for number, part in enumerate(parts, start=1)
        ]

    def _polygon(self, name: str, part: shapely.Polygon) -> ZonePolygon:
        outline = _simple(part, self.whole)
        size = (self._camera.lens.width_px, self._camera.lens.height_px)
        rings = [
            tuple((float(x), float(y)) for x, y in np.clip(ring / size, 0.0, 1.0).round(7))
            for ring in _rings(outline)
        ]
        return ZonePolygon(name, rings[0], tuple(rings[1:]))

    def gates(self, site: Site, plane: LocalPlane) -> list[GateLine]:
        """Where driveways meet the street, as lines in parts of the frame."""
        lens, view = self._camera.lens, self._camera.view
        found = []
        for way, line in gate_lines(site, plane):
            flat = np.column_stack([shapely.get_coordinates(line), np.zeros(2)])
            in_camera = view.to_camera(flat)
            if in_camera[:, 2].min() <= self._near_m:
                continue
            drawn = shapely.LineString(lens.to_frame(view.to_ideal(in_camera, lens)))
            cut = shapely.intersection(drawn, self.whole)
            if cut.geom_type != "LineString" or cut.length < 2.0:
                continue
            size = (lens.width_px, lens.height_px)
            points = np.clip(shapely.get_coordinates(cut) / size, 0.0, 1.0)
            found.append(GateLine(_title(way, 1), tuple((float(x), float(y)) for x, y in points)))
        return found


def _wedge(heading_deg: float, half_deg: float, length_m: float, back_m: float) -> shapely.Polygon:
    """A triangle that opens along a heading, its tip `back_m` behind the origin."""
    heading = radians(heading_deg)
    tip = (-back_m * sin(heading), -back_m * cos(heading))
    side = length_m / cos(radians(half_deg))
    ends = [
        (
            tip[0] + side * sin(heading + sign * radians(half_deg)),
            tip[1] + side * cos(heading + sign * radians(half_deg)),
        )
        for sign in (-1, 1)
    ]
    return shapely.Polygon([tip, *ends])


def _cut_near(prism: Points, camera: PlacedCamera, near_m: float) -> Points:
    """The corners of a prism's part in front of the lens.

    Args:
        prism: `(2N, 3)`, the lower ring, then the upper one.
    """
    depth = camera.view.to_camera(prism)[:, 2] - near_m
    if depth.min() >= 0:
        return prism
    half = len(prism) // 2
    ring = np.arange(half)
    after = (ring + 1) % half
    edges = np.concatenate(
        [
            np.column_stack([ring, after]),
            np.column_stack([ring + half, after + half]),
            np.column_stack([ring, ring + half]),
        ]
    )
    one, other = depth[edges[:, 0]], depth[edges[:, 1]]
    crossing = (one < 0) != (other < 0)
    start, end = prism[edges[crossing, 0]], prism[edges[crossing, 1]]
    share = (one[crossing] / (one[crossing] - other[crossing]))[:, None]
    return np.concatenate([prism[depth >= 0], start + (end - start) * share])


def _simple(part: shapely.Polygon, frame: shapely.Polygon) -> shapely.Polygon:
    """A polygon of few points, within the frame, that covers the given one and a little more."""
    polygon = shapely.Polygon(part.exterior, [h for h in part.interiors if _area(h) > 64.0])
    for step in (1.0, 2.0, 4.0, 8.0):
        rougher = polygon.buffer(step, join_style="mitre").simplify(step * 0.8)
        rougher = shapely.clip_by_rect(rougher, *frame.bounds)
        if not isinstance(rougher, shapely.Polygon) or _points(rougher) > MOST_POINTS:
            continue
        if rougher.is_valid and rougher.covers(polygon) and _is_apart(rougher):
            return rougher
    return shapely.box(*polygon.bounds)


def _is_apart(polygon: shapely.Polygon) -> bool:
    """Whether no two points of a ring would be rounded to one."""
    steps = [np.roll(ring, -1, axis=0) - ring for ring in _rings(polygon)]
    return all(bool((np.hypot(step[:, 0], step[:, 1]) > 0.01).all()) for step in steps)


def _rings(polygon: shapely.Polygon) -> list[Points]:
    return [shapely.get_coordinates(r)[:-1] for r in (polygon.exterior, *polygon.interiors)]


def _points(polygon: shapely.Polygon) -> int:
    return max(len(ring) for ring in _rings(polygon))


def _area(ring: shapely.LinearRing) -> float:
    return float(shapely.Polygon(ring).area)


def _title(name: str, number: int) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)[:58] or "site"
    return text if number == 1 else f"{text} {number}"


def _within_limits(shapes: list[ZonePolygon]) -> tuple[ZonePolygon, ...]:
    """The shapes, or, where they are too many, one that covers them all; names told apart."""
    if len(shapes) > MOST_SHAPES:
        points = [point for shape in shapes for point in shape.polygon]
        box = shapely.box(*shapely.MultiPoint(points).bounds)
        return (ZonePolygon("all sites", tuple(map(tuple, _rings(box)[0].tolist()))),)
    seen: dict[str, int] = {}
    told_apart = []
    for shape in shapes:
        seen[shape.name] = seen.get(shape.name, 0) + 1
        number = seen[shape.name]
        name = shape.name if number == 1 else f"{shape.name[:56]} #{number}"
        told_apart.append(ZonePolygon(name, shape.polygon, shape.holes))
    return tuple(told_apart)
