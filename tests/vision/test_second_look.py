"""The second look goes where something moves and nothing was found, as often as it may, no more."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import Detection, Frame
from alpr_edge.vision.second_look import SecondLook, merged

SIZE = (960, 540)
WINDOW = (320, 192)
HALF = [[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]]


def quad_of(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array(
        [[left, top], [left + width, top], [left + width, top + height], [left, top + height]],
        np.float32,
    )


class Eye:
    """Sees a white rectangle if it is at least 20 pixels wide in what a 320 × 192 input shows."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        rows, cols = frame.image.shape[:2]
        self.sizes.append((cols, rows))
        where = np.argwhere(frame.image[..., 0] > 200)
        if not len(where):
            return ()
        top, left = where.min(0)
        bottom, right = where.max(0) + 1
        if (right - left) * min(WINDOW[0] / cols, WINDOW[1] / rows) < 20:
            return ()
        return (Detection(quad_of(left, top, right - left, bottom - top), 0.9),)


def frame(*plates: tuple[int, int, int], polygons=()) -> MaskedFrame:
    """White rectangles (left, top, width) on grey."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for left, top, width in plates:
        image[top : top + width // 2, left : left + width] = 255
    zones = make_zones(list(polygons), size_px=SIZE, band_px=0, digest="")
    return Masker(zones).apply(Frame(image, "test", 0, datetime(2026, 1, 1, tzinfo=UTC), 0))


def test_a_small_plate_that_moves_is_found():
    eye = Eye()
    second = SecondLook(eye, looks=1, window_px=WINDOW)
    assert second.detect(frame((600, 300, 40))) == ()
    found = second.detect(frame((610, 300, 40)))
    assert len(found) == 1
    assert np.abs(found[0].quad - quad_of(610, 300, 40, 20)).max() < 1
    assert eye.sizes[-1] == WINDOW


def test_what_stands_still_costs_nothing():
    eye = Eye()
    second = SecondLook(eye, looks=3, window_px=WINDOW)
    for _ in range(4):
        second.detect(frame((600, 300, 40)))
    assert eye.sizes == [SIZE] * 4


def test_a_plate_that_was_found_needs_no_second_look():
    eye = Eye()
    second = SecondLook(eye, looks=3, window_px=WINDOW)
    for x in range(400, 440, 10):
        assert len(second.detect(frame((x, 200, 120)))) == 1
    assert eye.sizes == [SIZE] * 4


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_no_more_looks_than_allowed(looks):
    eye = Eye()
    second = SecondLook(eye, looks=looks, window_px=WINDOW)
    rng = np.random.default_rng(2)
    for _ in range(3):
        image = rng.integers(0, 180, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        zones = make_zones([], size_px=SIZE, band_px=0, digest="")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        before = len(eye.sizes)
        second.detect(Masker(zones).apply(Frame(image, "test", 0, at, 0)))
        assert len(eye.sizes) - before <= 1 + looks


def test_all_that_moves_gets_its_turn():
    """A large thing without a plate does not keep the look from a small plate."""
    second = SecondLook(Eye(), looks=1, window_px=WINDOW)
    seen = []
    for n in range(6):
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        image[20:220, 20 + 9 * n : 260 + 9 * n] = 150 + 8 * (n % 2)  # a lorry's side
        image[420:440, 700 + 10 * n : 740 + 10 * n] = 255
        zones = make_zones([], size_px=SIZE, band_px=0, digest="")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        seen.append(second.detect(Masker(zones).apply(Frame(image, "t", n, at, n))))
    assert any(seen)


def test_what_moves_under_a_mask_moves_nothing():
    eye = Eye()
    second = SecondLook(eye, looks=3, window_px=WINDOW)
    for x in (100, 120, 140):
        assert second.detect(frame((x, 200, 40), polygons=HALF)) == ()
    assert eye.sizes == [SIZE] * 3


def test_a_frame_of_another_size_begins_anew():
    second = SecondLook(Eye(), looks=1, window_px=WINDOW)
    second.detect(frame((600, 300, 40)))
    zones = make_zones([], size_px=(640, 360), band_px=0, digest="")
    small = Frame(np.full((360, 640, 3), 90, np.uint8), "t", 0, datetime(2026, 1, 1, tzinfo=UTC), 0)
    assert second.detect(Masker(zones).apply(small)) == ()


def test_a_frame_no_larger_than_the_window_is_looked_at_once():
    eye = Eye()
    second = SecondLook(eye, looks=3, window_px=SIZE)
    second.detect(frame((600, 300, 40)))
    second.detect(frame((700, 300, 40)))
    assert eye.sizes == [SIZE] * 2


def test_of_two_detections_of_one_plate_the_closer_stays():
    far, near = Detection(quad_of(100, 100, 60, 30), 0.9), Detection(quad_of(104, 98, 58, 30), 0.7)
    other = Detection(quad_of(400, 100, 60, 30), 0.5)
    assert merged([far, other], [near]) == [near, other]


def test_a_window_is_a_part_of_a_masked_frame():
    whole = frame((600, 300, 40))
    part = whole.window(590, 290, 100, 60)
    assert part.image.shape == (60, 100, 3)
    assert part.image[10, 10, 0] == 255
    assert not part.image.flags.writeable
    for wrong in ((-1, 0, 10, 10), (0, 0, 0, 10), (900, 0, 100, 10), (0, 500, 10, 100)):
        with pytest.raises(ValueError, match="not inside"):
            whole.window(*wrong)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 500), st.integers(1, 60)), max_size=4),
    st.integers(1, 3),
)
def test_every_detection_lies_in_the_frame(plates, looks):
    second = SecondLook(Eye(), looks=looks, window_px=WINDOW)
    second.detect(frame())
    for detection in second.detect(frame(*plates)):
        assert (detection.quad >= 0).all()
        assert (detection.quad <= SIZE).all()
