"""Milliseconds of the capture and config stages: `python bench/capture.py`.

Photo loading is measured from the file system's cache, one thread of OpenCV's decoder. Prints a
table; asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.capture.photo_header import parse_header
from alpr_edge.capture.photos import load_photo
from alpr_edge.capture.video import video_file_source


def milliseconds(call: Callable[[], object], *, times: int) -> tuple[float, float]:
    """Median and 95th percentile."""
    call()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


def import_milliseconds(module: str) -> float:
    """Best of five fresh interpreters, less the interpreter's own start."""

    def best(statement: str) -> float:
        def run() -> object:
            return subprocess.run([sys.executable, "-c", statement], check=True)

        taken = []
        for _ in range(5):
            began = time.perf_counter()
            run()
            taken.append((time.perf_counter() - began) * 1e3)
        return min(taken)

    return best(f"import {module}") - best("pass")


def picture(width: int, height: int) -> np.ndarray:
    """Grains the size of a photo's detail."""
    grains = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return cv2.resize(grains, (width, height), interpolation=cv2.INTER_CUBIC)


def main() -> None:
    """Print the table."""
    rows: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height, times in ((1280, 720, 40), (1920, 1080, 20), (8660, 5774, 3)):
            path = Path(folder, f"{width}.jpg")
            cv2.imwrite(str(path), picture(width, height))
            size = f"JPEG {width} x {height}, {path.stat().st_size / 1e6:.2f} MB"
            data = path.read_bytes()
            rows.append((f"load {size}", *milliseconds(lambda p=path: load_photo(p), times=times)))
            rows.append(
                ("  of it: header", *milliseconds(lambda d=data: parse_header(d), times=20))
            )
        video = Path(folder, "a.mp4")
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), 25, (1280, 720))
        for _ in range(60):
            writer.write(picture(1280, 720))
        writer.release()
        source = video_file_source(video)
        rows.append(("MPEG-4 1280 x 720, a frame", *milliseconds(lambda: next(source), times=50)))
        source.close()
    for module in ("alpr_edge.config.mask_store", "alpr_edge.config.store"):
        value = import_milliseconds(module)
        rows.append((f"import {module}", value, value))
    print(f"{'':48}{'median ms':>12}{'p95 ms':>10}")
    for name, median, p95 in rows:
        print(f"{name:48}{median:12.2f}{p95:10.2f}")


if __name__ == "__main__":
    main()
