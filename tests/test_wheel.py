"""The wheel carries all that reading needs, and runs from an empty folder without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the build backend of the lock file; nothing is fetched."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=100,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as an install would lay it down."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _run(unpacked: Path, empty: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as the wheel holds it, in `empty`, with a fresh HOME and no network."""
    start = (
        "import sys, socket\n"
        "def no(*a, **k): raise OSError('this test allows no network')\n"
        "socket.socket.connect = no\n"
        "socket.getaddrinfo = no\n"
        f"sys.path.insert(0, {str(unpacked)!r})\n"
        "from alpr_edge import cli\n"
        f"assert cli.__file__.startswith({str(unpacked)!r}), cli.__file__\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", start, *arguments],
        cwd=empty,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(empty)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_it_holds_every_listed_model(unpacked: Path) -> None:
    folder = unpacked / "alpr_edge" / "models"
    listed = json.loads((folder / "manifest.json").read_text("utf-8"))["models"]
    assert listed
    for model in listed:
        assert (folder / model["file"]).stat().st_size > 0


def test_it_holds_the_device_configurations(unpacked: Path) -> None:
    assert list((unpacked / "alpr_edge" / "configs" / "devices").glob("*.toml"))


def test_it_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert all(name.split("/")[0].startswith("alpr_edge") for name in names)
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyc", ".pt"))]
    assert "alpr_edge/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_reads_a_photo_with_its_own_models(unpacked: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((240, 320, 3), 127, np.uint8))
    done = _run(unpacked, tmp_path, "read", "--jsonl", "photo.jpg")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["width"], line["height"], line["reads"]) == (320, 240, [])
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_it_verifies_its_models(unpacked: Path, tmp_path: Path) -> None:
    done = _run(unpacked, tmp_path, "models", "verify")
    assert done.returncode == 0, done.stderr
