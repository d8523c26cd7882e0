"""`alpr-edge reference take|check`, and `run` that refuses without its reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.exclusion import view_samples as samples

from alpr_edge.cli import main
from alpr_edge.exclusion.view_reference import parse_reference


@lru_cache
def _moved() -> np.ndarray:
    return samples.moved_day(pan=1.0).frame(11.0, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    masks = {
        "masks": [
            {"name": f"p{i}", "polygon": [list(p) for p in polygon]}
            for i, polygon in enumerate(samples.mask_polygons(samples.day().camera))
        ]
    }
    (tmp_path / "masks.json").write_text(json.dumps(masks))
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"day{number}.png"), samples.noon(number))
    cv2.imwrite(str(tmp_path / "moved.png"), _moved())
    return tmp_path


def take(folder: Path) -> int:
    photos = [str(folder / f"day{n}.png") for n in range(3)]
    masks, out = str(folder / "masks.json"), str(folder / "reference.json")
    return main(["reference", "take", "--masks", masks, "--out", out, *photos])


def check(folder: Path, photo: str, *options: str) -> int:
    masks, reference = str(folder / "masks.json"), str(folder / "reference.json")
    files = ["--masks", masks, "--reference", reference]
    return main(["reference", "check", *files, *options, str(folder / photo)])


def test_take_then_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take(folder) == 0
    reference = parse_reference((folder / "reference.json").read_bytes())
    said = capsys.readouterr().out
    assert reference.digest in said
    assert "3 frames of 384x216" in said
    assert check(folder, "day3.png") == 0
    assert capsys.readouterr().out.startswith("confirmed:")
    assert check(folder, "moved.png", "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert told["shift_px"] > 10
    assert told["state"] != "confirmed"


def test_a_plain_view_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wall = samples.noon(0).copy()
    wall[:] = 100
    for number in range(3):
        cv2.imwrite(str(folder / f"day{number}.png"), wall)
    assert take(folder) == 3
    assert "exclusion.reference.too_plain" in capsys.readouterr().err
    assert not (folder / "reference.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["take"], 2, "cli.usage"),
        (["take", "--masks", "masks.json", "day0.png"], 2, "exclusion.reference.no_file"),
        (["check", "--masks", "masks.json", "day0.png"], 2, "exclusion.reference.no_file"),
        (["check", "--masks", "masks.json", "--reference", "no.json", "day0.png"], 3,
         "exclusion.reference.missing"),
        (["take", "--masks", "masks.json", "--out", "r.json", "no.png"], 1,
         "capture.photo.missing"),
        (["take", "--masks", "masks.json", "--out", "no/r.json", "day0.png"], 2,
         "exclusion.reference.no_file"),
    ],
)  # fmt: skip
def test_wrong_use_is_said(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    code: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["reference", *arguments]) == status
    assert code in capsys.readouterr().err


def device(folder: Path, width: int = 384, height: int = 216, more: str = "") -> Path:
    path = folder / "device.toml"
    path.write_text(
        f"""
        [device]
        id = "unit-1"
        site = "test street"
        [source]
        kind = "street"
        duration_s = 1.0
        width = {width}
        height = {height}
        [exclusion]
        mask_file = "masks.json"
        reference_file = "reference.json"
        {more}
        [trust]
        require_signatures = false
        [clock]
        accept = "assumed"
        [mqtt]
        host = "127.0.0.1"
        port = 1
        [outbox]
        path = "outbox.sqlite3"
        """
    )
    return path


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda path: path.unlink(), "exclusion.reference.missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "exclusion.reference.invalid"),
        (lambda path: path.write_text("{}"), "exclusion.reference.invalid"),
    ],
)
def test_a_device_without_the_reference_it_is_told_to_have_does_not_start(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], code: str
) -> None:
    assert take(folder) == 0
    damage(folder / "reference.json")
    for command in (["run", "--config"], ["config", "check"]):
        assert main([*command, str(device(folder))]) == 3
        assert code in capsys.readouterr().err
    assert not (folder / "outbox.sqlite3").exists()


def test_a_reference_of_another_frame_size_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(folder) == 0
    assert main(["run", "--drain", "0", "--config", str(device(folder, 640, 360))]) == 3
    assert "exclusion.reference.size" in capsys.readouterr().err


def test_a_reference_that_does_not_fit_leaves_an_idle_unit_that_reads_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its console stays, so that another one can be taken."""
    assert take(folder) == 0
    config = device(folder, 640, 360)
    config.write_text(config.read_text() + '[run]\non_stop = "idle"\n')
    assert main(["run", "--drain", "0", "--config", str(config)]) == 0
    said = capsys.readouterr().err
    assert "exclusion.reference.size" in said
    assert "reference_missing" in said


def test_a_margin_that_the_band_does_not_cover_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(folder) == 0
    config = device(folder, more="band = 0.015\ndrift_margin = 0.01")
    assert main(["config", "check", str(config)]) == 2
    assert "exclusion.drift_margin" in capsys.readouterr().err
