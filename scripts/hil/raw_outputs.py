"""Raw outputs of the shipped models on given inputs; run by compare_aarch64 on both machines.

python raw_outputs.py inputs.npz outputs.npz
"""

from __future__ import annotations

import platform
import sys
import time

import numpy as np

from alpr_edge.vision.models import load_model

inputs = np.load(sys.argv[1])
outputs: dict[str, np.ndarray] = {}
for name in ("detector", "recogniser"):
    model = load_model(f"{name}.onnx")
    began = time.perf_counter()
    for number, out in enumerate(model.run(inputs[name])):
        outputs[f"{name}-{number}"] = out
    seconds = time.perf_counter() - began
    print(f"{platform.machine()} {name} {inputs[name].shape}: {seconds:.2f} s {model.digest[:12]}")
np.savez(sys.argv[2], **outputs)
