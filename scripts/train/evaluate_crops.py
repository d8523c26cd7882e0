"""Score a recogniser on labelled crops: intervals, per-region table, calibration, error sheet.

    python scripts/train/evaluate_crops.py --models models --crops PHOTOS/measure/crops \
        us-openalpr us-nyc-reported br-traffic caltech1999 --sheet errors.png

A crop is taken as the plate with `--margin` round it, as the label files describe. *Folded* takes O
as 0 and I as 1: labels mix them. Measures only: nothing here trains.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from evaluate import fold, wilson

from alpr_edge.types import Detection, PlateCrop
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, rectify


def main() -> None:
    args = _arguments()
    reader = Recogniser(load_model("recogniser.onnx", folder=args.models))
    tiles: list[np.ndarray] = []
    for name in args.sets:
        rows = [r for r in csv.DictReader((args.crops / f"{name}.csv").open()) if r["text"]]
        rows = rows[:: args.every]
        results = []
        for row in rows:
            image = cv2.imread(str(args.crops / row["file"]))
            read = reader.read([PlateCrop(straighten(image, args.margin), _ANY, 0.0)])[0]
            text, sure = (read.plate, read.confidence) if read else ("", 0.0)
            results.append((row, text, sure, fold(text) == fold(row["text"])))
            if fold(text) != fold(row["text"]) and len(tiles) < args.most:
                tiles.append(tile(image, f"{row['text']} > {text} {sure:.2f}"))
        print(json.dumps({"set": name, **summary(results)}))
        if args.regions:
            for region, line in by_region(results).items():
                print(json.dumps({"set": name, "region": region, **line}))
    if args.sheet and tiles:
        while len(tiles) % 8:
            tiles.append(np.zeros_like(tiles[0]))
        grid = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
        cv2.imwrite(str(args.sheet), np.vstack(grid))


_ANY = Detection(np.zeros((4, 2), np.float32), 1.0)


def straighten(image: np.ndarray, margin: float) -> np.ndarray:
    """A crop `(H, W, 3)` with `margin` round the plate → `(64, 160)` grey for the recogniser."""
    h, w = image.shape[:2]
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * (1 - 2 * margin) + margin
    return rectify(image, (unit * (w, h)).astype(np.float32))


def summary(results: list) -> dict[str, float]:
    """Exact and folded accuracy, interval, precision at 0.9, expected calibration error."""
    total = len(results)
    right = sum(ok for *_, ok in results)
    low, high = wilson(right, total)
    sure = [ok for _, _, s, ok in results if s >= 0.9]
    exact = sum(text == row["text"] for row, text, _, _ in results)
    return {
        "plates": total,
        "exact": round(100 * exact / total, 1),
        "folded": round(100 * right / total, 1),
        "low": round(100 * low, 1),
        "high": round(100 * high, 1),
        "right_at_0.9": round(100 * sum(sure) / max(len(sure), 1), 1),
        "share_at_0.9": round(100 * len(sure) / total, 1),
        "ece": round(100 * calibration_error([(s, ok) for _, _, s, ok in results]), 1),
    }


def calibration_error(pairs: list[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error. Source: Guo et al. 2017, section 2."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for sure, ok in pairs:
        cell = sums[min(int(sure * bins), bins - 1)]
        cell[0] += 1
        cell[1] += sure
        cell[2] += ok
    return sum(abs(c[1] - c[2]) for c in sums.values()) / max(len(pairs), 1)


def by_region(results: list) -> dict[str, dict[str, float]]:
    """The same by the label's region, largest first."""
    groups: dict[str, list] = defaultdict(list)
    for result in results:
        groups[result[0].get("region") or result[0].get("state") or "?"].append(result)
    order = sorted(groups, key=lambda k: -len(groups[k]))
    return {k: {x: summary(groups[k])[x] for x in ("plates", "folded", "low")} for k in order}


def tile(image: np.ndarray, caption: str) -> np.ndarray:
    """A picture of at most 196×80 with its caption below, `(104, 200, 3)`."""
    h, w = image.shape[:2]
    scale = min(196 / w, 80 / h)
    small = cv2.resize(image, None, fx=scale, fy=scale)
    out = np.full((104, 200, 3), 30, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    cv2.putText(out, caption, (2, 98), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return out


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", help="names of label files in --crops, without .csv")
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True, help="folder with manifest.json")
    parser.add_argument("--margin", type=float, default=0.045)
    parser.add_argument("--every", type=int, default=1, help="only every n-th crop")
    parser.add_argument("--regions", action="store_true", help="a line for each region too")
    parser.add_argument("--sheet", type=Path, help="write a picture of the wrong ones")
    parser.add_argument("--most", type=int, default=96, help="wrong ones in the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
