"""N1: what lies under the core mask makes no difference to anything."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import Frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def frame(image: np.ndarray) -> Frame:
    return Frame(image, "test", 0, NOW, 0)


def masker(*polygons, size=(40, 30)) -> Masker:
    return Masker(make_zones(polygons, size_px=size, band_px=0, digest="abc"))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_frames_that_differ_only_under_the_mask_become_the_same_bytes(polygon, seed):
    rng = np.random.default_rng(seed)
    zones = make_zones([polygon], size_px=(40, 30), band_px=0, digest="abc")
    one = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    other = one.copy()
    hidden = zones.core > 0
    other[hidden] = rng.integers(0, 256, (int(hidden.sum()), 3), dtype=np.uint8)
    outside = one[~hidden].copy()
    first, second = Masker(zones).apply(frame(one)), Masker(zones).apply(frame(other))
    assert first.image.tobytes() == second.image.tobytes()
    assert (first.image[~hidden] == outside).all()
    assert not first.image[hidden].any()


def test_it_blanks_in_place_and_seals():
    image = np.full((30, 40, 3), 200, np.uint8)
    masked = masker([(0, 0), (0.5, 0), (0.5, 1), (0, 1)]).apply(frame(image))
    assert masked.image is image
    assert masked.mask_digest == "abc"
    with pytest.raises(ValueError, match="read-only"):
        masked.image[0, 0] = 1


@pytest.mark.parametrize("shape", [(40, 30, 3), (30, 40), (30, 40, 4), (60, 80, 3)])
def test_another_frame_size_is_refused(shape):
    with pytest.raises(ExclusionError) as caught:
        masker().apply(frame(np.zeros(shape, np.uint8)))
    assert caught.value.code == "exclusion.frame_size"


def test_nobody_else_builds_a_masked_frame():
    with pytest.raises(TypeError, match=r"only alpr_edge\.exclusion\.mask"):
        MaskedFrame(np.zeros((1, 1, 3), np.uint8), "x", 0, NOW, 0, "d", object())


WHOLE = make_zones(
    [[(0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0)]], size_px=(8, 6), band_px=0, digest="d"
)


def masked_numbers() -> MaskedFrame:
    """A frame of 8 by 6 whose pixels are all different."""
    image = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
    return Masker(WHOLE).apply(Frame(image, "s", 0, NOW, 0))


@pytest.mark.parametrize("part", [(0, 0, 8, 6), (1, 2, 3, 1), (7, 5, 1, 1), (0, 5, 8, 1)])
def test_a_window_is_the_same_pixels_and_as_sealed(part: tuple[int, int, int, int]) -> None:
    left, top, width, height = part
    frame = masked_numbers()
    window = frame.window(*part)
    assert (window.image == frame.image[top : top + height, left : left + width]).all()
    assert window.image.shape == (height, width, 3)
    assert window.mask_digest == frame.mask_digest
    assert not window.image.flags.writeable


@pytest.mark.parametrize(
    "part",
    [
        (-1, 0, 2, 2),
        (0, -1, 2, 2),
        (0, 0, 0, 2),
        (0, 0, 2, 0),
        (0, 0, 9, 6),
        (0, 0, 8, 7),
        (7, 0, 2, 1),
        (0, 5, 1, 2),
    ],
)
def test_a_window_that_is_empty_or_leaves_the_frame_is_refused(
    part: tuple[int, int, int, int],
) -> None:
    with pytest.raises(ValueError, match="is not inside 8x6"):
        masked_numbers().window(*part)
