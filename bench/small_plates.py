"""What second looks find and cost: `python -m bench.small_plates [--seeds 11] [--looks 0 1 2]`

The simulated street at 1920 × 1080, detector at 640 × 384. For each width of plate: how many of
those that face the camera were found (overlap over 0.3), and read right (O=0, I=1). Below, CPU
milliseconds of the detector a frame.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import cv2

from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Frame
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, crop_plate
from alpr_edge.vision.second_look import SecondLook
from bench.labels import folded
from bench.passes import overlap

SIZE = (1920, 1080)
WINDOW = (640, 384)
WIDTHS = (16, 24, 32, 48, 64, 96, 400)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.small_plates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[11])
    parser.add_argument("--looks", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fps", type=float, default=6.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    plain = Detector(load_model("detector.onnx"), size_px=WINDOW, min_score=0.4)
    recogniser = Recogniser(load_model("recogniser.onnx"))
    zones = make_zones([], size_px=SIZE, band_px=0, digest="")
    there: Counter[int] = Counter()
    found: Counter[tuple[int, int]] = Counter()
    right: Counter[tuple[int, int]] = Counter()
    spent_ms: Counter[int] = Counter()
    frames = 0
    for seed in args.seeds:
        config = StreetConfig(
            seed=seed, width_px=SIZE[0], height_px=SIZE[1], fps=args.fps, duration_s=args.seconds
        )
        eyes = {n: SecondLook(plain, looks=n, window_px=WINDOW) for n in args.looks}
        for shot in Street(config).frames():
            frames += 1
            at = datetime(2026, 1, 1, tzinfo=UTC)
            masked = Masker(zones).apply(Frame(shot.image, "street", shot.number, at, 0))
            plates = [
                (t.plate, t.corners, next((w for w in WIDTHS if t.width_px < w), WIDTHS[-1]))
                for t in shot.truth
                if t.corners is not None and t.visible_fraction > 0.9 and t.facing_deg < 60
            ]
            there.update(width for _, _, width in plates)
            for looks, eye in eyes.items():
                began = time.process_time()
                detections = eye.detect(masked)
                spent_ms[looks] += 1e3 * (time.process_time() - began)
                for text, corners, width in plates:
                    best = max(detections, key=lambda d: overlap(d.quad, corners), default=None)
                    if best is not None and overlap(best.quad, corners) > 0.3:
                        found[looks, width] += 1
                        (read,) = recogniser.read([crop_plate(masked, best)])
                        right[looks, width] += read is not None and folded(read.plate) == folded(
                            text
                        )
    print("| plate, px | there |" + "".join(f" found, {n} | right, {n} |" for n in args.looks))
    print("| --- | --- |" + " --- | --- |" * len(args.looks))
    for width in WIDTHS:
        if there[width]:
            cells = "".join(f" {found[n, width]} | {right[n, width]} |" for n in args.looks)
            print(f"| < {width} | {there[width]} |{cells}")
    for looks in args.looks:
        print(f"{looks} second looks: {spent_ms[looks] / frames:.1f} ms of CPU a frame")
    return 0


if __name__ == "__main__":
    sys.exit(main())
