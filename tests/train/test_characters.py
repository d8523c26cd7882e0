"""Where characters of a known text stand, and exchanging them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "train"))

from characters import align, cells_of, put

BLANK = 36


def scores(spikes: dict[int, int], steps: int = 20) -> np.ndarray:
    """A CTC head's log probabilities: a class at some columns, the blank elsewhere."""
    chances = np.full((steps, 37), 0.001, np.float32)
    for t in range(steps):
        chances[t, spikes.get(t, BLANK)] = 1 - 36 * 0.001
    return np.log(chances)


def test_the_centres_are_where_the_characters_were_seen() -> None:
    found = align(scores({3: 10, 4: 10, 7: 11, 12: 11}), [10, 11, 11], BLANK)
    assert found is not None
    centres, sure = found
    assert centres.tolist() == pytest.approx([3.5, 7.0, 12.0])
    assert sure > 0.9


def test_another_text_than_the_one_seen_is_not_sure() -> None:
    found = align(scores({3: 10, 7: 11, 12: 12}), [20, 21, 22], BLANK)
    assert found is not None
    assert found[1] < 0.35


def test_a_text_that_does_not_fit_is_refused() -> None:
    assert align(scores({0: 1}, steps=3), [1, 1, 1], BLANK) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 35), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_centres_ascend_whatever_the_head_says(codes: list[int], seed: int) -> None:
    raw = np.random.default_rng(seed).normal(0, 3, (20, 37)).astype(np.float32)
    found = align(raw - np.log(np.exp(raw).sum(1, keepdims=True)), codes, BLANK)
    assert found is not None
    assert (np.diff(found[0]) > 0).all()
    assert found[0][0] >= 0
    assert found[0][-1] <= 19


def plate(text: str, ground: int, ink: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawn plate `(64, 160)` and its characters' middle columns."""
    image = np.full((64, 160), ground, np.uint8)
    centres = 24 + 28 * np.arange(len(text))
    for letter, x in zip(text, centres, strict=True):
        (w, h), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, 1.1, 3)
        place = (int(x - w / 2), 32 + h // 2)
        cv2.putText(image, letter, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, ink, 3)
    return image, centres.astype(float)


def test_cells_hold_their_character_and_no_other() -> None:
    image, centres = plate("AB7H3", 200, 30)
    cells = cells_of(image, centres)
    assert cells is not None
    for (left, right, top, bottom), x in zip(cells, centres, strict=True):
        assert left * 160 < x < right * 160
        assert right * 160 - left * 160 <= 36
        inked = np.flatnonzero((image < 150).any(1))
        assert top * 64 == pytest.approx(inked[0], abs=3)
        assert bottom * 64 == pytest.approx(inked[-1], abs=3)
        assert (image[:, round(left * 160)] > 150).all()


def test_characters_that_touch_are_refused() -> None:
    image, _ = plate("AB7H3", 200, 30)
    assert cells_of(image, np.array([20.0, 24.0, 27.0])) is None


def test_a_character_takes_the_light_of_its_new_place() -> None:
    bright, _ = plate("AB7H3", 220, 20)
    dim, _ = plate("CD4K9", 90, 50)
    before = dim.copy()
    put(dim, bright[16:48, 38:66], (38, 66, 16, 48))
    assert (dim[:, :38] == before[:, :38]).all()
    assert (dim[:, 66:] == before[:, 66:]).all()
    assert (dim != before).any()
    assert dim[24:44, 42:62].min() >= 40
    assert dim[24:44, 42:62].max() <= 100
