"""Plates to ground: the true place lies in the interval; zones taint what is on them."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exclusion.world_samples import HOME, SIZE_PX, box_site, camera, ring

from alpr_edge.exclusion.camera_model import SIGMAS, Lens
from alpr_edge.exclusion.ground import PLATE_HEIGHTS_M, GroundZones, ground_interval
from alpr_edge.exclusion.premises import Way, WayKind
from alpr_edge.exclusion.projection import Rules
from alpr_edge.simulator.camera import Camera

STREET = Camera(0, 0, 4.6, 0, -8.0, 0, 40.0, *SIZE_PX)
PLATE_M = (0.305, 0.152)


def plate(seen_by: Camera, x: float, y: float, height: float, angle_deg: float = 0.0) -> np.ndarray:
    """The quad of an upright US plate with its middle over `x`, `y`."""
    along = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    half, up = PLATE_M[0] / 2, PLATE_M[1] / 2
    corners = [
        (x + a * half * along[0], y + a * half * along[1], height + b * up)
        for a, b in ((-1, 1), (1, 1), (1, -1), (-1, -1))
    ]
    pixels, _ = seen_by.project(np.array(corners))
    return pixels.astype(np.float32)


@given(
    st.floats(-8, 8),
    st.floats(10, 90),
    st.floats(PLATE_HEIGHTS_M[0] + 0.08, PLATE_HEIGHTS_M[1] - 0.08),
    st.floats(-60, 60),
)
def test_the_true_place_lies_within_the_interval(
    x: float, y: float, height: float, angle: float
) -> None:
    place = ground_interval(plate(STREET, x, y, height, angle), camera())
    assert place is not None
    slack = 0.02 + y * 1e-4  # float32 corners
    assert place.right_m[0] - slack <= x <= place.right_m[1] + slack
    assert place.ahead_m[0] - slack <= y <= place.ahead_m[1] + slack


def test_a_plate_at_the_horizon_or_above_the_lens_has_no_place() -> None:
    high = np.array([[600, 20], [640, 20], [640, 40], [600, 40]], np.float32)
    assert ground_interval(high, camera(tilt_deg=0.0)) is None
    low_camera = camera(height_m=1.0)
    assert ground_interval(plate(STREET, 0, 20, 0.6), low_camera) is None
    assert ground_interval(np.full((4, 2), np.nan, np.float32), camera()) is None
    zones = GroundZones([box_site(HOME, (-40, 100), (2, 2))], camera(), Rules())
    assert zones.touches(high)
    assert zones.touches(np.full((4, 2), np.nan, np.float32))


@settings(max_examples=30)
@given(st.floats(-10, 10), st.floats(12, 80), st.floats(0.3, 1.4), st.integers(0, 2**32 - 1))
def test_a_plate_on_protected_ground_touches_whatever_the_pose_is(
    x: float, y: float, height: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    measured = camera()
    off = rng.normal(size=7)
    step = np.sqrt(np.diag(np.array(measured.covariance))) * off * SIGMAS / np.linalg.norm(off)
    true = Camera(
        step[0], step[1], 4.6 + step[2], step[3], -8.0 + step[4], step[5],
        hfov_deg=float(np.degrees(2 * np.arctan(640 / (measured.lens.fx_px * np.exp(step[6]))))),
        width_px=SIZE_PX[0], height_px=SIZE_PX[1],
    )  # fmt: skip
    quad = plate(true, x, y, height)
    inside = ((quad >= 0) & (quad <= SIZE_PX)).all()
    zones = GroundZones([box_site(HOME, (x, y), (0.5, 0.5))], measured, Rules(band_m=0.0))
    assert not inside or zones.touches(quad)


def test_an_approach_lane_beyond_the_mask_taints_and_the_other_lane_does_not() -> None:
    lane = Way("a", WayKind.APPROACH, line=ring(HOME, [(-3, 8), (-3, 40)]), width_m=3.0)
    site = replace(box_site(HOME, (-30, 45), (8, 6)), ways=(lane,))
    zones = GroundZones([site], camera(loose=0.3), Rules())
    assert zones.touches(plate(STREET, -3, 20, 0.7))
    assert not zones.touches(plate(STREET, 5, 20, 0.7))
    assert not zones.touches(plate(STREET, 1.5, 14, 0.7))


def test_without_sites_nothing_touches() -> None:
    zones = GroundZones([], camera(), Rules())
    assert not zones.protected
    assert not zones.touches(plate(STREET, 0, 20, 0.7))


def test_a_bent_lens_places_a_plate_where_it_is() -> None:
    lens = replace(Lens.from_hfov(*SIZE_PX, 40.0), distortion=(-0.2, 0.03, 0.0, 0.0, 0.0))
    seen_by = replace(camera(), lens=lens)
    quad = lens.to_frame(plate(STREET, 4, 18, 0.8).astype(np.float64)).astype(np.float32)
    place = ground_interval(quad, seen_by)
    assert place is not None
    assert place.right_m[0] <= 4 <= place.right_m[1]
    assert place.ahead_m[0] <= 18 <= place.ahead_m[1]


@settings(max_examples=20)
@given(st.floats(0, 359), st.floats(-6, 6), st.floats(14, 60))
def test_the_heading_turns_the_ground_with_the_camera(heading: float, x: float, y: float) -> None:
    angle = np.radians(heading)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    east, north = np.array([x, y]) @ turn
    site = box_site(HOME, (float(east), float(north)), (0.3, 0.3))
    zones = GroundZones([site], camera(heading_deg=heading, loose=0.1), Rules(band_m=0.0))
    assert zones.touches(plate(STREET, x, y, 0.7))


@settings(max_examples=20)
@given(st.floats(-10, 10), st.floats(12, 80), st.floats(1, 3), st.floats(0, 3))
def test_a_wider_band_or_a_looser_pose_never_frees(
    x: float, y: float, loose: float, more: float
) -> None:
    site = box_site(HOME, (-4, 30), (2, 2))
    quad = plate(STREET, x, y, 0.7)
    tight = GroundZones([site], camera(loose=loose), Rules(band_m=1.0))
    wide = GroundZones([site], camera(loose=loose + more), Rules(band_m=1.0 + more))
    assert not tight.touches(quad) or wide.touches(quad)


def test_a_test_is_quick() -> None:
    """Far from the bar of 20 µs, which `make bench` measures: a busy machine must not fail this."""
    zones = GroundZones([box_site(HOME, (-6, 30), (2, 2))], camera(), Rules())
    quad = plate(STREET, 2, 20, 0.7)
    begin = time.process_time()
    for _ in range(2_000):
        zones.touches(quad)
    assert time.process_time() - begin < 2_000 * 400e-6


@pytest.mark.parametrize("tilt", [-60.0, -30.0, 0.0, 10.0])
def test_any_tilt_gives_zones(tilt: float) -> None:
    zones = GroundZones([box_site(HOME, (-6, 12), (4, 4))], camera(tilt_deg=tilt), Rules())
    assert zones.protected
