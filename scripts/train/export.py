"""Export trained checkpoints to ONNX, quantise to int8, and write the manifest.

    python scripts/train/export.py detector  --run runs/detector --photos DIR --models models
    python scripts/train/export.py recogniser --run runs/reader  --photos DIR --models models

The averaged weights of the checkpoint are exported. Quantisation is static (QDQ); it is calibrated
on training pictures only. `--fp32` keeps the full precision.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from detector_data import load_scenes
from detector_net import DetectorNet
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from plate_renderer.formats import FORMATS
from recogniser_data import grey, load_crops, rectify
from recogniser_net import ALPHABET, HEIGHT_PX, SLOTS, WIDTH_PX, RecogniserNet

OPSET = 17


class Pictures(CalibrationDataReader):
    """Feeds calibration inputs one by one."""

    def __init__(self, name: str, arrays: Iterator[np.ndarray]) -> None:
        self._name, self._arrays = name, arrays

    def get_next(self) -> dict[str, np.ndarray] | None:
        array = next(self._arrays, None)
        return None if array is None else {self._name: array}


def main() -> None:
    args = _arguments()
    args.models.mkdir(parents=True, exist_ok=True)
    state = torch.load(args.run / "last.pt", weights_only=True)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        if args.kind == "detector":
            about = _export_detector(state, plain)
        else:
            about = _export_recogniser(state, plain, args)
        final = args.models / f"{args.kind}.onnx"
        model = onnx.load(plain) if args.fp32 else _quantise(plain, args, Path(folder))
        about |= {
            "precision": "fp32" if args.fp32 else "int8",
            "images": str(state["state"]["images"]),
        }
        onnx.helper.set_model_props(model, about)
        onnx.checker.check_model(model)
        final.write_bytes(model.SerializeToString())
    write_manifest(args.models)
    print(f"{final}: {final.stat().st_size / 1e6:.2f} MB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("kind", choices=["detector", "recogniser"])
    parser.add_argument("--run", type=Path, required=True, help="folder with last.pt")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--models", type=Path, required=True, help="where the ONNX file goes")
    parser.add_argument("--fp32", action="store_true")
    return parser.parse_args()


def _export_detector(state: dict, path: Path) -> dict[str, str]:
    net = DetectorNet().eval()
    net.load_state_dict(state["average"])
    torch.onnx.export(
        net,
        (torch.zeros(1, 384, 640, 3, dtype=torch.uint8),),
        str(path),
        opset_version=OPSET,
        dynamo=False,
        input_names=["frames"],
        output_names=["plates"],
        dynamic_axes={
            "frames": {0: "frames", 1: "height", 2: "width"},
            "plates": {0: "frames", 2: "rows", 3: "columns"},
        },
    )
    return {"kind": "plate-detector", "stride": "8", "corner_unit": "16"}


def _export_recogniser(state: dict, path: Path, args: argparse.Namespace) -> dict[str, str]:
    regions = json.loads((args.run / "regions.json").read_text())
    net = RecogniserNet(len(regions)).eval()
    net.load_state_dict(state["average"])
    torch.onnx.export(
        net,
        (torch.zeros(2, HEIGHT_PX, WIDTH_PX, dtype=torch.uint8),),
        str(path),
        opset_version=OPSET,
        dynamo=False,
        input_names=["crops"],
        output_names=["characters", "regions"],
        dynamic_axes={name: {0: "plates"} for name in ("crops", "characters", "regions")},
    )
    fitted = json.loads((args.run / "calibration.json").read_text())
    return {
        "kind": "plate-recogniser",
        "alphabet": ALPHABET,
        "regions": json.dumps(regions),
        "temperature": str(fitted["temperature"]),
        "calibration": json.dumps(fitted["calibration"]),
        "thresholds": json.dumps(fitted["thresholds"]),
        "grammar": json.dumps(grammar()),
    }


def grammar() -> dict[str, list[str]]:
    """Region → the patterns of its serials, of `A` and `9` alone, for the device's soft prior.

    Patterns with a place that holds either kind are left out: they would allow nearly everything.
    """
    patterns: dict[str, list[str]] = {}
    for region, (_, serials) in FORMATS.items():
        kept = [re.sub(r"[^A9]", "", s) for s in serials if "X" not in s and "\\" not in s]
        patterns.setdefault(region.removesuffix("-mercosur"), []).extend(kept)
    return {
        region: [s for s in dict.fromkeys(serials) if len(s) <= SLOTS]
        for region, serials in patterns.items()
    }


def _quantise(plain: Path, args: argparse.Namespace, folder: Path) -> onnx.ModelProto:
    ready, done = folder / "ready.onnx", folder / "int8.onnx"
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    graph = onnx.load(ready).graph
    detector = args.kind == "detector"
    arrays = _frames(args.photos) if detector else _crops(args.photos)
    convolutions = [n.name for n in graph.node if n.op_type == "Conv"]
    # The last convolutions give pixels and logits, the first sees single pixels of small plates:
    # they stay in full precision.
    plain_ones = [convolutions[0], *convolutions[-2:]] if detector else []
    quantize_static(
        str(ready),
        str(done),
        Pictures(graph.input[0].name, arrays),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "Concat", "MaxPool", "Resize"]
        if detector
        else ["Conv", "Add"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=plain_ones,
        # Seven bits of weight: without VNNI, AVX2's 16-bit sums of U8×S8 products overflow at eight
        # (ONNX Runtime, "Quantize ONNX models", section on data type selection).
        reduce_range=True,
        extra_options={"ActivationSymmetric": False, "CalibMovingAverage": True},
    )
    return onnx.load(done)


def _frames(photos: Path) -> Iterator[np.ndarray]:
    for scene in load_scenes(photos, held_out=False)[::24]:
        canvas = np.full((480, 640, 3), 114, np.uint8)
        scale = min(640 / scene.image.shape[1], 480 / scene.image.shape[0])
        small = cv2.resize(scene.image, None, fx=scale, fy=scale)
        canvas[: small.shape[0], : small.shape[1]] = small[:480, :640]
        yield canvas[None]


def _crops(photos: Path) -> Iterator[np.ndarray]:
    crops = load_crops(photos, held_out=False)[::6]
    for start in range(0, len(crops), 8):
        yield np.stack([rectify(grey(c.image), c.corners) for c in crops[start : start + 8]])


def write_manifest(folder: Path) -> None:
    """List every ONNX file of the folder with its size and SHA-256."""
    models = []
    for path in sorted(folder.glob("*.onnx")):
        data = path.read_bytes()
        models.append(
            {
                "file": path.name,
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "card": path.stem + ".md",
            }
        )
    (folder / "manifest.json").write_text(json.dumps({"models": models}, indent=2) + "\n")


if __name__ == "__main__":
    main()
