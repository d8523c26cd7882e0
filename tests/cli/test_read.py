"""`alpr-edge read` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.simulator.street import Street, StreetConfig

KEYS = {"plate", "confidence", "char_confidences", "box", "corners", "region"}


def read(*args: object, cwd: Path | None = None) -> tuple[int, list[dict], str]:
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "read", "--jsonl", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A street photo with a readable plate: its path, and the truth."""
    street = Street(StreetConfig(seed=11, fps=4.0, duration_s=30.0))
    shots = [(shot, t) for shot in street.frames() for t in shot.truth if t.readable]
    shot, truth = max(shots, key=lambda pair: pair[1].width_px)
    path = tmp_path_factory.mktemp("scene") / "street.png"
    cv2.imwrite(str(path), shot.image)
    return path, truth


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
def test_every_format_is_read(scene, tmp_path, suffix):
    path, truth = scene
    photo = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(photo), cv2.imread(str(path)), [cv2.IMWRITE_WEBP_QUALITY, 95])
    status, lines, _ = read(photo)
    assert status == 0
    line = lines[0]
    assert (line["source"], line["width"], line["height"]) == (str(photo), 1280, 720)
    best = min(
        line["reads"],
        key=lambda r: float(np.abs(np.array(r["corners"]) - truth.corners).max()),
    )
    assert set(best) - {"ambiguous"} == KEYS
    assert all(best["plate"][place] in "O0I1" for place in best.get("ambiguous", []))
    assert len(best["char_confidences"]) == len(best["plate"]) >= 4
    assert 0 <= best["confidence"] <= 1
    assert best["plate"].isalnum()
    assert best["plate"] == best["plate"].upper()
    x, y, w, h = best["box"]
    corners = np.array(best["corners"])
    assert corners.min(0) == pytest.approx([x, y], abs=0.2)
    assert corners.max(0) == pytest.approx([x + w, y + h], abs=0.3)


def test_the_fast_tier_reads_too(scene):
    path, truth = scene
    status, lines, _ = read("--tier", "fast", path)
    assert status == 0
    assert truth.plate in {r["plate"] for r in lines[0]["reads"]}


def test_a_mask_over_the_plate_suppresses_it(scene, tmp_path):
    path, truth = scene
    low, high = truth.corners.min(0) / (1280, 720), truth.corners.max(0) / (1280, 720)
    # Only the lower half of the plate is covered.
    middle = (low[1] + high[1]) / 2
    polygon = [[0, middle], [1, middle], [1, min(1, high[1] + 0.01)], [0, min(1, high[1] + 0.01)]]
    masks = tmp_path / "masks.json"
    masks.write_text(
        json.dumps({"masks": [{"name": "m", "polygon": np.clip(polygon, 0, 1).tolist()}]})
    )
    status, lines, _ = read("--masks", masks, path)
    assert status == 0
    plates = {r["plate"] for r in lines[0]["reads"]}
    assert truth.plate not in plates
    for one in lines[0]["reads"]:
        corners = np.array(one["corners"])
        assert corners[:, 1].max() < middle * 720 or corners[:, 1].min() > high[1] * 720


def test_the_output_knows_nothing_of_what_is_masked(scene, tmp_path):
    path, _ = scene
    masks = tmp_path / "masks.json"
    polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.7], [0.0, 0.7]]
    masks.write_text(json.dumps({"masks": [{"name": "m", "polygon": polygon}]}))
    other = cv2.imread(str(path))
    other[:500] = np.random.default_rng(1).integers(0, 256, (500, 1280, 3), dtype=np.uint8)
    changed = tmp_path / "street.png"
    cv2.imwrite(str(changed), other)
    (first,), (second,) = read("--masks", masks, path)[1], read("--masks", masks, changed)[1]
    first.pop("source"), second.pop("source")
    assert first == second


def test_broken_photos_are_said_and_the_others_are_read(scene, tmp_path):
    good = scene[0].read_bytes()
    bad = {
        "a_empty.jpg": b"",
        "b_text.png": b"this is not a picture",
        "c_cut.png": good[: len(good) // 2],
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    cv2.imwrite(str(tmp_path / "d_tiny.png"), np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "e_good.png").write_bytes(good)
    status, lines, _ = read(tmp_path, tmp_path / "missing.jpg")
    assert status == 1
    codes = [line.get("error", {}).get("code") for line in lines]
    assert codes == [
        "capture.photo.empty",
        "capture.photo.not_an_image",
        "capture.photo.broken",
        "capture.photo.too_small",
        None,
        "capture.photo.missing",
    ]
    assert lines[4]["width"] == 1280
    assert all(line["error"]["message"] for line in lines if "error" in line)


def test_a_photo_of_fifty_megapixels(scene, tmp_path):
    large = cv2.resize(cv2.imread(str(scene[0])), (8660, 5774), interpolation=cv2.INTER_LINEAR)
    photo = tmp_path / "large.jpg"
    cv2.imwrite(str(photo), large)
    status, lines, _ = read(photo)
    assert status == 0
    assert (lines[0]["width"], lines[0]["height"]) == (8660, 5774)


def test_masks_that_are_missing_or_wrong_are_wrong_usage(scene, tmp_path):
    status, lines, stderr = read("--masks", tmp_path / "none.json", scene[0])
    assert (status, lines) == (2, [])
    assert "exclusion.mask.missing" in stderr
    (tmp_path / "bad.json").write_text('{"masks": [{"name": "x", "polygon": [[0, 0], [2, 0]]}]}')
    status, lines, stderr = read("--masks", tmp_path / "bad.json", scene[0])
    assert (status, lines) == (2, [])
    assert "exclusion.mask.invalid" in stderr


def test_for_people(scene):
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "read", str(scene[0]), "nowhere.jpg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith(str(scene[0]))
    assert "capture.photo.missing" in done.stderr


def test_a_closed_pipe_is_no_error(scene):
    command = f"'{sys.executable}' -m alpr_edge read --jsonl '{scene[0]}' '{scene[0]}' | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.photos
@pytest.mark.parametrize(("part", "least"), [("us", 0.60), ("eu", 0.75)])
def test_it_truly_reads_photos_that_nobody_here_took(photos, part, least):
    status, lines, _ = read(photos / "measure" / "photos" / part)
    assert status == 0
    labels = {
        Path(entry["file"]).name: [p["text"] for p in entry["plates"] if p["text"]]
        for entry in map(
            json.loads, (photos / "measure" / "photos" / f"{part}.jsonl").read_text().splitlines()
        )
    }
    fold = str.maketrans("OI", "01")
    plates = right = 0
    for line in lines:
        seen = {r["plate"].translate(fold) for r in line["reads"]}
        for text in labels[os.path.basename(line["source"])]:
            plates += 1
            right += text.translate(fold) in seen
    assert plates >= 20
    assert right / plates >= least
