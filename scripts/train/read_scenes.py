"""Read labelled photos with models that are not shipped yet, as `alpr-edge read --jsonl` would.

    python scripts/train/read_scenes.py PHOTOS/us.jsonl --models runs/models > us.reads.jsonl
    python scripts/train/evaluate.py us.reads.jsonl --labels PHOTOS/us.jsonl

`--held-out` reads only the training scenes that are never trained on: the ones to choose settings
by.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import cv2
from detector_data import is_held_out

from alpr_edge.cli.read import as_json
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.sight import read_still
from alpr_edge.types import Frame
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.wiring.stills import STILL_MIN_CONFIDENCE, STILL_ON_SURE_PLATE


def main() -> None:
    args = _arguments()
    cv2.setNumThreads(1)
    detector = Detector(
        load_model(args.detector, folder=args.models),
        size_px=(args.width, args.height),
        min_score=args.min_score,
        close_look=not args.one_look,
    )
    recogniser = Recogniser(
        load_model(args.recogniser, folder=args.models), use_grammar=not args.no_grammar
    )
    spent = 0.0
    for label in map(json.loads, args.labels.open()):
        if args.held_out and not is_held_out(label["file"]):
            continue
        image = cv2.imread(str(args.labels.parent / label["file"]))
        size = image.shape[1], image.shape[0]
        began = time.process_time()
        frame = Frame(image, "", 0, datetime(2026, 1, 1, tzinfo=UTC), 0)
        zones = make_zones([], size_px=size, band_px=0, digest="")
        shown, drops = read_still(
            frame,
            zones,
            detector,
            recogniser,
            min_confidence=args.min_confidence,
            on_sure_plate=args.on_sure_plate,
        )
        spent += time.process_time() - began
        print(json.dumps(as_json(label["file"], size, shown, drops)))
    print(f"{spent:.2f} CPU seconds", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path, help="JSON lines, `file` relative to their folder")
    parser.add_argument("--models", type=Path, required=True, help="folder with manifest.json")
    parser.add_argument("--detector", default="detector.onnx")
    parser.add_argument("--recogniser", default="recogniser.onnx")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=640)
    parser.add_argument("--min-score", type=float, default=0.3)
    parser.add_argument("--min-confidence", type=float, default=STILL_MIN_CONFIDENCE)
    parser.add_argument("--on-sure-plate", type=float, default=STILL_ON_SURE_PLATE)
    parser.add_argument("--one-look", action="store_true", help="without the close look")
    parser.add_argument("--no-grammar", action="store_true")
    parser.add_argument("--held-out", action="store_true", help="held-out training scenes only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
