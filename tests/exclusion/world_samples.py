"""Made-up places for the tests of map and camera: the street's premises anywhere on the earth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray

from alpr_edge.exclusion.camera_model import (
    SIGMAS,
    GroundError,
    Lens,
    PlacedCamera,
    Pose,
    measured_covariance,
)
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.exclusion.premises import (
    Category,
    Patch,
    Register,
    Ring,
    Site,
    Way,
    WayKind,
)
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.scene import PREMISES

HOME = LocalPlane(-118.2437, 34.0522)
SIZE_PX = (1280, 720)


def ring(plane: LocalPlane, points: object) -> Ring:
    """Metres in a plane to a ring of degrees."""
    lonlat = plane.to_lonlat(np.asarray(points, np.float64))
    return tuple((float(x), float(y)) for x, y in lonlat)


def box_site(
    plane: LocalPlane,
    middle: tuple[float, float],
    half: tuple[float, float],
    *,
    name: str = "box",
    setback_m: float = 0.0,
) -> Site:
    """A rectangle round a middle, metres."""
    (x, y), (w, h) = middle, half
    corners = [(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]
    return Site(
        id=name,
        name=f"Made-up {name}",
        category=Category.DIPLOMATIC,
        authority="Made-up city",
        setback_m=setback_m,
        grounds=(Patch(ring(plane, corners)),),
    )


def register_of(*sites: Site) -> Register:
    return Register("Made up", "Made-up city", 1, date(2026, 11, 1), sites, is_made_up=True)


def street_site(plane: LocalPlane, origin: NDArray[np.float64]) -> Site:
    """The street's premises, its world's `origin` at the plane's origin."""
    return Site(
        id="street",
        name="Made-up consulate",
        category=Category.DIPLOMATIC,
        authority="Made-up city",
        setback_m=PREMISES.setback_m,
        grounds=(Patch(ring(plane, PREMISES.grounds - origin)),),
        ways=(
            Way("street-d", WayKind.DRIVEWAY, (Patch(ring(plane, PREMISES.driveway - origin)),)),
        ),
    )


def camera(
    *,
    plane: LocalPlane = HOME,
    height_m: float = 4.6,
    heading_deg: float = 0.0,
    tilt_deg: float = -8.0,
    hfov_deg: float = 40.0,
    loose: float = 1.0,
) -> PlacedCamera:
    """A camera at the plane's origin, its pose measured with good tools, `loose` times worse."""
    return PlacedCamera(
        "cam",
        Lens.from_hfov(*SIZE_PX, hfov_deg),
        Pose((plane.longitude, plane.latitude), height_m, heading_deg, tilt_deg),
        measured_covariance(
            position_m=0.2 * loose,
            height_m=0.05 * loose,
            heading_deg=0.5 * loose,
            tilt_deg=0.3 * loose,
            roll_deg=0.3 * loose,
            focal_share=0.01 * loose,
        ),
    )


@dataclass(frozen=True)
class PosedStreet:
    """A true camera over the street, and what a technician measured of it."""

    true: Camera
    measured: PlacedCamera
    site: Site


def posed_street(rng: np.random.Generator) -> PosedStreet:
    """A random pose, and a measure of it that is as wrong as it may just be."""
    width, height = SIZE_PX
    x, y, hfov = rng.uniform(-4, 40), rng.uniform(-60, 60), float(rng.uniform(8, 90))
    aim = np.array([rng.uniform(-30, 5), rng.uniform(10, 50)]) - (x, y)
    heading = float(np.degrees(np.arctan2(*aim)) + rng.normal(0, hfov / 3))
    true = Camera(
        x_m=float(x),
        y_m=float(y),
        height_m=float(rng.uniform(2.5, 9)),
        pan_deg=heading,
        tilt_deg=float(rng.uniform(-35, 2)),
        roll_deg=float(rng.uniform(-4, 4)),
        hfov_deg=hfov,
        width_px=width,
        height_px=height,
    )
    covariance = measured_covariance(
        position_m=float(rng.uniform(0.02, 0.6)),
        height_m=float(rng.uniform(0.01, 0.2)),
        heading_deg=float(rng.uniform(0.05, 2)),
        tilt_deg=float(rng.uniform(0.05, 1)),
        roll_deg=float(rng.uniform(0.05, 1)),
        focal_share=float(rng.uniform(0.002, 0.03)),
    )
    # On the ellipsoid's surface, where it is hardest, for every second one; else inside.
    off = rng.normal(size=7)
    off *= SIGMAS / np.linalg.norm(off)
    if rng.uniform() < 0.5:
        off *= rng.uniform() ** (1 / 7)
    step = np.sqrt(np.diag(np.array(covariance))) * off
    lens = Lens.from_hfov(width, height, hfov)
    shrink = float(np.exp(-step[6]))
    plane = LocalPlane(float(rng.uniform(-180, 180)), float(rng.uniform(-75, 75)))
    measured = PlacedCamera(
        "cam",
        replace(lens, fx_px=lens.fx_px * shrink, fy_px=lens.fy_px * shrink),
        Pose(
            (plane.longitude, plane.latitude),
            true.height_m - step[2],
            heading - step[3],
            true.tilt_deg - step[4],
            true.roll_deg - step[5],
        ),
        covariance,
        GroundError(0.05, 0.0),
    )
    return PosedStreet(true, measured, street_site(plane, np.array([x - step[0], y - step[1]])))


def street_pixels(true: Camera, rng: np.random.Generator, count: int = 1500) -> NDArray[np.float64]:
    """Where points of the street's protected ground are truly seen, in parts of the frame."""
    grounds = shapely.Polygon(PREMISES.grounds).buffer(PREMISES.setback_m)
    area = shapely.union_all([grounds, shapely.Polygon(PREMISES.driveway)])
    west, south, east, north = area.bounds
    flat = rng.uniform((west, south), (east, north), (count, 2))
    flat = flat[shapely.contains_xy(area, flat)]
    outline = shapely.get_coordinates(shapely.segmentize(area, 0.4))
    flat = np.vstack([flat, outline, outline])
    up = rng.uniform(0, 4.5, len(flat))
    up[-len(outline) :] = rng.choice([0.0, 4.5], len(outline))
    pixels, _ = true.project(np.column_stack([flat, up]))
    parts = pixels[np.isfinite(pixels).all(axis=1)] / (true.width_px, true.height_px)
    inside: NDArray[np.float64] = parts[((parts >= 0) & (parts <= 1)).all(axis=1)]
    return inside
