"""Photos of people that packages ship: nothing is read in them, and nothing is found on a face.

scikit-image has an astronaut, a photographer and 100 small faces in a sheet; matplotlib has an
officer. All are for tests only; none is in this repository.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.sight import look, read_still
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Frame, Image
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.wiring.stills import STILL_MIN_CONFIDENCE

FACE_SCORE = 0.45
"""No detection on a face may score higher; `detector.min_score` is 0.4 on a device."""


def astronaut() -> Image:
    return _skimage("astronaut.png")


def photographer() -> Image:
    return _skimage("camera.png")


def officer() -> Image:
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib: `make setup`")
    return _picture(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")


def hundred_faces() -> Image:
    skimage = pytest.importorskip("skimage", reason="needs scikit-image: `make setup`")
    faces = np.load(Path(skimage.__file__).parent / "data" / "lfw_subset.npy")[:100]
    sheet = np.vstack([np.hstack(list(faces[i : i + 20])) for i in range(0, 100, 20)])
    grown = cv2.resize(np.uint8(sheet * 255), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return np.repeat(grown[..., None], 3, axis=2)


def _skimage(name: str) -> Image:
    skimage = pytest.importorskip("skimage", reason="needs scikit-image: `make setup`")
    return _picture(Path(skimage.__file__).parent / "data" / name)


def _picture(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None, f"{path} is no picture"
    return np.asarray(image, np.uint8)


FACES: list[tuple[Callable[[], Image], tuple[int, int, int, int] | None]] = [
    (astronaut, (170, 70, 280, 220)),
    (photographer, (215, 90, 275, 175)),
    (officer, (180, 90, 350, 310)),
    (hundred_faces, None),
]
"""Pictures, and where the face is (left, top, right, bottom); None: faces all over."""


@pytest.fixture(scope="module")
def engines() -> tuple[Detector, Recogniser]:
    return Detector(load_model("detector.onnx")), Recogniser(load_model("recogniser.onnx"))


def frame_of(image: Image) -> tuple[Frame, Masker]:
    zones = make_zones([], size_px=(image.shape[1], image.shape[0]), band_px=0, digest="")
    return Frame(image, "test", 0, datetime(2026, 1, 1, tzinfo=UTC), 0), Masker(zones)


@pytest.mark.parametrize(("picture", "face"), FACES)
def test_no_plate_is_read_in_a_picture_of_people(engines, picture, face):
    image = picture()
    zones = make_zones([], size_px=(image.shape[1], image.shape[0]), band_px=0, digest="")
    frame = Frame(image, "test", 0, datetime(2026, 1, 1, tzinfo=UTC), 0)
    shown, _ = read_still(frame, zones, *engines, min_confidence=STILL_MIN_CONFIDENCE)
    assert [s.read for s in shown] == []


@pytest.mark.parametrize(("picture", "face"), FACES)
def test_nothing_is_found_on_a_face(engines, picture, face):
    image = picture()
    frame, masker = frame_of(image)
    left, top, right, bottom = face or (0, 0, image.shape[1], image.shape[0])
    on_face = [
        round(s.detection.score, 2)
        for s in look(masker.apply(frame), *engines)
        if left <= s.detection.quad.mean(0)[0] <= right
        and top <= s.detection.quad.mean(0)[1] <= bottom
    ]
    assert max(on_face, default=0.0) < FACE_SCORE


@pytest.fixture(scope="module")
def vehicle() -> tuple[Image, str]:
    """The surroundings of a plate of the simulated street, and its text."""
    for shot in Street(StreetConfig(seed=11, fps=4.0, duration_s=30.0)).frames():
        for truth in shot.truth:
            if truth.readable and np.ptp(truth.corners[:, 0]) >= 70:
                x, y = truth.corners.mean(0).astype(int)
                part = shot.image[y - 70 : y + 70, x - 120 : x + 120]
                if part.shape == (140, 240, 3):
                    return part.copy(), truth.plate
    raise AssertionError("the street shows no plate large enough")


@pytest.mark.parametrize(("picture", "face"), FACES)
def test_a_plate_in_the_same_picture_is_found(engines, vehicle, picture, face):
    """The control: the detector is awake there, it is faces that it passes over."""
    part, text = vehicle
    image = picture().copy()
    image[-140:, :240] = part
    frame, masker = frame_of(image)
    found = [s for s in look(masker.apply(frame), *engines) if s.detection.score > FACE_SCORE]
    assert text in [s.read and s.read.plate for s in found]
