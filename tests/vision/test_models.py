"""A model loads only if the manifest lists exactly its bytes; everything else is a clear error."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alpr_edge.errors import AlprEdgeError, DigestMismatch, InferenceError
from alpr_edge.vision.models import MAX_MODEL_BYTES, load_model, models_folder

NAMES = ["detector.onnx", "recogniser.onnx"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in models_folder().glob("*"):
        if path.suffix in (".onnx", ".json"):
            shutil.copy(path, tmp_path)
    return tmp_path


def list_as_is(folder: Path, name: str) -> None:
    """Make the manifest list whatever the file now holds."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(
        json.dumps({"models": [{"file": name, "sha256": digest}]})
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_models_load(name):
    model = load_model(name)
    assert len(model.digest) == 64
    assert model.about["kind"].startswith("plate-")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.999])
def test_one_changed_byte_is_refused(folder, name, where):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch) as caught:
        load_model(name, folder=folder)
    assert caught.value.code == "trust.model.digest"
    assert caught.value.exit_status == 3


def test_an_unlisted_model_is_refused(folder):
    shutil.copy(folder / "detector.onnx", folder / "faces.onnx")
    with pytest.raises(DigestMismatch) as caught:
        load_model("faces.onnx", folder=folder)
    assert caught.value.code == "trust.model.unlisted"


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.9])
def test_a_truncated_model_is_an_error_even_if_listed(folder, keep):
    path = folder / "detector.onnx"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    list_as_is(folder, "detector.onnx")
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.model.broken"


def test_a_file_that_is_no_model(folder):
    (folder / "detector.onnx").write_bytes(b"hello" * 1000)
    list_as_is(folder, "detector.onnx")
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.model.broken"


def test_a_huge_file_is_not_read(folder):
    with (folder / "detector.onnx").open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.model.too_large"


def test_a_missing_model(folder):
    (folder / "detector.onnx").unlink()
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.model.missing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": [{}]}', '{"models": 3}', "\udcff"])
def test_a_broken_manifest(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.manifest.broken"


def test_a_missing_manifest(tmp_path):
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=tmp_path)
    assert caught.value.code == "vision.manifest.missing"


def test_an_unknown_execution_provider():
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", providers=("NoSuchProvider",))
    assert caught.value.code == "vision.provider.missing"
    assert "CPUExecutionProvider" in caught.value.hint


def test_an_input_of_the_wrong_shape_is_translated():
    with pytest.raises(AlprEdgeError) as caught:
        load_model("detector.onnx").run(np.zeros((1, 7), np.uint8))
    assert caught.value.code == "vision.run"


def test_every_listed_model_has_a_card():
    folder = models_folder()
    for entry in json.loads((folder / "manifest.json").read_text())["models"]:
        card = (folder / entry["card"]).read_text()
        assert "Data" in card
        assert "Limits" in card
