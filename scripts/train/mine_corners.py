"""Let a half-trained detector mark the training scenes: corners of boxes, plates without a label.

    python scripts/train/mine_corners.py --models runs/detA-models --out runs/mined.json

Most training plates are labelled by an upright box. Where the detector, seeing the scene and its
mirror image, puts a quad that fills the box, that quad is taken as the plate's corners. Two kinds
of places teach nothing from then on: a sure find where no box is (it may be a plate that nobody
labelled), and a box that a sure find meets only in part (some are drawn much too large). Reads
`train/` only; held-out scenes are left as they are.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from detector_data import load_scenes
from train_detector import iou

from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import Detection, Frame, PlateCrop
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, rectify

MIN_IOU, DOUBTFUL_IOU = 0.6, 0.15
SURE, MAYBE = 0.45, 0.35
SMALL_PX, READABLE = 24, 0.5


def main() -> None:
    args = _arguments()
    detector = Detector(load_model("detector.onnx", folder=args.models), min_score=0.15)
    reader = Recogniser(load_model("recogniser.onnx", folder=args.models))
    found: dict[str, dict] = {}
    boxes = marked = ignored = doubtful = 0
    for scene in load_scenes(args.photos, held_out=False):
        finds = _both_ways(detector, scene.image)
        entry: dict = {"corners": {}, "doubtful": [], "ignored": []}
        for p, corners in enumerate(scene.corners):
            boxes += not scene.exact[p]
            best = max(finds, key=lambda f: iou(_hull(f[1]), _hull(corners)), default=None)
            if best is None or scene.exact[p] or best[0] < SURE:
                continue
            shared = iou(_hull(best[1]), _hull(corners))
            if shared >= MIN_IOU:
                entry["corners"][p] = _fitted(best[1], corners).round(2).tolist()
                marked += 1
            elif shared >= DOUBTFUL_IOU and np.ptp(corners[:, 0]) >= 30:
                entry["doubtful"].append(p)
                doubtful += 1
        for score, quad in finds:
            free = all(iou(_hull(quad), _hull(c)) < 0.1 for c in scene.corners)
            if score >= MAYBE and free and _may_be_plate(reader, scene.image, quad):
                entry["ignored"].append(quad.round(1).tolist())
                ignored += 1
        found[scene.name] = entry
    args.out.write_text(json.dumps(found))
    print(f"{marked} of {boxes} boxes have corners now, {doubtful} are doubtful")
    print(f"{ignored} other places teach nothing")


def _both_ways(detector: Detector, image: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Finds in the picture, each averaged with its mirror image's where there is one."""
    width = image.shape[1]
    straight, mirrored = _look(detector, image), _look(detector, image[:, ::-1])
    for i, (_, quad) in enumerate(mirrored):
        turned = quad.copy()
        turned[:, 0] = width - 1 - turned[:, 0]
        mirrored[i] = (mirrored[i][0], turned[[1, 0, 3, 2]])
    out = []
    for score, quad in straight:
        twin = max(mirrored, key=lambda m: iou(_hull(m[1]), _hull(quad)), default=None)
        if twin is not None and iou(_hull(twin[1]), _hull(quad)) > 0.6:
            out.append(((score + twin[0]) / 2, (quad + twin[1]) / 2))
        else:
            out.append((score * 0.6, quad))
    return out


def _look(detector: Detector, image: np.ndarray) -> list[tuple[float, np.ndarray]]:
    image = np.ascontiguousarray(image)
    zones = make_zones([], size_px=(image.shape[1], image.shape[0]), band_px=0, digest="")
    frame = Frame(image.copy(), "train", 0, datetime(2026, 1, 1, tzinfo=UTC), 0)
    return [(d.score, d.quad) for d in detector.detect(Masker(zones).apply(frame))]


def _may_be_plate(reader: Recogniser, image: np.ndarray, quad: np.ndarray) -> bool:
    """Small and plate-like, or read with some confidence; all else goes on teaching "no plate"."""
    if np.ptp(quad[:, 0]) < SMALL_PX:
        return True
    crop = PlateCrop(rectify(image, quad.astype(np.float32)), Detection(quad, 1.0), 0.0)
    read = reader.read([crop])[0]
    return read is not None and read.confidence >= READABLE and len(read.plate) >= 4


def _fitted(quad: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The quad, stretched so that its hull comes half-way to the labelled box."""
    low, span = quad.min(0), np.ptp(quad, axis=0)
    goal_low = (low + box.min(0)) / 2
    goal_span = (span + np.ptp(box, axis=0)) / 2
    return (quad - low) / span * goal_span + goal_low


def _hull(quad: np.ndarray) -> np.ndarray:
    return np.concatenate([quad.min(0), quad.max(0)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--models", type=Path, required=True, help="folder of the exported models")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
