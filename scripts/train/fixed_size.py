"""Write the detector for one input size, as compilers for accelerators want it.

    python scripts/train/fixed_size.py --size 960x544 --size 416x256 --out out/models

The shipped model takes any size that is a multiple of 32, and the processor runs it so: it needs
none of these files. TensorRT and the compilers for NPUs want the size in the graph. The weights are
the same; each file is run once on noise, and must give what the shipped model gives.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx.tools.update_model_dims import update_inputs_outputs_dims

MODEL = Path(__file__).parents[2] / "models" / "detector.onnx"
STRIDE_PX, GRID_PX = 8, 32
TOLERANCE = 1e-4
"""Raw outputs; another order of sums may round differently."""


def main() -> None:
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    for size in args.size or [(640, 384), (960, 544), (416, 256)]:
        path = args.out / f"detector-{size[0]}x{size[1]}.onnx"
        path.write_bytes(fixed(args.model, size).SerializeToString())
        apart = difference(args.model, path, size)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs by {apart:.1e} at most")
        if not apart <= TOLERANCE:
            sys.exit(f"{path.name} does not give what {args.model.name} gives")


def fixed(model: Path, size: tuple[int, int]) -> onnx.ModelProto:
    """The model with `size` (width, height) and one frame in its input and output."""
    width, height = size
    graph = onnx.load(model)
    cells = [1, 9, height // STRIDE_PX, width // STRIDE_PX]
    (given,), (result,) = graph.graph.input, graph.graph.output
    done = update_inputs_outputs_dims(
        graph, {given.name: [1, height, width, 3]}, {result.name: cells}
    )
    onnx.checker.check_model(done)
    return done


def difference(model: Path, other: Path, size: tuple[int, int]) -> float:
    """Largest difference of the raw outputs on one frame of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (1, size[1], size[0], 3), np.uint8)
    first, second = (
        ort.InferenceSession(p, providers=["CPUExecutionProvider"]).run(None, {"frames": noise})[0]
        for p in (model, other)
    )
    return float(np.abs(first - second).max())


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not min(size) or size[0] % GRID_PX or size[1] % GRID_PX:
        raise argparse.ArgumentTypeError(f"WIDTHxHEIGHT in multiples of {GRID_PX}, not {text!r}")
    return size


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="the shipped detector")
    parser.add_argument(
        "--size", type=_size, action="append", help="WIDTHxHEIGHT; may be given again"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
