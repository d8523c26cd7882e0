"""The lie of the land: road, premises, driveway, and where the camera hangs.

Does: holds the street's measures in world metres and answers whether a vehicle touches what is
protected.
Does not: move vehicles, draw, or know plates.

Rules: traffic keeps right. The away lane leads to +y, the oncoming lane to -y. The premises lie at
the left (-x), at the far end of the view, so that the lanes in front stay free of their mask.
Polygons are `(N, 2)` float64, convex, counter-clockwise seen from above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from alpr_edge.simulator.camera import Camera, Points
from alpr_edge.zone_set import GateLine, ZonePolygon, ZoneSet

AWAY_X_M: Final = 1.6
ONCOMING_X_M: Final = -1.6
"""Middle of the lanes; lanes are 3.3 m wide. Source: NACTO urban lane width, 10-11 ft."""
KERB_LEFT_X_M: Final = -3.3
KERB_RIGHT_X_M: Final = 5.3
PARKING_X_M: Final = 4.2
PARKING_Y_M: Final = (27.2, 34.0)
"""Middle of the kerbside parking lane, and of its bays."""
ROAD_ENDS_Y_M: Final = (-25.0, 115.0)
"""Where lives begin and end on the road, behind the camera and beyond its view."""

FENCE_X_M: Final = -5.8
FENCE_HEIGHT_M: Final = 2.2
GATE_Y_M: Final = (24.0, 30.0)
GATE_MIDDLE_Y_M: Final = 27.0
PORTAL_X_M: Final = -16.0
"""Vehicles vanish here, inside the premises' building."""

VEHICLE_HEIGHTS_M: Final = (2.5, 4.5)
"""Heights to which protected ground is extruded. Source: cars and vans; 96/53/EC (4.0 m)."""

PLATE_HEIGHTS_M: Final = (0.42, 1.05)
"""Between these the middles of plates are. Source: `vehicles.SIZES` with their mounts."""
HALF_WIDTH_M: Final = 1.2
HALF_PLATE_M: Final = 0.12
"""Widest vehicle, narrowest plate off its middle. Source: `vehicles.SIZES`, rounded outwards."""


@dataclass(frozen=True)
class Premises:
    """Protected ground.

    Attributes:
        grounds: the premises themselves.
        driveway: from the kerb to the gate, across the pavement, with its mouth.
        setback_m: how far around the grounds protection reaches.
    """

    grounds: Points
    driveway: Points
    setback_m: float

    def protected(self) -> tuple[Points, Points]:
        """The grounds with their setback, and the driveway."""
        return grow_box(self.grounds, self.setback_m), self.driveway

    def touched_by(self, footprint: Points) -> bool:
        """Whether a convex ground polygon `(N, 2)` overlaps anything protected, edges included."""
        return any(convex_overlap(footprint, polygon) for polygon in self.protected())


PREMISES: Final = Premises(
    grounds=np.array([(-24.0, 21.0), (FENCE_X_M, 21.0), (FENCE_X_M, 41.0), (-24.0, 41.0)]),
    driveway=np.array(
        [(KERB_LEFT_X_M, 23.0), (KERB_LEFT_X_M, 31.0), (FENCE_X_M, 30.2), (FENCE_X_M, 23.8)]
    ),
    setback_m=1.0,
)


def street_camera(width_px: int, height_px: int) -> Camera:
    """A narrow lens on a mast arm over the away lane, as plate cameras hang.

    At 1920 px a US plate is 60 px wide at 24 m and 125 px where it leaves the view at 11.5 m.
    """
    return Camera(
        x_m=1.2,
        y_m=0.0,
        height_m=4.6,
        pan_deg=-4.3,
        tilt_deg=-12.7,
        roll_deg=0.6,
        hfov_deg=23.0,
        width_px=width_px,
        height_px=height_px,
    )


def zone_set(camera: Camera, premises: Premises = PREMISES) -> ZoneSet:
    """What a careful technician commissions in this view.

    Masks over the protected ground up to vehicle height; a band where a plate is while its vehicle,
    up to `HALF_WIDTH_M` to its side, touches that ground; a gate line along the driveway's mouth.
    """
    masks = tuple(
        ZonePolygon(f"premises {i}", tuple(region))
        for i, region in enumerate(mask_polygons(camera, premises))
    )
    bands = []
    for i, ground in enumerate(premises.protected()):
        reach = grow_box(ground, HALF_WIDTH_M - HALF_PLATE_M)
        region = mask_polygon(camera, reach, PLATE_HEIGHTS_M)
        if region:
            bands.append(ZonePolygon(f"beside premises {i}", tuple(region)))
    mouth = np.array([(*premises.driveway[i], 0.3) for i in (0, 1)])
    pixels, _ = camera.project(mouth)
    ends = pixels / (camera.width_px, camera.height_px)
    line = np.clip(ends, 0.0, 1.0)
    gates: tuple[GateLine, ...] = ()
    if np.isfinite(line).all() and not np.array_equal(line[0], line[1]):
        gates = (GateLine("driveway", tuple((float(x), float(y)) for x, y in line)),)
    if not (ends[:, 1] >= 0).all():
        # The way in leads out of the view: whoever leaves or enters the view there may be on it.
        bands.append(ZonePolygon("upper edge", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.05), (0.0, 0.05))))
    nothing = not (masks or bands or gates)
    return ZoneSet(masks, nothing_protected=nothing, bands=tuple(bands), gates=gates, band=0.02)


def grow_box(polygon: Points, by_m: float) -> Points:
    """The bounding rectangle of `polygon`, grown on all sides; never smaller than its buffer."""
    low, high = polygon.min(axis=0) - by_m, polygon.max(axis=0) + by_m
    return np.array([low, (high[0], low[1]), high, (low[0], high[1])])


def convex_overlap(left: Points, right: Points) -> bool:
    """Whether two convex polygons `(N, 2)`, `(M, 2)` share a point (separating axes)."""
    for polygon in (left, right):
        edges = np.roll(polygon, -1, axis=0) - polygon
        axes = np.stack([edges[:, 1], -edges[:, 0]])
        a, b = left @ axes, right @ axes
        if np.any((a.max(axis=0) < b.min(axis=0)) | (b.max(axis=0) < a.min(axis=0))):
            return False
    return True


def inside_convex(polygon: Points, point: Points) -> bool:
    """Whether `point` `(2,)` lies in a counter-clockwise convex polygon `(N, 2)`."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    to_point = point - polygon
    return bool(np.all(edges[:, 0] * to_point[:, 1] - edges[:, 1] * to_point[:, 0] >= 0))


def mask_polygons(camera: Camera, premises: Premises = PREMISES) -> list[list[tuple[float, float]]]:
    """Image regions that cover the protected ground up to vehicle height, normalised 0..1.

    One polygon for the grounds with their setback and one for the driveway, each the convex hull
    of the projected ground polygon and of the same polygon at every height of
    `VEHICLE_HEIGHTS_M`, clipped to the frame. A region that is out of view gives none.
    """
    regions = [mask_polygon(camera, ground) for ground in premises.protected()]
    return [region for region in regions if region]


def mask_polygon(
    camera: Camera, ground: Points, heights_m: tuple[float, ...] = (0.0, *VEHICLE_HEIGHTS_M)
) -> list[tuple[float, float]]:
    """The normalised image region of one convex ground polygon, see `mask_polygons`."""
    layers = []
    for height_m in heights_m:
        raised = np.column_stack([ground, np.full(len(ground), height_m)])
        layers.append(camera.project_polygon(raised))
    pixels = np.concatenate(layers)
    if len(pixels) < 3:
        return []
    hull = cv2.convexHull(pixels.astype(np.float32)).reshape(-1, 2)
    size = np.array([camera.width_px, camera.height_px], dtype=np.float32)
    frame = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float32)
    area, cut = cv2.intersectConvexConvex(hull / size, frame)
    if area <= 0 or cut is None:
        return []
    return [(float(x), float(y)) for x, y in np.clip(cut.reshape(-1, 2), 0.0, 1.0)]
