"""The street as a whole: same bytes, honest truth, masks that cover, lights that differ."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from alpr_edge.simulator.light import Light
from alpr_edge.simulator.plate_art import PX_PER_MM, PlateSpec, paint_plate
from alpr_edge.simulator.scene import PREMISES, inside_convex
from alpr_edge.simulator.staging import stage
from alpr_edge.simulator.street import Street, StreetConfig, VehicleTruth
from alpr_edge.simulator.vehicles import Pattern
from alpr_edge.types import Image

CONFIG = StreetConfig(seed=1, width_px=1280, height_px=720, fps=10)
SMALL = StreetConfig(seed=3, width_px=320, height_px=180, fps=5, duration_s=8)
MARKER = (255, 0, 255)


def marker_plate(plate: PlateSpec) -> Image:
    width, height = (round(side * 1000 * PX_PER_MM) for side in plate.design.size_m)
    return np.full((height, width, 3), MARKER, np.uint8)


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(CONFIG)


@pytest.fixture(scope="module")
def marked() -> Street:
    return Street(CONFIG, artist=marker_plate)


@pytest.fixture(scope="module")
def truths(street: Street) -> list[tuple[VehicleTruth, ...]]:
    """The truth of every frame."""
    return [street.truth(number / CONFIG.fps) for number in range(CONFIG.frame_count)]


def whole_plates(street: Street, number: int, width_px: float) -> list[VehicleTruth]:
    return [
        one
        for one in street.truth(number / street.config.fps)
        if one.corners is not None and one.visible_fraction == 1 and one.width_px > width_px
    ]


@pytest.mark.parametrize("light", list(Light))
def test_same_seed_same_bytes(light: Light) -> None:
    config = replace(SMALL, light=light)
    first, second = Street(config), Street(config)
    for number in (0, 17, 30):
        assert first.frame(number).image.tobytes() == second.frame(number).image.tobytes()
    assert first.summary() == second.summary()


def test_frames_do_not_depend_on_their_order() -> None:
    street = Street(SMALL)
    later = street.frame(9).image
    assert np.array_equal(list(Street(SMALL).frames())[9].image, later)


def test_blanking_a_frame_changes_no_other() -> None:
    street = Street(SMALL)
    first = street.frame(4).image
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(street.frame(4).image, kept)
    assert first.flags.c_contiguous
    assert first.flags.writeable


def test_another_seed_is_another_street() -> None:
    one, other = Street(SMALL), Street(replace(SMALL, seed=4))
    assert {s.plate for s in one.summary()}.isdisjoint(s.plate for s in other.summary())
    assert not np.array_equal(one.frame(20).image, other.frame(20).image)


def test_length_and_size_of_the_clip() -> None:
    frames = list(Street(SMALL).frames())
    assert len(frames) == SMALL.frame_count == 40
    assert [frame.time_s for frame in frames] == [i / 5 for i in range(40)]
    assert all(frame.image.shape == (180, 320, 3) for frame in frames)


def test_corners_lie_where_the_plate_is_drawn(marked: Street) -> None:
    seen = 0
    for number in range(13, 400, 15):
        truths = whole_plates(marked, number, 40)
        if not truths:
            continue
        image = marked.frame(number).image.astype(int)
        pink = (image[..., 0] - image[..., 1] > 60) & (image[..., 2] - image[..., 1] > 60)
        for one in truths:
            assert one.corners is not None
            quad = np.zeros(pink.shape, np.uint8)
            cv2.fillConvexPoly(quad, np.round(one.corners - 0.5).astype(np.int32), 1)
            left, top = np.floor(one.corners.min(axis=0)).astype(int) - 4
            right, bottom = np.ceil(one.corners.max(axis=0)).astype(int) + 4
            near = (slice(max(top, 0), bottom), slice(max(left, 0), right))
            drawn, expected = pink[near], quad[near] > 0
            overlap = (drawn & expected).sum() / (drawn | expected).sum()
            assert overlap > 0.8, (number, one.plate, overlap)
            shift = np.argwhere(drawn).mean(axis=0) - np.argwhere(expected).mean(axis=0)
            assert np.abs(shift).max() < 0.8, (number, one.plate, shift)
            seen += 1
    assert seen >= 10


def test_hidden_plates_are_not_drawn(marked: Street) -> None:
    for number in range(5, 400, 33):
        truths = marked.truth(number / CONFIG.fps)
        image = marked.frame(number).image.astype(int)
        pink = (image[..., 0] - image[..., 1] > 90) & (image[..., 2] - image[..., 1] > 90)
        for one in truths:
            if one.corners is not None:
                cover = np.zeros(pink.shape, np.uint8)
                cv2.fillConvexPoly(cover, np.round(one.corners).astype(np.int32), 1)
                pink &= cv2.dilate(cover, np.ones((7, 7), np.uint8)) == 0
        assert pink.sum() < 20, number


def test_plate_pixels_read_from_left_to_right(street: Street) -> None:
    """Straightened by its corners, a plate looks like its own art and not like its mirror."""

    def shrunk(picture: Image) -> Image:
        return cv2.resize(picture, (96, 32), interpolation=cv2.INTER_AREA).astype(np.uint8)

    seen = 0
    for number in range(10, 400, 3):
        for one in (t for t in whole_plates(street, number, 60) if t.readable):
            assert one.corners is not None
            art = paint_plate(street.vehicles[one.vehicle_id].plate)
            height, width = art.shape[:2]
            flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
            matrix = cv2.getPerspectiveTransform(one.corners, flat)
            picture = street.frame(number).image
            crop = cv2.warpPerspective(picture, matrix, (width, height)).astype(np.uint8)

            def alike(a: Image, b: Image) -> float:
                small = [shrunk(x).mean(axis=2).ravel() for x in (a, b)]
                return float(np.corrcoef(*small)[0, 1])

            assert alike(crop, art) > 0.7, (number, one.plate)
            assert alike(crop, art) > alike(crop, art[:, ::-1]) + 0.2
            assert alike(crop, art) > alike(crop, art[::-1]) + 0.2
            seen += 1
    assert seen >= 3


def test_summary_agrees_with_the_frames(
    street: Street, truths: list[tuple[VehicleTruth, ...]]
) -> None:
    summary = {one.vehicle_id: one for one in street.summary()}
    assert {one.plate for one in summary.values()} == {v.plate.text for v in street.vehicles}
    touching = set()
    readable = dict.fromkeys(summary, 0)
    for truth in truths:
        for one in truth:
            readable[one.vehicle_id] += one.readable
            if one.touches_premises:
                touching.add(one.vehicle_id)
    assert all(summary[i].protected for i in touching)
    assert {i: s.readable_frames for i, s in summary.items()} == readable
    assert all(s.readable == (s.readable_frames >= 4) for s in summary.values())
    for life in summary.values():
        if life.first_readable_s is not None and life.first_seen_s is not None:
            assert life.first_seen_s <= life.first_readable_s


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_most_of_the_passing_can_be_read_and_some_of_the_protected(size: tuple[int, int]) -> None:
    config = replace(CONFIG, width_px=size[0], height_px=size[1], seed=2, fps=15)
    summary = Street(config).summary()
    passing = [one for one in summary if one.pattern is Pattern.PASS]
    protected = [one for one in summary if one.protected]
    assert sum(one.readable for one in passing) >= 0.8 * len(passing)
    assert sum(one.readable for one in protected) >= 2  # else exclusion would have nothing to do


def test_mask_covers_every_plate_above_protected_ground(street: Street) -> None:
    """Corner by corner: while a vehicle touches the premises, its plate may still be over the lane;
    what is above protected ground must be covered."""
    masks = [np.array(polygon, np.float32) for polygon in street.mask_polygons()]
    size = np.array([CONFIG.width_px, CONFIG.height_px])
    checked = 0
    for number in range(CONFIG.frame_count):
        time_s = number / CONFIG.fps
        for vehicle in street.vehicles:
            if not vehicle.trajectory.alive_at(time_s):
                continue
            staged = stage(street.camera, vehicle, vehicle.pose(time_s))
            plate = staged.plate
            if plate is None or not any(
                inside_convex(ground, plate.middle[:2]) for ground in PREMISES.protected()
            ):
                continue
            middle = plate.corners.mean(axis=0) / size
            if np.all((middle >= 0) & (middle <= 1)):
                point = (float(middle[0]), float(middle[1]))
                assert any(cv2.pointPolygonTest(m, point, True) >= -1e-4 for m in masks)
                checked += 1
    assert checked > 0


def test_passing_plates_stay_outside_the_mask(
    street: Street, truths: list[tuple[VehicleTruth, ...]]
) -> None:
    masks = [np.array(polygon, np.float32) for polygon in street.mask_polygons()]
    size = np.array([CONFIG.width_px, CONFIG.height_px])
    for truth in truths:
        for one in truth:
            if one.pattern is Pattern.PASS and one.corners is not None:
                for x, y in one.corners / size:
                    assert all(
                        cv2.pointPolygonTest(mask, (float(x), float(y)), False) < 0
                        for mask in masks
                    )


def test_passing_plates_come_and_go_at_the_border_or_far_away(
    street: Street, truths: list[tuple[VehicleTruth, ...]]
) -> None:
    """Else the exclusion rule for tracks that appear in mid-view would suppress them rightly."""
    margin = 0.08 * np.array([CONFIG.width_px, CONFIG.height_px])
    size = np.array([CONFIG.width_px, CONFIG.height_px])
    ways: dict[int, list[np.ndarray]] = {}
    for truth in truths[1:-1]:
        for one in truth:
            if one.pattern is Pattern.PASS and one.visible_fraction > 0.5:
                assert one.corners is not None
                ways.setdefault(one.vehicle_id, []).append(one.corners.mean(axis=0))
    for vehicle_id, way in ways.items():
        seen = next(s for s in street.summary() if s.vehicle_id == vehicle_id)
        ends = []
        if (seen.first_seen_s or 0) > 0.2:
            ends.append(way[0])
        if (seen.last_seen_s or 0) < CONFIG.duration_s - 0.2:
            ends.append(way[-1])
        for spot in ends:
            step = np.abs(way[1] - way[0]) if len(way) > 1 else 0
            assert np.any((spot < margin + step) | (spot > size - margin - step)), seen


def test_lights_differ_and_plates_shine_at_night() -> None:
    config = replace(CONFIG, duration_s=12, vehicles=5)
    bright = {}
    contrast = {}
    for light in Light:
        street = Street(replace(config, light=light))
        number = next(
            n for n in range(10, 110) if any(t.readable for t in street.truth(n / config.fps))
        )
        frame = street.frame(number)
        bright[light] = float(frame.image.mean())
        one = next(truth for truth in frame.truth if truth.readable)
        assert one.corners is not None
        (left, top), (right, bottom) = one.corners.min(axis=0), one.corners.max(axis=0)
        plate = frame.image[int(top) : int(bottom), int(left) : int(right)].mean(axis=2)
        contrast[light] = float(np.percentile(plate, 90) - np.percentile(plate, 10))
    assert bright[Light.DAY] > bright[Light.RAIN] > bright[Light.DUSK] > bright[Light.NIGHT]
    assert all(value > 45 for value in contrast.values()), contrast


@pytest.mark.parametrize(
    "wrong", [{"fps": 0}, {"duration_s": -1}, {"seed": -1}], ids=lambda w: next(iter(w))
)
def test_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]
