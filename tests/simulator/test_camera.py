"""The pinhole projection, against what a pinhole must do."""

from __future__ import annotations

from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.simulator.camera import NEAR_M, Camera, clip_polygon

coordinate = st.floats(-60, 60)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    return Camera(
        x_m=draw(st.floats(-10, 10)),
        y_m=draw(st.floats(-10, 10)),
        height_m=draw(st.floats(2, 9)),
        pan_deg=draw(st.floats(-180, 180)),
        tilt_deg=draw(st.floats(-60, -2)),
        roll_deg=draw(st.floats(-20, 20)),
        hfov_deg=draw(st.floats(8, 110)),
        width_px=draw(st.integers(64, 2000)),
        height_px=draw(st.integers(64, 1200)),
    )


def level_camera() -> Camera:
    return Camera(0, 0, 5, 0, 0, 0, 90, 1000, 600)


def test_axes_of_a_level_camera() -> None:
    points = np.array([(0, 10, 5), (1, 10, 5), (0, 10, 6), (10, 10, 5)], dtype=float)
    pixels, depth = level_camera().project(points)
    assert np.allclose(depth, 10)
    assert np.allclose(pixels, [(500, 300), (550, 300), (500, 250), (1000, 300)])


def test_pan_turns_right_tilt_turns_up_roll_turns_clockwise() -> None:
    ahead = np.array([0.0, 10.0, 5.0])
    right = Camera(0, 0, 5, 10, 0, 0, 90, 1000, 600).project(ahead)[0]
    up = Camera(0, 0, 5, 0, 10, 0, 90, 1000, 600).project(ahead)[0]
    assert right[0] < 500
    assert up[1] > 300
    # Rolled clockwise, the picture turns the other way: what was above lies to the left.
    above = Camera(0, 0, 5, 0, 0, 10, 90, 1000, 600).project(np.array([0, 10, 7.0]))[0]
    assert above[0] < 500


@given(cameras())
def test_rotation_is_a_rotation(camera: Camera) -> None:
    assert np.allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-9)
    assert isclose(float(np.linalg.det(camera.rotation)), 1.0, abs_tol=1e-9)


@given(cameras(), coordinate, coordinate)
def test_ground_under_a_pixel_projects_to_that_pixel(camera: Camera, x: float, y: float) -> None:
    pixels, depth = camera.project(np.array([x, y, 0.0]))
    if depth < 1.0:
        return
    ground = camera.ground_at((float(pixels[0]), float(pixels[1])))
    assert ground is not None
    assert np.allclose(ground, (x, y), atol=1e-4 * max(1.0, float(depth)) ** 2)


@given(cameras(), coordinate, coordinate, st.floats(0, 8), st.floats(1.1, 5))
def test_points_on_one_line_of_sight_share_a_pixel(
    camera: Camera, x: float, y: float, z: float, further: float
) -> None:
    point = np.array([x, y, z])
    beyond = camera.position + (point - camera.position) * further
    (near_px, far_px), (near, far) = camera.project(np.stack([point, beyond]))
    if near < 2 * NEAR_M:
        return
    assert far > near
    assert np.allclose(near_px, far_px, atol=1e-3)


@given(cameras(), coordinate, coordinate, st.floats(0, 8))
def test_no_pixel_behind_the_camera(camera: Camera, x: float, y: float, z: float) -> None:
    pixels, depth = camera.project(np.array([x, y, z]))
    assert bool(np.isnan(pixels).all()) == bool(depth < NEAR_M)


@given(cameras(), st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6))
def test_many_points_project_as_one(camera: Camera, ground: list[tuple[float, float]]) -> None:
    points = np.array([(x, y, 1.0) for x, y in ground])
    together = camera.project(points)[0]
    alone = np.array([camera.project(point)[0] for point in points])
    assert np.allclose(together, alone, equal_nan=True)


@given(cameras(), coordinate, coordinate)
def test_polygon_reaching_behind_the_camera_stays_finite(
    camera: Camera, x: float, y: float
) -> None:
    square = np.array([(x - 40, y - 40, 0), (x + 40, y - 40, 0), (x + 40, y + 40, 0)], dtype=float)
    assert np.all(np.isfinite(camera.project_polygon(square)))


def test_clip_keeps_one_side() -> None:
    square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], dtype=float)
    half = clip_polygon(square, np.array([1.0, 0.0]), 1.0)
    assert half[:, 0].min() == 1.0
    assert len(half) == 4
    assert len(clip_polygon(square, np.array([1.0, 0.0]), 3.0)) == 0
    assert clip_polygon(square, np.array([1.0, 0.0]), -1.0) is square


@pytest.mark.parametrize("hfov", [0, 180, -5])
def test_refuses_a_lens_that_cannot_be(hfov: float) -> None:
    with pytest.raises(ValueError, match="hfov_deg"):
        Camera(0, 0, 5, 0, 0, 0, hfov, 100, 100)


def test_refuses_an_empty_frame() -> None:
    with pytest.raises(ValueError, match="0x100"):
        Camera(0, 0, 5, 0, 0, 0, 50, 0, 100)
