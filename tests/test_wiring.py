"""What the configuration's keys of the models become: thresholds, second looks, the right files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import onnx
import pytest

from alpr_edge.config.parse import parse
from alpr_edge.errors import AlprEdgeError, TrustError
from alpr_edge.vision.models import models_folder
from alpr_edge.watch import PlainMasks
from alpr_edge.wiring.engine import Engine


def engine(folder: Path, sections: str) -> Engine:
    (folder / "masks.json").write_text(json.dumps({"masks": [], "nothing_protected": True}))
    text = f"""
        [device]
        id = "unit-1"
        site = "test"
        [source]
        kind = "street"
        [exclusion]
        mask_file = "masks.json"
        [mqtt]
        host = "127.0.0.1"
        {sections}
        """
    return Engine(parse(text, source="test", folder=str(folder)))


def models_with(folder: Path, thresholds: str | None) -> None:
    """The shipped models, listed, the recogniser with this table of thresholds or with none."""
    shutil.copy(models_folder() / "detector.onnx", folder)
    model = onnx.load(models_folder() / "recogniser.onnx")
    kept = [prop for prop in model.metadata_props if prop.key != "thresholds"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    if thresholds is not None:
        model.metadata_props.add(key="thresholds", value=thresholds)
    (folder / "recogniser.onnx").write_bytes(model.SerializeToString())
    entries = [
        {"file": p.name, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
        for p in folder.glob("*.onnx")
    ]
    (folder / "manifest.json").write_text(json.dumps({"models": entries}))


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    models_with(tmp_path, '{"0.95": 0.61, "0.99": 0.93}')
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", 0.5),
        ("min_confidence = 0.7", 0.7),
        ('precision = "balanced"', 0.61),
        ('precision = "strict"', 0.93),
        ("precision = 0.96", 0.93),
        ("precision = 0.995", 0.995),
    ],
)
def test_a_wanted_precision_becomes_the_measured_threshold(measured, line, expected):
    sections = f'[recogniser]\nmodel = "recogniser.onnx"\n{line}'
    assert engine(measured, sections).min_confidence == expected


def test_without_measurements_the_wanted_precision_is_the_threshold(tmp_path, caplog):
    models_with(tmp_path, None)
    sections = '[recogniser]\nmodel = "recogniser.onnx"\nprecision = "strict"'
    assert engine(tmp_path, sections).min_confidence == 0.99
    assert "no table of thresholds" in caplog.text


def test_second_looks_give_a_pipeline(tmp_path):
    made = engine(tmp_path, "[detector]\nsecond_looks = 2")
    masks = PlainMasks(tmp_path / "masks.json").load()
    assert made.pipeline((1920, 1080), masks) is not None


@pytest.mark.parametrize(("line", "careful"), [("", True), ('tier = "fast"', False)])
def test_the_tier_decides_how_often_it_looks(tmp_path, line, careful):
    made = engine(tmp_path, f"[run]\n{line}" if line else "")
    assert made._detector._close_look is careful
    assert made._recogniser._look_again is careful


def test_files_that_were_exchanged_are_refused(measured):
    with pytest.raises(TrustError) as caught:
        engine(measured, '[detector]\nmodel = "recogniser.onnx"')
    assert caught.value.code == "trust.model.kind"


def test_a_model_of_another_folder_needs_that_folders_manifest(tmp_path):
    shutil.copy(models_folder() / "detector.onnx", tmp_path)
    with pytest.raises(AlprEdgeError) as caught:
        engine(tmp_path, '[detector]\nmodel = "detector.onnx"')
    assert caught.value.code == "vision.manifest.missing"
