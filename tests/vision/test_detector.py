"""The detector on pictures that we drew: it finds plates, and geometry survives scaling."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Detection, Frame
from alpr_edge.vision.detector import MAX_PLATES, WINDOW_PX, Detector, cut_window, decode, resized
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import CROP_SIZE_PX, MARGIN, Recogniser, crop_plate, rectify

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def masked(image: np.ndarray) -> MaskedFrame:
    zones = make_zones([], size_px=(image.shape[1], image.shape[0]), band_px=0, digest="")
    return Masker(zones).apply(Frame(image, "test", 0, NOW, 0))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(load_model("detector.onnx"))


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(load_model("recogniser.onnx"))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a.min(0), b.min(0)), np.minimum(a.max(0), b.max(0))
    shared = np.clip(high - low, 0, None).prod()
    return float(shared / (np.ptp(a, axis=0).prod() + np.ptp(b, axis=0).prod() - shared))


def test_it_finds_and_reads_the_streets_plates(detector, recogniser):
    street = Street(StreetConfig(seed=11, fps=8.0, duration_s=30.0))
    plates = found = right = 0
    for shot in street.frames():
        readable = [t for t in shot.truth if t.readable]
        if not readable:
            continue
        frame = masked(shot.image)
        detections = detector.detect(frame)
        for truth in readable:
            plates += 1
            hits = [d for d in detections if overlap(d.quad, truth.corners) > 0.4]
            found += bool(hits)
            if hits:
                read = recogniser.read([crop_plate(frame, hits[0])])[0]
                right += read is not None and read.plate == truth.plate
    assert plates >= 30
    assert found >= 0.8 * plates
    assert right >= 0.5 * plates


@pytest.mark.parametrize("value", [0, 114, 255])
def test_a_blank_frame_holds_no_plate(detector, value):
    assert detector.detect(masked(np.full((360, 640, 3), value, np.uint8))) == ()


@pytest.mark.parametrize("size", [(16, 16), (17, 900), (900, 17), (1080, 1920), (33, 65)])
def test_any_shape_of_frame_is_taken(detector, size):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for detection in detector.detect(masked(image)):
        assert np.isfinite(detection.quad).all()
        assert 0 <= detection.score <= 1


@given(hnp.arrays(np.float32, (9, 6, 8), elements=st.floats(-1e3, 1e3, width=32)))
def test_decoding_any_output_gives_bounded_finite_boxes_without_overlap(raw):
    scores, quads = decode(raw, -1.0)
    assert len(scores) == len(quads) <= MAX_PLATES
    assert np.isfinite(quads).all()
    for i in range(len(quads)):
        for j in range(i):
            assert overlap(quads[i], quads[j]) <= 0.4 + 1e-3


def test_rectifying_puts_the_corners_where_training_had_them():
    image = np.zeros((300, 400, 3), np.uint8)
    quad = np.array([[100, 80], [300, 120], [290, 210], [90, 160]], np.float32)
    import cv2

    cv2.fillConvexPoly(image, quad.astype(np.int32), (255, 255, 255))
    crop = rectify(image, quad)
    width, height = CROP_SIZE_PX
    x, y = round(MARGIN * width), round(MARGIN * height)
    assert crop.shape == (height, width)
    assert crop[y + 2 : height - y - 2, x + 2 : width - x - 2].min() > 200
    assert crop[: y - 2].max() < 60


@given(st.lists(st.tuples(st.floats(-50, 450), st.floats(-50, 350)), min_size=4, max_size=4))
def test_rectifying_any_finite_quad_gives_a_crop(points):
    image = np.full((300, 400, 3), 90, np.uint8)
    assert rectify(image, np.array(points, np.float32)).shape == (64, 160)


def test_no_crops_no_reads(recogniser):
    assert recogniser.read([]) == []


def test_reads_come_in_order_and_one_by_one_the_same(recogniser):
    street = Street(StreetConfig(seed=11, fps=2.0, duration_s=20.0))
    crops = []
    for shot in street.frames():
        for truth in shot.truth:
            if truth.readable:
                crops.append(crop_plate(masked(shot.image.copy()), Detection(truth.corners, 1.0)))
    together = recogniser.read(crops[:6])
    alone = [recogniser.read([crop])[0] for crop in crops[:6]]
    assert [r and r.plate for r in together] == [r and r.plate for r in alone]


def test_a_window_puts_the_plate_in_its_middle_at_one_width():
    """What is cut and where it lies agree: a point goes into the window and comes back."""
    rng = np.random.default_rng(2)
    image = np.zeros((480, 640, 3), np.uint8)
    for _ in range(20):
        width, x, y = rng.uniform(12, 300), rng.uniform(100, 540), rng.uniform(100, 380)
        quad = np.array([[0, 0], [1, 0], [1, 0.5], [0, 0.5]], np.float32) * width + (x, y)
        quad -= (width / 2, width / 4)
        image[:] = 0
        cx, cy = round(x), round(y)
        image[cy - 2 : cy + 3, cx - 2 : cx + 3] = 255
        out = np.zeros((*WINDOW_PX[::-1], 3), np.uint8)
        origin, scale = cut_window(image, quad.astype(np.float32), out)
        assert abs(width * scale - 72) < 0.1 or scale == 3.0
        rows, cols = np.nonzero(out[..., 0] > 127)
        seen = (np.array([cols.mean(), rows.mean()]) + 0.5) / scale + origin - 0.5
        # Half a pixel of the window, or of the frame where that is coarser.
        assert np.abs(seen - (cx, cy)).max() < max(0.6, 0.5 / scale)


def test_a_window_at_the_edge_or_outside_is_filled_with_grey():
    image = np.full((100, 100, 3), 7, np.uint8)
    out = np.zeros((*WINDOW_PX[::-1], 3), np.uint8)
    far = np.array([[500, 500], [540, 500], [540, 520], [500, 520]], np.float32)
    cut_window(image, far, out)
    assert (out == 114).all()
    corner = np.array([[-10, -5], [10, -5], [10, 5], [-10, 5]], np.float32)
    cut_window(image, corner, out)
    assert out[0, 0, 0] == 114
    assert out[-1, -1, 0] == 7


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1283, 721), (1920, 1080), (900, 2600)])
def test_shrinking_keeps_everything_in_its_place(size):
    """A bright spot lands where the scale says, whatever was halved on the way."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    at = np.array([0.3 * width, 0.6 * height])
    reach = np.array([width, height]) * 0.05
    (x0, y0), (x1, y1) = (at - reach).astype(int), (at + reach).astype(int)
    image[y0:y1, x0:x1] = 255
    scale = min(640 / width, 640 / height)
    goal = round(width * scale), round(height * scale)
    small = resized(image, goal)
    assert small.shape == (goal[1], goal[0], 3)
    rows, cols = np.nonzero(small[..., 0] > 127)
    ratio = np.array(goal) / size
    middle = (np.array([x0 + x1, y0 + y1]) / 2) * ratio
    assert np.allclose([cols.mean() + 0.5, rows.mean() + 0.5], middle, atol=1.0)
    assert abs(small.mean() - image.mean()) < 1


def test_the_close_look_is_bounded(detector):
    """A picture full of plate-like things costs at most the bound's windows."""
    rng = np.random.default_rng(4)
    image = np.zeros((720, 1280, 3), np.uint8)
    for y in range(20, 700, 40):
        for x in range(20, 1200, 80):
            image[y : y + 20, x : x + 45] = 230
            image[y + 5 : y + 15, x + 4 : x + 40 : 5] = rng.integers(0, 60)
    found = detector.detect(masked(image))
    assert len(found) <= MAX_PLATES
    assert list(found) == sorted(found, key=lambda d: -d.score)
