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
from typing import Any, Final

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
STEP_PX: Final = 24.0
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
    found: list[tuple[Site, BaseGeometry, BaseGeometry]] = []
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
        seen.append(SiteInView(site, distance, frame.share(core_px)))
        found.append((site, core_px, taint_px))
    in_view = tuple(sorted(seen, key=lambda s: s.distance_m))
    masked = frame.share(shapely.union_all([core for _, core, _ in found])) if found else 0.0
    if stands_in or masked > 1 - 1e-6:
        return Projection(ZoneSet(whole_frame=True), in_view, tuple(stands_in), 1.0)
    shapes = frame.polygons(
        [*((site.id, core) for site, core, _ in found), *((site.id, t) for site, _, t in found)]
    )
    masks = [shape for some in shapes[: len(found)] for shape in some]
    bands = [shape for some in shapes[len(found) :] for shape in some]
    zones = ZoneSet(
        masks=_within_limits(masks),
        nothing_protected=not seen,
        bands=_within_limits(bands),
        gates=tuple(frame.gates([site for site, _, _ in found], plane)[:MOST_SHAPES]),
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
        shapely.prepare(self._sector)

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
        owners = np.repeat(np.arange(len(grounds)), [len(pieces) for pieces in grounds])
        pieces: Any = np.array([piece for some in grounds for piece in some], dtype=object)
        corners, index = self._prisms(pieces, height_m)
        pictures: list[BaseGeometry | None] = [shapely.Polygon()] * len(grounds)
        if not len(corners):
            return pictures
        boxes, sure = self._boxes(corners)
        # A line through all corners has the hull of the corners.
        numbers, index = np.unique(index, return_inverse=True)
        lines: Any = shapely.linestrings(boxes.reshape(-1, 2), indices=np.repeat(index, 4))
        hulls = np.asarray(shapely.convex_hull(lines))
        doubtful = np.bincount(index, ~sure, len(numbers)) > 0
        owners = owners[numbers]
        for owner in np.unique(owners):
            mine = owners == owner
            pictures[owner] = None if doubtful[mine].any() else shapely.union_all(hulls[mine])
        return pictures

    def _prisms(self, pieces: Any, height_m: float) -> tuple[Points, NDArray[np.intp]]:
        """Convex pieces of ground, cut to what may be in view, extruded, in front of the lens.

        Returns:
            The prisms' corners `(N, 3)`, and of each its piece, in the order of the pieces; pieces
            out of view have none.
        """
        crosses = ~np.asarray(shapely.covered_by(pieces, self._sector), bool)
        pieces = pieces.copy()
        pieces[crosses] = shapely.intersection(pieces[crosses], self._sector)
        outlines: Any = shapely.convex_hull(pieces)
        ground, index = shapely.get_coordinates(outlines, return_index=True)
        if not len(ground):
            return np.zeros((0, 3)), np.zeros(0, np.intp)
        away = np.hypot(ground[:, 0], ground[:, 1])
        farthest = np.zeros(len(pieces))
        np.maximum.at(farthest, index, away)
        loose = self._camera.ground.at(away) + drop_m(farthest)[index]
        low = np.column_stack([ground, -loose])
        top = np.column_stack([ground, height_m + loose])
        depths = [self._camera.view.to_camera(ring)[:, 2] for ring in (low, top)]
        behind = np.unique(index[np.minimum(*depths) < self._near_m])
        whole = ~np.isin(index, behind)
        parts, numbers = [low[whole], top[whole]], [index[whole], index[whole]]
        for number in behind:
            mine = index == number
            ring = np.concatenate([low[mine], top[mine]])
            parts.append(_cut_near(ring, self._camera, self._near_m))
            numbers.append(np.full(len(parts[-1]), number))
        corners, index = np.concatenate(parts), np.concatenate(numbers)
        order = np.argsort(index, kind="stable")
        return corners[order], index[order]

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

    def polygons(self, shapes: Sequence[tuple[str, BaseGeometry]]) -> list[list[ZonePolygon]]:
        """The parts of each named shape as polygons in parts of the frame."""
        parts, owners, names = [], [], []
        for owner, (name, pixels) in enumerate(shapes):
            number = 0
            for part in shapely.get_parts(pixels):
                if isinstance(part, shapely.Polygon) and not part.is_empty:
                    number += 1
                    parts.append(part)
                    owners.append(owner)
                    names.append(_title(name, number))
        found: list[list[ZonePolygon]] = [[] for _ in shapes]
        for owner, name, outline in zip(owners, names, _simple(parts, self.whole), strict=True):
            found[owner].append(self._polygon(name, outline))
        return found

    def _polygon(self, name: str, outline: shapely.Polygon) -> ZonePolygon:
        size = (self._camera.lens.width_px, self._camera.lens.height_px)
        rings = [
            tuple(map(tuple, np.clip(ring / size, 0.0, 1.0).round(7).tolist()))
            for ring in _rings(outline)
        ]
        return ZonePolygon(name, rings[0], tuple(rings[1:]))

    def gates(self, sites: Sequence[Site], plane: LocalPlane) -> list[GateLine]:
        """Where driveways meet the street, as lines in parts of the frame."""
        lens, view = self._camera.lens, self._camera.view
        named = [one for site in sites for one in gate_lines(site, plane)]
        if not named:
            return []
        flat = shapely.get_coordinates([line for _, line in named]).reshape(-1, 2, 2)
        in_camera = view.to_camera(np.concatenate([flat, np.zeros((len(flat), 2, 1))], axis=2))
        ahead = in_camera[..., 2].min(axis=1) > self._near_m
        ways = [way for (way, _), is_ahead in zip(named, ahead, strict=True) if is_ahead]
        pixels = lens.to_frame(view.to_ideal(in_camera[ahead], lens))
        found = []
        for way, ends in zip(ways, pixels, strict=True):
            cut = shapely.intersection(shapely.LineString(ends), self.whole)
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


def _simple(parts: Sequence[shapely.Polygon], frame: shapely.Polygon) -> Sequence[shapely.Polygon]:
    """For each a polygon of few points, within the frame, that covers it and a little more."""
    whole: Any = np.empty(len(parts), object)
    whole[:] = [
        shapely.Polygon(part.exterior, [h for h in part.interiors if _area(h) > 64.0])
        if part.interiors
        else part
        for part in parts
    ]
    found = whole.copy()
    left = np.arange(len(parts))
    for step in (1.0, 2.0, 4.0, 8.0):
        if not len(left):
            break
        rougher: Any = shapely.buffer(whole[left], step, join_style="mitre")
        rougher = shapely.clip_by_rect(shapely.simplify(rougher, step * 0.8), *frame.bounds)
        good = shapely.is_valid(rougher) & shapely.covers(rougher, whole[left])
        good &= np.array([_is_good(one) for one in rougher], bool)
        found[left[good]] = rougher[good]
        left = left[~good]
    for number in left:
        found[number] = shapely.box(*whole[number].bounds)
    return list(found)


def _is_good(polygon: BaseGeometry) -> bool:
    """Whether it is one polygon of few points, of which no two would be rounded to one."""
    if not isinstance(polygon, shapely.Polygon) or polygon.is_empty:
        return False
    for ring in (polygon.exterior, *polygon.interiors):
        points = shapely.get_coordinates(ring)
        steps = points[1:] - points[:-1]
        if len(steps) > MOST_POINTS or not (np.hypot(steps[:, 0], steps[:, 1]) > 0.01).all():
            return False
    return True


def _rings(polygon: shapely.Polygon) -> list[Points]:
    return [shapely.get_coordinates(r)[:-1] for r in (polygon.exterior, *polygon.interiors)]


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
