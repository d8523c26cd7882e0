"""`alpr-edge models`: says every finding, for people and for programs, and ends with its status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from alpr_edge.cli import main
from alpr_edge.vision.models import models_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("detector.onnx", "recogniser.onnx", "manifest.json", "detector.md"):
        shutil.copy(models_folder() / name, tmp_path)
    return tmp_path


def test_list_names_files_and_digests(folder, capsys):
    assert main(["models", "list", "--folder", str(folder), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["file"] for line in lines} == {"detector.onnx", "recogniser.onnx"}
    assert all(len(line["sha256"]) == 64 for line in lines)


def test_verify_says_what_each_output_means(folder, capsys):
    assert main(["models", "verify", "--folder", str(folder)]) == 0
    told = capsys.readouterr().out
    for part in ("plate-detector", "plate-recogniser", "four corners", "each character", "Conv"):
        assert part in told


def test_verify_reports_all_and_ends_with_the_worst_status(folder, capsys):
    with (folder / "detector.onnx").open("ab") as file:
        file.write(b"x")
    (folder / "face\x1b[31m.onnx").write_bytes(b"x")
    assert main(["models", "verify", "--folder", str(folder), "--json"]) == 3
    out, err = capsys.readouterr()
    by_name = {line["file"]: line for line in map(json.loads, out.splitlines())}
    assert by_name["recogniser.onnx"]["ok"]
    assert "trust.model.digest" in by_name["detector.onnx"]["problems"][0]
    assert by_name["face\x1b[31m.onnx"]["problems"] == [
        "not in the manifest: never loaded, whatever it is"
    ]
    assert "\x1b" not in err


def test_a_missing_model_is_status_1(folder, capsys):
    (folder / "detector.onnx").unlink()
    assert main(["models", "verify", "--folder", str(folder)]) == 1
    assert "vision.model.missing" in capsys.readouterr().err
