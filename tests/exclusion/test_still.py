"""Stills: nothing of what is protected, and no plate, leaves in a picture."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.still import make_still
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.types import Frame, Image

WIDTH, HEIGHT = 320, 180
MASK = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.5), (0.1, 0.5)]
PLATE = np.array([[200, 120], [260, 120], [260, 140], [200, 140]], np.float32)


def _zones(digest: str = "d") -> Zones:
    return make_zones([MASK], size_px=(WIDTH, HEIGHT), band_px=20, digest=digest)


def _masked(image: Image) -> MaskedFrame:
    return Masker(_zones()).apply(Frame(image.copy(), "t", 0, datetime(2026, 1, 1, tzinfo=UTC), 0))


def _noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@given(st.integers(0, 1 << 30), st.sampled_from([32, 160, 320, 640]))
def test_what_lies_behind_the_mask_changes_no_byte(seed: int, width: int) -> None:
    one, other, zones = _noise(seed), _noise(seed), _zones()
    other[zones.core > 0] = _noise(seed + 1)[zones.core > 0]
    stills = [make_still(_masked(i), zones, [PLATE], width_px=width) for i in (one, other)]
    assert np.array_equal(*stills)
    assert stills[0].shape[1] == min(width, WIDTH)


@given(st.integers(0, 1 << 30))
def test_under_a_plate_is_one_colour(seed: int) -> None:
    image = _noise(seed)
    covered = make_still(_masked(image), _zones(), [PLATE], width_px=WIDTH)
    assert len(np.unique(covered[120:140, 200:260].reshape(-1, 3), axis=0)) == 1
    assert np.array_equal(covered[160:], image[160:])


@given(st.integers(0, 1 << 30))
def test_on_the_band_there_are_only_blocks(seed: int) -> None:
    zones = _zones()
    still = make_still(_masked(_noise(seed)), zones, [], width_px=WIDTH)
    # Blocks are five pixels here; take one that lies wholly on the band, right of the mask.
    assert (zones.band[50:55, 135:140] > 0).all()
    assert len(np.unique(still[50:55, 135:140].reshape(-1, 3), axis=0)) == 1


def test_quads_at_and_beyond_the_edge_and_nonsense() -> None:
    zones, image = _zones(), _noise(3)
    for shift in (-5_000, -250, 250, 5_000):
        make_still(_masked(image), zones, [PLATE + shift], width_px=WIDTH)
    nonsense = PLATE.copy()
    nonsense[0, 0] = np.nan
    assert not make_still(_masked(image), zones, [nonsense], width_px=WIDTH).any()


def test_other_zones_give_no_picture() -> None:
    with pytest.raises(ExclusionError) as caught:
        make_still(_masked(_noise(1)), _zones("other"), [], width_px=WIDTH)
    assert caught.value.code == "exclusion.still.zones"
    with pytest.raises(ValueError):
        make_still(_masked(_noise(1)), _zones(), [], width_px=8)
