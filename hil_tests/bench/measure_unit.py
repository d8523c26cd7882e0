"""How fast a unit is: run on the unit, by its own Python, beside the files of `bench/`.

    python measure_unit.py --video street.avi --seconds 1 --threads 2

Prints JSON: milliseconds of each stage on a frame of the video, frames a second that the whole step
makes of it, seconds of a start (`--version`), peak memory, and what the machine is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import measure, stages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--video", required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frame", type=int, default=40, help="which of the video")
    args = parser.parse_args()
    reader = cv2.VideoCapture(args.video)
    for _ in range(args.frame + 1):
        is_there, image = reader.read()
        if is_there:
            picture = np.ascontiguousarray(image, np.uint8)
    reader.release()
    timings = list(stages.measure(picture, threads=args.threads, seconds=args.seconds))
    command = [sys.executable, "-m", "alpr_edge", "--version"]
    start = measure.process("alpr-edge --version", command, runs=1)
    whole = timings[-1]
    print(
        json.dumps(
            {
                "stages_ms": {one.name: [one.p50_ms, one.p95_ms] for one in timings},
                "frames_per_s": round(1000 / whole.p50_ms, 2),
                "start_s": start.seconds,
                "peak_mib": measure.own_peak_mib(),
                "machine": measure.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
