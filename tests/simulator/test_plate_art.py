"""Plates: serials stay apart, every character is drawn, textures have the plate's shape."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.lettering import GLYPHS, draw_text, polylines, text_width
from alpr_edge.simulator.plate_art import (
    DESIGNS,
    PX_PER_MM,
    Design,
    PlateSpec,
    _rests,
    draw_plates,
    edit_distance,
    fold,
    paint_plate,
)
from alpr_edge.types import Image

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
texts = st.text(alphabet=ALPHABET, max_size=9)


def drawn(character: str) -> Image:
    canvas = np.zeros((80, 50, 3), np.uint8)
    draw_text(canvas, character, (5, 5), cell=(40, 70), stroke_px=9, gap=0, colour=(255, 255, 255))
    return canvas


def test_every_character_has_strokes_within_its_cell() -> None:
    assert set(GLYPHS) == set(ALPHABET)
    for character in ALPHABET:
        points = np.concatenate(polylines(character))
        assert points.min() > -0.05, character
        assert points.max() < 1.06, character


def test_no_two_characters_look_alike() -> None:
    pictures = {c: drawn(c).astype(float).ravel() for c in ALPHABET}
    for a, b in combinations(ALPHABET, 2):
        if fold(a) != fold(b):
            assert np.abs(pictures[a] - pictures[b]).mean() > 6, (a, b)


def test_a_sign_that_is_no_glyph_leaves_a_gap() -> None:
    assert not drawn("-").any()
    assert text_width("A-A", (40, 70), 4) > text_width("AA", (40, 70), 4)


@given(texts, texts, texts)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("7ABC123", "7ABC123", 0), ("7ABC123", "7ABC12", 1), ("7ABC123", "7A8C124", 2), ("", "AB", 2)],
)
def test_edit_distance_of_known_pairs(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == distance


def test_fold() -> None:
    assert fold("oi-7 b") == "017B"


def test_plates_stay_apart_and_fit_their_design() -> None:
    plates = draw_plates(np.random.default_rng(4), 60)
    for a, b in combinations(plates, 2):
        assert edit_distance(fold(a.text), fold(b.text)) >= 3
    for plate in plates:
        assert 5 <= len(plate.text) <= 8
        shape = "".join("9" if c.isdigit() else "A" for c in plate.text)
        assert shape in plate.design.patterns


@pytest.mark.parametrize("design", [design for design, _ in DESIGNS], ids=lambda d: d.name)
def test_texture_has_its_plate_s_shape_and_dark_ink_on_a_light_ground(design: Design) -> None:
    image = paint_plate(PlateSpec("8WM8WM88"[: len(design.patterns[0])], design, 3))
    width, height = (round(side * 1000 * PX_PER_MM) for side in design.size_m)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    rows = slice(round(height * 0.3), round(height * 0.8))
    middle = image[rows, round(width * 0.15) : -20].mean(axis=2)
    assert np.percentile(middle, 90) - np.percentile(middle, 10) > 90


def test_same_plate_same_bytes() -> None:
    plate = draw_plates(np.random.default_rng(1), 1)[0]
    assert paint_plate(plate).tobytes() == paint_plate(plate).tobytes()


def test_plates_are_drawn_as_if_each_were_compared_with_all() -> None:
    """Three characters a plate would be near many others: here the short cut has to be exact."""
    for apart in (1, 2, 3, 4):
        plates = [fold(one.text) for one in draw_plates(np.random.default_rng(apart), 150, apart)]
        for i, one in enumerate(plates):
            assert all(edit_distance(one, other) >= apart for other in plates[:i])


@given(st.text("AB1", max_size=6), st.text("AB1", max_size=6), st.integers(0, 3))
def test_near_texts_have_a_rest_in_common(one: str, other: str, most: int) -> None:
    if edit_distance(one, other) <= most:
        assert _rests(one, most) & _rests(other, most)
