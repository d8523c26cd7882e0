"""Let PP-OCR read the training plates that nobody has read: pseudo-labels for the recogniser.

    .venv-bench/bin/python scripts/train/teacher.py --photos DIR --out runs/teacher.jsonl

Runs in the environment of the bench, which has RapidOCR with PP-OCR's models (Apache-2.0: what they
say may be learnt from; their weights go nowhere). Every plate of `train/scenes` that is wide enough
and has no text is cut out and read as one line, as it is and enlarged, straight and with more
contrast; the surest reading is kept with its confidence. `recogniser_data.load_pseudo` decides
which to believe.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rapidocr
from tqdm import tqdm

LEAST_WIDTH_PX = 34
MARGIN = 0.08


def main() -> None:
    args = _arguments()
    engine = rapidocr.RapidOCR(params={"Global.log_level": "error"})
    folder = args.photos / "train" / "scenes"
    plates = [
        (line["file"], number, plate["box"])
        for index in sorted(folder.glob("*.jsonl"))
        for line in map(json.loads, index.open())
        for number, plate in enumerate(line["plates"])
        if plate["text"] is None and plate["box"][2] >= LEAST_WIDTH_PX
    ]
    read = 0
    with args.out.open("w") as out:
        for file, number, box in tqdm(plates, unit="plate", file=sys.stderr):
            crop = cut(cv2.imread(str(folder / file)), box)
            text, score = max((_read(engine, view) for view in views(crop)), key=lambda r: r[1])
            read += bool(text)
            row = {"file": file, "plate": number, "text": text, "score": round(score, 4)}
            print(json.dumps(row), file=out)
    print(f"{read} of {len(plates)} plates were read")


def cut(image: np.ndarray, box: list[float]) -> np.ndarray:
    """The box with a margin on each side."""
    x, y, w, h = box
    x0, y0 = max(0, int(x - MARGIN * w)), max(0, int(y - MARGIN * h))
    return image[y0 : int(y + h * (1 + MARGIN)) + 1, x0 : int(x + w * (1 + MARGIN)) + 1]


def views(crop: np.ndarray) -> list[np.ndarray]:
    """The crop, enlarged to a line's height, and with its contrast stretched."""
    scale = 48 / crop.shape[0]
    large = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    low, high = np.percentile(large, (2, 98))
    clear = np.clip((large.astype(np.float32) - low) * 255 / max(high - low, 1), 0, 255)
    return [crop, large, clear.astype(np.uint8)]


def _read(engine: Any, image: np.ndarray) -> tuple[str, float]:
    found = engine(image, use_det=False, use_cls=False, use_rec=True)
    if not found.txts:
        return "", 0.0
    text = "".join(c for c in found.txts[0].upper() if c.isascii() and c.isalnum())
    return text, float(found.scores[0])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
