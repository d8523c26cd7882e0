"""`alpr-edge demo` in short: it ends by itself, leaks nothing, and leaves its files."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2


def test_the_demo(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "demo", "--seconds", "14", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=115,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "demo.json").read_text())
    keys = {"vehicles", "read_right", "read_wrong", "missed", "suppressed", "leaked"}
    assert keys <= set(result)
    assert result["leaked"] == 0
    assert result["vehicles"] > 0
    reads = (out / "reads.jsonl").read_text().splitlines()
    assert len(reads) >= result["read_right"]
    assert cv2.imread(str(out / "demo.png")).shape == (720, 1280, 3)
    video = cv2.VideoCapture(str(out / "demo.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 100
    assert "leaked" in done.stdout
    assert "demo.json" in done.stdout


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "demo", "--out", str(tmp_path / "file" / "x")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "demo.out" in done.stderr
