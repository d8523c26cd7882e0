"""The map's stations: projection, ground test, geofence. Every place here is made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from alpr_edge.exclusion.camera_model import Lens, PlacedCamera, Pose, measured_covariance
from alpr_edge.exclusion.geofence import Geofence, Limits, Looking
from alpr_edge.exclusion.ground import GroundZones
from alpr_edge.exclusion.local_plane import LocalPlane, LonLat
from alpr_edge.exclusion.premises import Category, Patch, Register, Site, Way, WayKind
from alpr_edge.exclusion.projection import Rules, project
from alpr_edge.types import GnssFix
from bench.measure import Timing, timed

_PLANE = LocalPlane(-123.393, -48.876)
PROJECTED, FENCED, TESTS = 20, 10_000, 1_000


def measure(seconds: float) -> Iterator[Timing]:
    """Every station in turn, on one thread."""
    rng = np.random.default_rng(4)
    camera = _camera()
    ahead = [
        _site(f"s{n}", (float(rng.uniform(-20, 20)), float(rng.uniform(30, 150))))
        for n in range(PROJECTED)
    ]
    seen = len(project(ahead, camera, Rules()).in_view)
    yield timed(
        f"projection of {PROJECTED} sites, {seen} in view",
        lambda: project(ahead, camera, Rules()),
        threads=1,
        seconds=seconds,
    )
    ground = GroundZones(ahead[:3], camera, Rules())
    quads = [_quad(rng) for _ in range(TESTS)]

    def ask() -> None:
        for quad in quads:
            ground.touches(quad)

    yield timed(f"ground test, {TESTS} plates", ask, threads=1, seconds=seconds)
    yield timed(f"geofence of {FENCED} premises, a fix", _Drive(rng), threads=1, seconds=seconds)


class _Drive:
    """A drive across a town of premises, one fix a call."""

    def __init__(self, rng: np.random.Generator) -> None:
        places = rng.uniform(-8_000, 8_000, (FENCED, 2))
        sites = tuple(_site(f"f{n}", (float(x), float(y))) for n, (x, y) in enumerate(places))
        register = Register("Bench", "Nobody", 1, date(2026, 11, 24), sites, is_made_up=True)
        self._fence = Geofence(register, Limits(), on=None)
        self._looking = Looking(hfov_deg=40.0)
        self._second = 0

    def __call__(self) -> None:
        self._second += 1
        place = _lonlat((self._second * 10.0 % 12_000 - 6_000, 300.0))
        taken_ns = self._second * 10**9
        clock = datetime.fromtimestamp(1_790_000_000 + self._second, UTC)
        fix = GnssFix(place, taken_ns, True, 3.0, 9, 10.0, 90.0, gnss_time=clock)
        self._fence.judge(fix, self._looking, now_ns=taken_ns, clock=clock)


def _camera() -> PlacedCamera:
    return PlacedCamera(
        "bench",
        replace(Lens.from_hfov(1920, 1080, 35.0), distortion=(-0.1, 0.01, 0.0, 0.0, 0.0)),
        Pose((_PLANE.longitude, _PLANE.latitude), 6.0, 0.0, -6.0),
        measured_covariance(
            position_m=0.1,
            height_m=0.05,
            heading_deg=0.2,
            tilt_deg=0.1,
            roll_deg=0.1,
            focal_share=0.005,
        ),
    )


def _site(name: str, middle: tuple[float, float]) -> Site:
    x, y = middle
    corners = [(x - 6, y - 5), (x + 6, y - 5), (x + 6, y + 5), (x, y + 5), (x, y), (x - 6, y)]
    return Site(
        id=name,
        name=f"{name} (made up)",
        category=Category.DIPLOMATIC,
        authority="Nobody",
        setback_m=2.0,
        grounds=(Patch(tuple(_lonlat(c) for c in corners)),),
        ways=(
            Way(
                f"{name}-d",
                WayKind.DRIVEWAY,
                line=(_lonlat((x - 15, y)), _lonlat((x, y))),
                width_m=4.0,
            ),
        ),
    )


def _lonlat(plane: tuple[float, float]) -> LonLat:
    lon, lat = _PLANE.to_lonlat(np.array(plane))
    return float(lon), float(lat)


def _quad(rng: np.random.Generator) -> np.ndarray:
    x, y = rng.uniform((100, 300), (1800, 1000))
    return np.array([[x, y], [x + 80, y], [x + 80, y + 40], [x, y + 40]], np.float32)
