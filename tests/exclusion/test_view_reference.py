"""The reference view: nothing of the mask in it, nothing readable in it, no damaged one."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exclusion import view_samples as samples
from tests.exclusion.view_samples import START, masked, noon

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.trial_plates import Place, TrialPlate, paint_plates
from alpr_edge.exclusion.view_field import field_size, free_cells
from alpr_edge.exclusion.view_reference import (
    STEPS,
    make_reference,
    parse_reference,
    reference_json,
)
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Detection, Frame
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, crop_plate


def test_it_survives_the_file_and_keeps_its_digest() -> None:
    one = samples.reference()
    again = parse_reference(reference_json(one))
    assert again.digest == one.digest
    assert np.array_equal(again.steps, one.steps)
    assert not again.steps.flags.writeable
    assert (again.sharpness, again.detail, again.frames) == (one.sharpness, one.detail, 12)


def test_what_is_under_the_mask_is_not_in_it() -> None:
    plain = [noon(n).copy() for n in range(4)]
    noisy = [samples.noise_in_mask(image, n) for n, image in enumerate(plain)]
    bytes_of = [
        reference_json(
            make_reference((masked(im, n) for n, im in enumerate(images)), samples.zones())
        )
        for images in (plain, noisy)
    ]
    assert bytes_of[0] == bytes_of[1]
    hidden = ~free_cells(samples.zones())
    assert hidden.any()
    assert not samples.reference().steps[hidden].any()


def test_no_frame_gives_no_reference() -> None:
    with pytest.raises(ExclusionError) as caught:
        make_reference([], samples.zones())
    assert caught.value.code == "exclusion.reference.no_frames"


def broken(**changes: object) -> bytes:
    values = json.loads(reference_json(samples.reference()))
    values.update(changes)
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        broken(schema="alpr-edge/reference-view/2"),
        broken(extra=1),
        broken(width=640),
        broken(width=0),
        broken(width="384"),
        broken(width=True),
        broken(height=10**9),
        broken(frames=0),
        broken(field="AAAA"),
        broken(field="*"),
        broken(field=None),
        broken(detail=-1),
        broken(detail=float("nan")),
        broken(sharpness="1"),
        broken(mask=3),
        b" " * 300_000,
    ],
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(ExclusionError) as caught:
        parse_reference(data)
    assert caught.value.code == "exclusion.reference.invalid"
    assert caught.value.exit_status == 3


def test_steps_that_no_picture_gives_are_refused() -> None:
    import base64

    field = np.full((*field_size((384, 216))[::-1], 2), 127, np.int8)
    with pytest.raises(ExclusionError):
        parse_reference(broken(field=base64.b64encode(field.tobytes()).decode()))


@given(st.integers(0, 20_000), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_has_another_digest(place: int, flip: int) -> None:
    good = reference_json(samples.reference())
    data = bytearray(good)
    place %= len(data) - 1
    data[place] ^= flip
    try:
        assert parse_reference(bytes(data)).digest != samples.reference().digest
    except ExclusionError:
        return


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    with pytest.raises(ExclusionError):
        parse_reference(data)


# --- unreadable ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engines() -> tuple[Detector, Recogniser]:
    detector = Detector(load_model("detector.onnx"), min_score=0.1)
    return detector, Recogniser(load_model("recogniser.onnx"))


def pictures_of(steps: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """What somebody could make of a stolen reference: strength, strength reversed, each direction,
    and the picture whose gradients they are, with all signs guessed positive."""
    field = steps.astype(np.float32) / STEPS
    strength = np.hypot(field[..., 0], field[..., 1])
    angle = np.arctan2(field[..., 1], field[..., 0]) / 2
    across, down = strength * np.cos(angle), strength * np.sin(angle)
    rows, columns = strength.shape
    fy, fx = np.meshgrid(np.fft.fftfreq(rows), np.fft.fftfreq(columns), indexing="ij")
    power = (2 * np.pi) ** 2 * (fx**2 + fy**2)
    power[0, 0] = 1
    spectrum = (fx * np.fft.fft2(across) + fy * np.fft.fft2(down)) * -2j * np.pi / power
    integrated = np.real(np.fft.ifft2(spectrum))
    layers = [strength, 1 - strength, field[..., 0], field[..., 1], integrated]
    out = []
    for layer in layers:
        spread = max(float(np.ptp(layer)), 1e-6)
        grey = np.asarray((layer - layer.min()) / spread * 255, np.uint8)
        large = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
        out.append(np.asarray(cv2.merge([large] * 3), np.uint8))
    return out


def test_no_plate_can_be_read_from_it(engines: tuple[Detector, Recogniser]) -> None:
    """A parked car with a plate as large as one on this street ever is (an eighth of the width)."""
    size = (1280, 720)
    street = Street(StreetConfig(vehicles=1, duration_s=2.0))
    zones = make_zones(street.mask_polygons(), size_px=size, band_px=26, digest="m")
    plates = (
        TrialPlate("7KMT439", Place.OUTSIDE, 560, 380, 160, 80),
        TrialPlate("4RHA763", Place.OUTSIDE, 900, 560, 109, 55),
    )
    image = street.frame(0).image
    paint_plates(image, zones, plates)
    masker = Masker(zones)

    def texts_in(picture: np.ndarray) -> list[str]:
        frame = masker.apply(Frame(picture, "s", 0, START, 0))
        found = list(engines[0].detect(frame))
        found += [Detection(plate.quad, 1.0) for plate in plates]
        reads = engines[1].read([crop_plate(frame, one) for one in found])
        return [r.plate for r in reads if r is not None]

    assert {p.text for p in plates} <= set(texts_in(image.copy())), "the plates are readable at all"
    frame = masker.apply(Frame(image, "s", 0, START, 0))
    reference = make_reference([frame], zones)
    for number, picture in enumerate(pictures_of(reference.steps, size)):
        for text in texts_in(picture):
            for plate in plates:
                same = sum(a == b for a, b in zip(text, plate.text, strict=False))
                assert same <= 3, f"picture {number} gives away {same} of 7 characters"
