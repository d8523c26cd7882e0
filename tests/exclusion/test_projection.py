"""Premises to image zones: whatever the true pose is, what is protected lies inside the mask."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exclusion.world_samples import (
    HOME,
    SIZE_PX,
    box_site,
    camera,
    posed_street,
    ring,
    street_pixels,
)

from alpr_edge.config.mask_file import format_masks, parse_masks
from alpr_edge.exclusion.camera_model import GroundError, Lens, View, rotation
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.exclusion.premises import Patch, Way, WayKind, core_area, taint_area
from alpr_edge.exclusion.projection import Projection, Rules, project
from alpr_edge.exclusion.zones import rasterise, touches
from alpr_edge.simulator.camera import Camera
from alpr_edge.zone_set import ZoneSet

POSES = int(os.environ.get("ALPR_EDGE_POSES", "60"))
"""`make poses` takes a thousand."""


def shape(zones: ZoneSet) -> shapely.MultiPolygon:
    """The core mask in parts of the frame."""
    if zones.whole_frame:
        return shapely.box(0, 0, 1, 1)
    return shapely.union_all([shapely.Polygon(m.polygon, m.holes) for m in zones.masks])


def area(projection: Projection) -> float:
    return float(shape(projection.zones).area)


def check_record(zones: ZoneSet) -> None:
    """A mask record takes it, and gives it back."""
    assert parse_masks(format_masks(zones), source="made") == zones


@pytest.mark.timeout(1800)
def test_the_true_region_is_inside_the_mask_for_every_pose_that_may_be() -> None:
    rng = np.random.default_rng(20261124)
    in_view = partly = 0
    for number in range(POSES):
        street = posed_street(rng)
        found = project([street.site], street.measured, Rules())
        seen = street_pixels(street.true, rng)
        check_record(found.zones)
        mask = shape(found.zones)
        inside = shapely.intersects_xy(mask, seen)
        assert inside.all(), f"pose {number}: {int((~inside).sum())} of {len(seen)} points are out"
        in_view += len(seen) > 0
        partly += len(seen) > 0 and mask.area < 0.7
    assert in_view > POSES / 3
    assert partly > POSES / 4  # the promise is not kept by masking everything


def test_pixels_of_the_true_region_are_blanked_by_the_rasters_too() -> None:
    rng = np.random.default_rng(5)
    for _ in range(6):
        street = posed_street(rng)
        zones = project([street.site], street.measured, Rules()).zones
        raster = rasterise(zones, size_px=SIZE_PX, digest="made")
        seen = np.minimum(street_pixels(street.true, rng) * SIZE_PX, np.array(SIZE_PX) - 1e-6)
        columns, rows = seen.astype(int).T
        assert (raster.core[rows, columns] == 255).all()


def test_nothing_in_view_is_a_statement() -> None:
    behind = box_site(HOME, (0, -60), (5, 5))
    found = project([behind], camera(), Rules())
    assert found.zones.nothing_protected
    assert found.in_view == ()
    assert project([], camera(), Rules()).zones.nothing_protected


def test_a_camera_in_or_beside_protected_ground_sees_nothing() -> None:
    for middle in ((0, 0), (0, -6.0), (5.5, 0)):
        found = project([box_site(HOME, middle, (5, 5))], camera(), Rules())
        assert found.zones.whole_frame
        assert found.stands_in == ("box",)


@pytest.mark.parametrize("heading", [0.0, 90.0, 135.0, 270.0])
def test_turning_camera_and_map_together_changes_nothing(heading: float) -> None:
    angle = np.radians(heading)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    corners = np.array([(-12, 25), (-4, 25), (-4, 40), (-12, 40)], float)
    site = box_site(HOME, (0, 0), (1, 1))
    site = replace(site, grounds=(Patch(ring(HOME, corners @ turn.T)),))
    # The wedge in which is looked is drawn in steps, so the masks agree to a pixel or so.
    level = replace(site, grounds=(Patch(ring(HOME, corners)),))
    one = shape(project([level], camera(), Rules()).zones)
    other = shape(project([site], camera(heading_deg=heading), Rules()).zones)
    assert 0.01 < one.area < 0.9
    assert shapely.symmetric_difference(one, other).area < 0.01


@settings(max_examples=25)
@given(st.floats(0.05, 60), st.floats(0.05, 60), st.floats(-80, 80), st.floats(8, 300))
def test_tiny_and_huge_grounds(w: float, h: float, x: float, y: float) -> None:
    site = box_site(HOME, (x, y), (w, h))
    found = project([site], camera(), Rules())
    check_record(found.zones)
    truth = Camera(0, 0, 4.6, 0, -8.0, 0, 40.0, *SIZE_PX)
    flat = np.stack(np.meshgrid([x - w, x, x + w], [y - h, y, y + h], [0.0, 2.0, 4.5]), -1)
    pixels, _ = truth.project(flat.reshape(-1, 3))
    parts = pixels[np.isfinite(pixels).all(axis=1)] / SIZE_PX
    parts = parts[((parts >= 0) & (parts <= 1)).all(axis=1)]
    assert shapely.intersects_xy(shape(found.zones), parts).all()


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-25, 25), st.floats(12, 70)), min_size=3, max_size=9, unique=True),
    st.integers(0, 8),
    st.booleans(),
)
def test_the_order_of_points_does_not_matter(
    points: list[tuple[float, float]], start: int, backwards: bool
) -> None:
    middle = np.mean(points, axis=0)
    points.sort(key=lambda p: np.arctan2(p[1] - middle[1], p[0] - middle[0]))
    polygon = shapely.Polygon(points)
    if not polygon.is_valid or polygon.area < 1.0:
        return
    turned = points[start % len(points) :] + points[: start % len(points)]
    sites = [
        replace(box_site(HOME, (0, 30), (1, 1)), grounds=(Patch(ring(HOME, p)),))
        for p in (points, turned[::-1] if backwards else turned)
    ]
    one, other = (shape(project([site], camera(), Rules()).zones) for site in sites)
    assert shapely.symmetric_difference(one, other).area < 0.004


@settings(max_examples=25)
@given(
    st.floats(0, 20), st.floats(0, 20), st.floats(1, 4), st.floats(0, 4), st.floats(-30, 30),
    st.floats(15, 80),
)  # fmt: skip
def test_more_setback_and_less_certainty_never_free_anything(
    setback: float, more: float, loose: float, looser: float, x: float, y: float
) -> None:
    """N4, where the grounds are far enough for the outlines' own rounding (a few pixels)."""
    small = box_site(HOME, (x, y), (4, 4), setback_m=setback)
    large = box_site(HOME, (x, y), (4, 4), setback_m=setback + more)
    tight = project([small], camera(loose=loose), Rules())
    wide = project([large], camera(loose=loose + looser), Rules())
    freed = shapely.difference(shape(tight.zones), shape(wide.zones)).buffer(-6 / SIZE_PX[0])
    assert freed.area == 0.0
    assert area(wide) >= area(tight) - 0.01


def test_a_taller_vehicle_needs_a_larger_mask() -> None:
    site = box_site(HOME, (-10, 30), (4, 4))
    low, high = (project([site], camera(), Rules(vehicle_height_m=height)) for height in (2.0, 4.5))
    assert area(high) > area(low)


def test_an_upright_camera_below_the_vehicles_height_is_covered_above_the_horizon() -> None:
    site = box_site(HOME, (0, 60), (6, 6))
    seen = camera(height_m=3.0, tilt_deg=0.0)
    zones = project([site], seen, Rules()).zones
    horizon = 0.5
    ys = [y for mask in zones.masks for _, y in mask.polygon]
    assert min(ys) < horizon < max(ys)


def test_driveways_gates_and_approach_lanes() -> None:
    site = box_site(HOME, (-12, 30), (6, 8), setback_m=1.0)
    drive = Way("d", WayKind.DRIVEWAY, line=ring(HOME, [(0, 30), (-6, 30)]), width_m=4.0)
    lane = Way("a", WayKind.APPROACH, line=ring(HOME, [(7, 10), (7, 30)]), width_m=3.5)
    bare = project([site], camera(), Rules())
    with_drive = project([replace(site, ways=(drive,))], camera(), Rules())
    with_both = project([replace(site, ways=(drive, lane))], camera(), Rules())
    assert area(with_drive) > area(bare)
    assert [gate.name for gate in with_drive.zones.gates] == ["d"]
    # The approach lane taints, but is not blanked.
    assert area(with_both) == pytest.approx(area(with_drive))
    rasters = [rasterise(p.zones, size_px=SIZE_PX, digest="x") for p in (with_drive, with_both)]
    on_lane, _ = Camera(0, 0, 4.6, 0, -8.0, 0, 40.0, *SIZE_PX).project(np.array([[7, 22, 0.5]]))
    assert not touches(rasters[0].band, on_lane)
    assert touches(rasters[1].band, on_lane)
    assert not touches(rasters[1].core, on_lane)


def test_a_bent_lens_sees_what_a_straight_one_sees_elsewhere() -> None:
    rng = np.random.default_rng(3)
    bent = replace(Lens.from_hfov(*SIZE_PX, 70.0), distortion=(-0.22, 0.06, 0.001, -0.0005, -0.005))
    assert bent.problems() == []
    seen_by = replace(camera(hfov_deg=70.0), lens=bent)
    site = box_site(HOME, (-9, 22), (5, 7), setback_m=1.0)
    zones = project([site], seen_by, Rules()).zones
    grounds = core_area(site, HOME)
    west, south, east, north = grounds.bounds
    flat = rng.uniform((west, south), (east, north), (6000, 2))
    flat = flat[shapely.contains_xy(shapely.Polygon(grounds).buffer(-0.25), flat)]
    world = np.column_stack([flat, rng.uniform(0, 4.5, len(flat))])
    view = View(np.array([0, 0, 4.6]), rotation(0, -8.0, 0), 1.0)
    parts = bent.to_frame(view.to_ideal(view.to_camera(world), bent)) / SIZE_PX
    parts = parts[((parts >= 0) & (parts <= 1)).all(axis=1)]
    assert len(parts) > 500
    assert shapely.intersects_xy(shape(zones), parts).all()
    assert 0.05 < shape(zones).area < 0.8


def test_lens_there_and_back_and_a_lens_that_folds() -> None:
    lens = replace(Lens.from_hfov(*SIZE_PX, 80.0), distortion=(-0.25, 0.08, 0.001, 0.0, -0.01))
    pixels = lens.border
    assert np.abs(lens.to_frame(lens.to_ideal(pixels)) - pixels).max() < 0.01
    assert replace(lens, distortion=(-0.9, 0.0, 0.0, 0.0, 0.0)).problems()
    assert replace(lens, fx_px=float("nan")).problems()


def test_a_crop_of_the_picture_sees_the_same_world() -> None:
    whole = Lens.from_hfov(1920, 1080, 60.0)
    part = whole.cropped((480, 270, 960, 540), (640, 360))
    ideal = np.array([[1000.0, 500.0]])
    expected = (ideal - (480, 270)) * (640 / 960)
    point = np.array([[(1000 - 960) / whole.fx_px, (500 - 540) / whole.fy_px, 1.0]])
    view = View(np.zeros(3), np.eye(3), 1.0)
    assert view.to_ideal(point, part) == pytest.approx(expected)


def test_many_sites_stay_within_the_limits_of_a_mask_record() -> None:
    rng = np.random.default_rng(8)
    sites = [
        box_site(HOME, (rng.uniform(-60, 60), rng.uniform(15, 200)), (0.4, 0.4), name=f"s{n}")
        for n in range(150)
    ]
    found = project(sites, camera(tilt_deg=-4.0, loose=0.1), Rules())
    check_record(found.zones)
    assert len(found.in_view) > 60


def test_a_steep_camera_that_sees_its_own_foot() -> None:
    steep = camera(tilt_deg=-75.0, hfov_deg=90.0, height_m=8.0)
    found = project([box_site(HOME, (6, 3), (2, 2))], steep, Rules())
    truth = Camera(0, 0, 8.0, 0, -75.0, 0, 90.0, *SIZE_PX)
    points = np.array([(x, y, z) for x in (4, 6, 8) for y in (1, 3, 5) for z in (0, 4.5)], float)
    parts = truth.project(points)[0] / SIZE_PX
    parts = parts[((parts >= 0) & (parts <= 1)).all(axis=1)]
    assert len(parts) > 0
    assert shapely.intersects_xy(shape(found.zones), parts).all()


def test_the_antimeridian_and_high_latitudes_are_as_anywhere() -> None:
    expected = area(project([box_site(HOME, (-10, 30), (4, 4))], camera(), Rules()))
    for place in ((180.0, 12.0), (-179.99999, -40.0), (20.0, 84.9)):
        plane = LocalPlane(*place)
        found = project([box_site(plane, (-10, 30), (4, 4))], camera(plane=plane), Rules())
        assert area(found) == pytest.approx(expected, abs=0.01)


def test_a_pole_and_other_nonsense_are_refused() -> None:
    seen = camera()
    wrong = (
        replace(seen, pose=replace(seen.pose, place=(0.0, 89.0))),
        replace(seen, pose=replace(seen.pose, height_m=float("nan"))),
        replace(seen, covariance=((float("nan"),) * 7,) * 7),
        replace(seen, covariance=tuple(tuple(-1.0 * (i == j) for i in range(7)) for j in range(7))),
        replace(seen, lens=replace(seen.lens, fx_px=10.0)),
        replace(seen, ground=GroundError(-1.0, 0.0)),
    )
    for bad in wrong:
        with pytest.raises(ValueError):
            project([], bad, Rules())


def test_areas_are_never_smaller_than_the_true_ones() -> None:
    corners = [(0, 0), (20, 0), (20, 5), (5, 5), (5, 20), (0, 20)]
    site = replace(
        box_site(HOME, (0, 0), (1, 1), setback_m=3.0),
        grounds=(Patch(ring(HOME, corners), (ring(HOME, [(1, 1), (3, 1), (3, 3)]),)),),
    )
    true = shapely.Polygon(corners).buffer(3.0, quad_segs=64)
    core = core_area(site, HOME)
    assert core.buffer(1e-6).covers(true)
    assert core.area < true.area * 1.08
    assert taint_area(site, HOME, 2.0).buffer(1e-6).covers(true.buffer(2.0, quad_segs=64))
