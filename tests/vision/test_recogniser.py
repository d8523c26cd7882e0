"""The recogniser on plates that we drew: text, confidence, regions, doubtful plates."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.errors import InferenceError
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Detection, PlateCrop
from alpr_edge.vision.models import Model, load_model
from alpr_edge.vision.recogniser import (
    CROP_SIZE_PX,
    HOPELESS,
    Calibration,
    Recogniser,
    rectify,
)

ANY = Detection(np.zeros((4, 2), np.float32), 1.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("recogniser.onnx")


@pytest.fixture(scope="module")
def crops() -> list[tuple[str, PlateCrop]]:
    found = {}
    for shot in Street(StreetConfig(seed=11, fps=4.0, duration_s=30.0)).frames():
        for truth in shot.truth:
            if truth.readable and truth.plate not in found:
                found[truth.plate] = PlateCrop(rectify(shot.image, truth.corners), ANY, 0.0)
    assert len(found) >= 5
    return list(found.items())


def test_it_reads_the_streets_plates(model, crops):
    reads = Recogniser(model).read([crop for _, crop in crops])
    right = sum(r is not None and r.plate == t for (t, _), r in zip(crops, reads, strict=True))
    assert right >= 0.7 * len(crops)


def test_one_by_one_gives_what_a_batch_gives(model, crops):
    reader = Recogniser(model)
    together = reader.read([crop for _, crop in crops[:4]])
    for (_, crop), read in zip(crops, together, strict=False):
        alone = reader.read([crop])[0]
        assert (alone and alone.plate) == (read and read.plate)


def test_without_grammar_it_reads_too(model, crops):
    reads = Recogniser(model, use_grammar=False).read([crop for _, crop in crops])
    assert any(r is not None for r in reads)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_crop_is_never_a_sure_read(model, value):
    crop = PlateCrop(np.full(CROP_SIZE_PX[::-1], value, np.uint8), ANY, 0.0)
    read = Recogniser(model).read([crop])[0]
    assert read is None or read.confidence < 0.5


def test_noise_is_never_a_sure_read(model):
    rng = np.random.default_rng(1)
    noise = [
        PlateCrop(rng.integers(0, 256, CROP_SIZE_PX[::-1], dtype=np.uint8), ANY, 0.0)
        for _ in range(24)
    ]
    assert all(r is None or r.confidence < 0.7 for r in Recogniser(model).read(noise))


def test_only_the_accurate_tier_looks_again_and_never_at_hopeless_crops(model, crops):
    blurred = [
        PlateCrop(np.asarray(cv2.GaussianBlur(crop.image, (0, 0), sigma), np.uint8), ANY, 0.0)
        for _, crop in crops[:4]
        for sigma in (2.0, 2.5, 3.0, 4.0, 12.0)
    ]
    changed = set()
    for crop in blurred:  # one by one: no more than MAX_DOUBTFUL of a frame are looked at again
        (once,), (again,) = (Recogniser(model, look_again=x).read([crop]) for x in (False, True))
        changed.add((once is not None and once.confidence >= HOPELESS, once != again))
    assert (True, True) in changed
    assert (False, True) not in changed


def test_no_crops_no_reads(model):
    assert Recogniser(model).read([]) == []


def test_confidences_are_probabilities(model, crops):
    for read in Recogniser(model).read([crop for _, crop in crops]):
        assert read is not None
        assert 0 <= read.confidence <= 1
        assert len(read.char_confidences) == len(read.plate)
        assert all(0 <= c <= 1 for c in read.char_confidences)
        assert all(read.plate[i] in "O0I1" for i in read.ambiguous)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": "warm"},
        {"regions": "{"},
        {"grammar": '{"br": ["A-9"]}'},
        {"grammar": "[1]"},
        {"calibration": "[1]"},
    ],
)
def test_metadata_that_does_not_fit_is_refused(model, change):
    wrong = Model(model.session, model.digest, {**model.about, **change})
    with pytest.raises(InferenceError) as err:
        Recogniser(wrong)
    assert err.value.code == "vision.model.metadata"


@given(st.floats(-60, 0), st.floats(-60, 0))
def test_a_surer_text_never_has_less_confidence(a, b):
    calibration = Calibration(-0.4, -1.8)
    low, high = sorted((a, b))
    assert calibration.confidence(low) <= calibration.confidence(high)


def test_the_shipped_model_carries_its_calibration(model):
    assert len(json.loads(model.about["calibration"])) == 2
    thresholds = json.loads(model.about["thresholds"])
    assert all(0 <= v <= 1 for v in thresholds.values())
    values = [thresholds[k] for k in sorted(thresholds, key=float)]
    assert values == sorted(values)
