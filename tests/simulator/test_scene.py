"""The lie of the land: what is protected, and that the mask covers it but not the road."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.simulator import scene
from alpr_edge.simulator.scene import (
    PREMISES,
    VEHICLE_HEIGHTS_M,
    convex_overlap,
    grow_box,
    inside_convex,
    mask_polygons,
    street_camera,
)

CAMERA = street_camera(1920, 1080)
MASKS = mask_polygons(CAMERA)


def in_mask(pixel: tuple[float, float], margin: float = 1e-4) -> bool:
    """Whether a pixel of the 1080p frame lies in a mask polygon."""
    point = (pixel[0] / CAMERA.width_px, pixel[1] / CAMERA.height_px)
    return any(
        cv2.pointPolygonTest(np.array(polygon, np.float32), point, True) >= -margin
        for polygon in MASKS
    )


@given(
    st.sampled_from(PREMISES.protected()),
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
    st.floats(0, VEHICLE_HEIGHTS_M[-1]),
)
def test_mask_covers_everything_above_protected_ground(
    ground: np.ndarray, weights: list[float], height_m: float
) -> None:
    share = np.array(weights) / sum(weights)
    spot = np.append(share @ ground, height_m)
    pixel, depth = CAMERA.project(spot)
    inside = depth > 0 and 0 <= pixel[0] <= CAMERA.width_px and 0 <= pixel[1] <= CAMERA.height_px
    if inside:
        assert in_mask((float(pixel[0]), float(pixel[1])))


def test_masks_are_normalised_and_small() -> None:
    assert len(MASKS) == 2
    layer = np.zeros((1000, 1000), np.uint8)
    for polygon in MASKS:
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in polygon)
        cv2.fillPoly(layer, [(np.array(polygon) * 1000).astype(np.int32)], 255)
    assert 0.02 < cv2.countNonZero(layer) / 1e6 < 0.25


def test_plates_in_the_lanes_stay_clear_of_the_mask() -> None:
    for lane, sign in ((scene.AWAY_X_M, 1), (scene.ONCOMING_X_M, -1)):
        for y in np.arange(11.5, 34, 0.5):
            for x in (lane - 0.4, lane + 0.4):
                pixel, _ = CAMERA.project(np.array([x, y, 0.9]))
                assert not in_mask((float(pixel[0]), float(pixel[1])), 0), (sign, x, y)


def test_driveway_and_gate_are_in_view() -> None:
    for x, y in ((scene.KERB_LEFT_X_M, 24.0), (scene.KERB_LEFT_X_M, 30.0), (-5.8, 29.5)):
        pixel, _ = CAMERA.project(np.array([x, y, 0.0]))
        assert 0 < pixel[0] < CAMERA.width_px
        assert 0 < pixel[1] < CAMERA.height_px


def test_masks_do_not_depend_on_the_resolution() -> None:
    for big, small in zip(MASKS, mask_polygons(street_camera(1280, 720)), strict=True):
        assert np.allclose(big, small, atol=1e-4)


def test_protected_ground_reaches_the_kerb_but_not_the_lanes() -> None:
    for polygon in PREMISES.protected():
        assert polygon[:, 0].max() <= scene.KERB_LEFT_X_M + 1e-9


@given(st.floats(-4, 4), st.floats(-4, 4))
def test_overlap_of_squares(x: float, y: float) -> None:
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    expected = abs(x) <= 1 and abs(y) <= 1
    assert convex_overlap(square, square + np.array([x, y])) == expected


def test_overlap_sees_a_slanting_gap() -> None:
    low = np.array([(0, 0), (4, 0), (0, 4)], dtype=float)
    high = np.array([(4, 4), (4, 0.5), (0.5, 4)], dtype=float)
    assert not convex_overlap(low, high)
    assert convex_overlap(low, high - 0.5)


def test_inside_and_grow() -> None:
    box = grow_box(np.array([(0, 0), (2, 1)], dtype=float), 0.5)
    assert inside_convex(box, np.array([2.4, 1.4]))
    assert not inside_convex(box, np.array([2.6, 1.4]))
