"""One engine over a list of photos, in a process of its own: `python bench/engine.py NAME THREADS`.

Photo paths come on standard input, one a line. For each, one JSON object a line goes out: the time
from file to result, and every text with its centre and confidence. The last line sums up. It
imports nothing of the bench, so that it runs in the peer's own environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Texts = list[tuple[str, float, float, float]]
"""Text, confidence, x and y of its centre."""


def alpr_edge(threads: int) -> tuple[Callable[[str], Texts], int]:
    """This program, as `alpr-edge read` runs it."""
    return _alpr_edge(threads, "accurate")


def alpr_edge_fast(threads: int) -> tuple[Callable[[str], Texts], int]:
    """This program, as `alpr-edge read --tier fast` runs it."""
    return _alpr_edge(threads, "fast")


def _alpr_edge(threads: int, tier: Any) -> tuple[Callable[[str], Texts], int]:
    import cv2

    from alpr_edge.capture.photos import load_photo
    from alpr_edge.vision.models import models_folder
    from alpr_edge.wiring.stills import make_still_reader

    cv2.setNumThreads(threads)
    reader = make_still_reader(threads=threads, tier=tier)

    def read(path: str) -> Texts:
        shown, _ = reader.read(load_photo(Path(path)))
        return [
            (s.read.plate, s.read.confidence, *map(float, s.detection.quad.mean(0)))
            for s in shown
            if s.read
        ]

    size = sum(p.stat().st_size for p in models_folder().glob("*.onnx"))
    return read, size


def rapidocr(threads: int) -> tuple[Callable[[str], Texts], int]:
    """RapidOCR with the models that its package ships, on the whole photo."""
    import cv2
    import rapidocr

    cv2.setNumThreads(threads)
    engine = rapidocr.RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "error",
        }
    )

    def read(path: str) -> Texts:
        found: Any = engine(path)
        if found.boxes is None:
            return []
        lines = zip(found.boxes, found.txts, found.scores, strict=True)
        return [(t, float(s), *map(float, b.mean(0))) for b, t, s in lines]

    size = sum(p.stat().st_size for p in Path(rapidocr.__file__).parent.rglob("*.onnx"))
    return read, size


ENGINES = {"alpr-edge": alpr_edge, "alpr-edge-fast": alpr_edge_fast, "rapidocr": rapidocr}


def main() -> None:
    """Read the list, run, print."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    name, threads = sys.argv[1], int(sys.argv[2])
    paths = [line for line in sys.stdin.read().splitlines() if line]
    began = time.perf_counter()
    read, size = ENGINES[name](threads)
    first_s = None
    for path in paths:
        start, start_cpu = time.perf_counter(), time.process_time()
        texts = read(path)
        now = time.perf_counter()
        first_s = first_s or now - began
        line = {
            "file": path,
            "ms": 1e3 * (now - start),
            "cpu_ms": 1e3 * (time.process_time() - start_cpu),
            "texts": texts,
        }
        print(json.dumps(line), flush=True)
    last = {"first_s": first_s, "peak_mib": peak_mib(), "model_bytes": size}
    print(json.dumps(last), flush=True)


def peak_mib() -> float:
    """Highest resident memory since this program started (`ru_maxrss` counts the starter's too)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
