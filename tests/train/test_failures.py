"""The table of regions and the picture of failures, with the shipped recogniser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[2]


def test_table_and_picture_say_what_was_misread(tmp_path: Path) -> None:
    table, sheet = tmp_path / "table.md", tmp_path / "sheet.png"
    command = [sys.executable, str(ROOT / "scripts/train/failures.py"), "--models"]
    command += [str(ROOT / "models"), "--each", "4", "--regions", "us-ca", "us-wy", "br"]
    command += ["--table", str(table), "--sheet", str(sheet)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in table.read_text().splitlines() if line.startswith("| ")]
    assert {row[0] for row in rows[2:]} == {"| us-ca", "| us-wy", "| br"}
    for row in rows[2:]:
        share = int(row[1].removesuffix(" %"))
        assert share in (0, 25, 50, 75, 100)
        assert (share == 100) == (" as " not in row[3])
    assert cv2.imread(str(sheet)).shape[1] == 1600
