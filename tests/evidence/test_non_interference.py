"""N1: random masks and contents through the real models; and the whole program, byte by byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from evidence import non_interference as n1
from evidence import whole_run

from alpr_edge.config.mask_file import format_masks
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.zone_set import ZonePolygon, ZoneSet


@pytest.mark.timeout(300)
def test_random_masks_and_contents_change_nothing() -> None:
    named = os.environ.get("ALPR_EDGE_PHOTOS")
    images = n1.pictures(Path(named) / "measure" if named else None, most=6)
    found = n1.check(range(5 * len(images)), images, *n1.engines())
    assert set(found.cases) == set(n1.CONTENTS)
    assert found.different == []
    assert found.pixels > 100_000
    assert found.reads > 0


def test_the_comparison_sees_a_pixel_that_is_not_masked() -> None:
    images = n1.pictures(None, most=0)
    zones = rasterise(n1.random_zone_set(np.random.default_rng(1)), size_px=(640, 360), digest="c")
    one, other = images[0].copy(), images[0].copy()
    y, x = np.argwhere(zones.core == 0)[0]
    other[y, x] ^= 255
    assert n1.outputs(one, zones, *n1.engines()) != n1.outputs(other, zones, *n1.engines())


@pytest.mark.timeout(300)
def test_the_whole_program_says_the_same_bytes(tmp_path: Path) -> None:
    shot = Street(StreetConfig(seed=5, fps=1.0, duration_s=30.0)).frame(17).image
    mask = ZoneSet((ZonePolygon("m", ((0.3, 0.2), (0.8, 0.3), (0.7, 0.9), (0.2, 0.7))),))
    zones = rasterise(mask, size_px=(shot.shape[1], shot.shape[0]), digest="m")
    said = []
    for content in ("as it is", "noise", "plates"):
        folder = tmp_path / content
        folder.mkdir()
        picture = shot.copy()
        if content != "as it is":
            n1.put(picture, zones, content, np.random.default_rng(3), shot[::-1])
        cv2.imwrite(str(folder / "photo.png"), picture)
        (folder / "masks.json").write_text(format_masks(mask))
        command = [sys.executable, "-m", "alpr_edge", "read", "--jsonl", "--masks", "masks.json"]
        done = subprocess.run(
            [*command, "photo.png"], cwd=folder, capture_output=True, check=False, timeout=120
        )
        assert done.returncode == 0
        left = {p.name for p in folder.iterdir()}
        said.append((done.stdout, done.stderr, left))
    assert all(one == said[0] for one in said)
    assert json.loads(said[0][0])["width"] == 1280


@pytest.mark.mosquitto
@pytest.mark.timeout(600)
def test_a_whole_run_gives_the_same_bytes_on_every_channel() -> None:
    found = whole_run.piece("street 5: plates", frames=30)
    assert found["different"] == []
    assert found["counters"].startswith("30 frames, ")
    assert found["channels"] >= 12
    assert found["bytes"] > 10_000


@pytest.mark.mosquitto
@pytest.mark.timeout(600)
def test_a_mask_smaller_than_claimed_is_found_out() -> None:
    found = whole_run.piece("street 5: control", frames=40)
    assert "counters" in found["different"]
