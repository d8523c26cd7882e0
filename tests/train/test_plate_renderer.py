"""Tests of the plate renderer; they need neither an installed font nor any file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "train"
sys.path.insert(0, str(SCRIPTS))

from plate_renderer import draw_plate, glyphs, photograph, scene_patch  # noqa: E402
from plate_renderer.__main__ import main  # noqa: E402
from plate_renderer.designs import REGIONS  # noqa: E402
from plate_renderer.formats import FORMATS, draw_serial, fill, label  # noqa: E402
from plate_renderer.shards import render  # noqa: E402
from plate_renderer.strokes import ALPHABET, GLYPHS  # noqa: E402


def _forget_fonts() -> None:
    glyphs.font_files.cache_clear()
    glyphs.fonts_like.cache_clear()


@pytest.fixture(autouse=True)
def _no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the machine's fonts, so that every run draws the same."""
    monkeypatch.delenv("ALPR_EDGE_FONTS", raising=False)
    monkeypatch.setattr(glyphs, "_FONT_FOLDERS", ())
    _forget_fonts()
    yield
    _forget_fonts()


def test_fonts_are_hidden() -> None:
    assert glyphs.font_files() == ()


def test_same_seed_same_plate() -> None:
    art, shot = render(3, 5)
    again, shot_again = render(3, 5)
    assert art.text == again.text
    np.testing.assert_array_equal(art.image, again.image)
    np.testing.assert_array_equal(shot.image, shot_again.image)
    np.testing.assert_array_equal(shot.corners, shot_again.corners)


def test_other_index_other_plate() -> None:
    assert render(3, 5)[0].text != render(3, 6)[0].text


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_draws(region: str) -> None:
    for seed in range(4):
        art = draw_plate(np.random.default_rng(seed), region)
        assert art.region == region
        assert art.rows in (1, 2)
        assert art.image.dtype == np.uint8
        assert art.image.shape[2] == 3
        assert art.relief.shape == art.image.shape[:2]
        assert not art.image.flags.writeable


def test_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="region must be one of"):
        draw_plate(np.random.default_rng(0), "atlantis")


def test_three_hundred_shots() -> None:
    for index in range(300):
        art, shot = render(17, index)
        assert 2 <= len(art.text) <= 10
        assert set(art.text) <= set(ALPHABET)
        assert shot.image.shape == (80, 200, 3)
        assert shot.image.dtype == np.uint8
        assert shot.corners.shape == (4, 2)
        assert shot.corners.dtype == np.float32
        assert shot.image.std() > 3


def test_corners_run_clockwise_and_lie_inside() -> None:
    for index in range(120):
        corners = render(23, index)[1].corners
        x, y = corners[:, 0], corners[:, 1]
        area = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
        assert area > 0.3 * 80 * 200 * 0.5
        assert x.min() > -2
        assert x.max() < 202
        assert y.min() > -2
        assert y.max() < 82
        assert x[0] < x[1]
        assert y[0] < y[3]


def test_corners_are_where_the_plate_is() -> None:
    """Without surroundings of its own colour, inside and outside differ at most corners."""
    differing = 0
    for index in range(60):
        _, shot = render(29, index)
        middle = shot.corners.mean(axis=0)
        for corner in shot.corners:
            way = (middle - corner) / np.hypot(*(middle - corner))
            inner, outer = (
                shot.image[
                    tuple(np.clip(np.round(corner + way * d)[::-1], 0, [79, 199]).astype(int))
                ]
                for d in (6.0, -6.0)
            )
            differing += int(np.abs(inner.astype(int) - outer.astype(int)).sum() > 30)
    assert differing > 0.5 * 240


def test_other_sizes() -> None:
    rng = np.random.default_rng(1)
    shot = photograph(draw_plate(rng, "de"), rng, (48, 160))
    assert shot.image.shape == (48, 160, 3)
    assert shot.corners[:, 0].max() < 162


@pytest.mark.parametrize("width", [24.0, 90.0, 260.0])
def test_scene_patch(width: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        patch, corners = scene_patch(draw_plate(rng), rng, width)
        assert patch.ndim == 3
        assert patch.shape[2] == 4
        assert patch[..., 3].max() == 255
        assert patch[0, 0, 3] < 255
        assert np.ptp(corners[:, 0]) == pytest.approx(width, abs=1.5)
        assert corners.min() >= 0
        assert corners[:, 0].max() <= patch.shape[1]
        assert corners[:, 1].max() <= patch.shape[0]


def test_every_variant_of_every_character_fills_its_cell() -> None:
    for char in ALPHABET:
        for variant in GLYPHS[char]:
            for round_ends in (True, False):
                mask = glyphs._die_glyph(char, variant, 0.5, (0.13, 0.25), round_ends)
                assert mask[:5].max() > 100, (char, variant)
                assert mask[glyphs.MASK_HEIGHT - 5 :].max() > 100, (char, variant)
                assert mask[:, 0].max() > 0
                assert mask[:, -1].max() > 0


def test_dies_tell_characters_apart() -> None:
    """Only pairs that are alike on real plates may share a shape."""
    alike = {"O0", "I1"}
    for die in glyphs.DIES.values():
        masks = {c: glyphs.glyph_mask(die, c) for c in ALPHABET}
        for i, a in enumerate(ALPHABET):
            for b in ALPHABET[i + 1 :]:
                if a + b not in alike:
                    same = masks[a].shape == masks[b].shape and np.array_equal(masks[a], masks[b])
                    assert not same, (die.name, a, b)


@pytest.mark.parametrize("region", sorted(FORMATS))
def test_serials_become_labels(region: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        text = label(draw_serial(rng, region))
        assert 2 <= len(text) <= 11
        assert set(text) <= set(ALPHABET)


def test_fill_follows_the_pattern() -> None:
    rng = np.random.default_rng(0)
    text = fill("9AA-99\\G", rng, banned="ABCDEFGHIJKLMNOPQRSTUVWXY")
    assert text[0].isdigit()
    assert text[1:4] == "ZZ-"
    assert text[4:6].isdigit()
    assert text[6] == "G"


def test_shard_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", "--count", "6", "--seed", "4", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    grey, corners = (np.load(tmp_path / f"{name}-4.npy") for name in ("grey", "corners"))
    lines = (tmp_path / "labels-4.jsonl").read_text(encoding="utf-8").splitlines()
    labels = [json.loads(line) for line in lines]
    assert (grey.shape, grey.dtype) == ((6, 80, 200), np.uint8)
    assert (corners.shape, corners.dtype) == ((6, 4, 2), np.float32)
    assert [set(item) for item in labels] == [{"text", "region", "rows"}] * 6
    assert labels[2]["text"] == render(4, 2)[0].text


def test_sheet(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert main(["sheet", "--out", str(out), "--region", "us-ca", "--corners"]) == 0
    assert out.stat().st_size > 10_000
