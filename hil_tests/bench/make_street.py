"""Renders a scenario's street: run by the Python that has alpr-edge, not by the bench's own.

    python hil_tests/bench/make_street.py --seed 7 --seconds 10 --fps 8 --out FOLDER

Writes `street.avi` (the camera's picture), `moved.avi` (two seconds of it after somebody turned
the camera by a twentieth of the picture's width), `truth.json` (which plates may be read and which
never) and `masks.json` (what protects the premises).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.simulator.video_file import write_video


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--vehicles", type=int)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    street = Street(
        StreetConfig(seed=args.seed, fps=args.fps, duration_s=args.seconds, vehicles=args.vehicles)
    )
    args.out.mkdir(parents=True, exist_ok=True)
    write_video(street, args.out / "street.avi")
    _write_moved(args.out / "street.avi", args.out / "moved.avi", args.fps)
    summary = street.summary()
    truth = {
        "frame_px": [street.config.width_px, street.config.height_px],
        "frames": street.config.frame_count,
        "open": sorted(one.plate for one in summary if not one.protected),
        "readable": sorted(one.plate for one in summary if not one.protected and one.readable),
        "protected": sorted(one.plate for one in summary if one.protected),
    }
    (args.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    masks = {
        "masks": [
            {"name": f"premises-{number}", "polygon": [list(point) for point in polygon]}
            for number, polygon in enumerate(street.mask_polygons(), 1)
        ]
    }
    (args.out / "masks.json").write_text(json.dumps(masks, indent=1) + "\n")


def _write_moved(source: Path, out: Path, fps: float) -> None:
    reader = cv2.VideoCapture(str(source))
    size = tuple(int(reader.get(k)) for k in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    try:
        for _ in range(int(2 * fps)):
            is_there, image = reader.read()
            if not is_there:
                break
            writer.write(np.roll(image, size[0] // 20, axis=1))
    finally:
        writer.release()
        reader.release()


if __name__ == "__main__":
    main()
