"""Score `alpr-edge read --jsonl` against labelled photos.

    alpr-edge read --jsonl PHOTOS/us > us.jsonl
    python scripts/train/evaluate.py us.jsonl --labels PHOTOS/us.jsonl

A plate counts as right when one of the photo's reads has exactly its text; *folded* takes O as 0
and I as 1 (labels mix them). Intervals are Wilson's, 95 %. Measures only: nothing here trains.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

FOLD = str.maketrans("OI", "01")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reads", type=Path, help="output of alpr-edge read --jsonl")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--misses", action="store_true", help="list what was not read right")
    args = parser.parse_args()
    labels = {Path(d["file"]).name: d for d in map(json.loads, args.labels.open())}
    plates = exact = folded = found = false_reads = photos = 0
    sure = sure_right = 0
    for line in map(json.loads, args.reads.open()):
        label = labels.get(Path(line["source"]).name)
        if label is None or "error" in line:
            continue
        photos += 1
        texts = {r["plate"] for r in line["reads"]}
        for plate in label["plates"]:
            if not plate.get("text"):
                continue
            plates += 1
            exact += plate["text"] in texts
            right = fold(plate["text"]) in {fold(t) for t in texts}
            folded += right
            best = max((iou(plate["box"], r["box"]) for r in line["reads"]), default=0.0)
            found += best >= 0.5
            if args.misses and not right:
                seen = [(r["plate"], r["confidence"]) for r in line["reads"]]
                print(f"{line['source']}: {plate['text']} read as {seen}, IoU {best:.2f}")
        wanted = {fold(p["text"]) for p in label["plates"] if p.get("text")}
        for read in line["reads"]:
            on_plate = any(iou(p["box"], read["box"]) > 0.2 for p in label["plates"])
            false_reads += not on_plate
            if read["confidence"] >= 0.9 and on_plate:
                sure += 1
                sure_right += fold(read["plate"]) in wanted
    low, high = wilson(folded, plates)
    print(
        f"{photos} photos, {plates} plates: exact {exact / plates:.1%}, folded "
        f"{folded / plates:.1%} ({low:.1%} to {high:.1%}), recall at IoU 0.5 "
        f"{found / plates:.1%}, false reads a photo {false_reads / photos:.3f}, "
        f"of {sure} reads at 0.9 or more {sure_right / max(sure, 1):.1%} right"
    )


def fold(text: str) -> str:
    return text.translate(FOLD)


def iou(a: list[float], b: list[float]) -> float:
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    return inter / max(a[2] * a[3] + b[2] * b[3] - inter, 1e-9)


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval. Source: Wilson 1927, JASA 22:209."""
    p = right / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return middle - half, middle + half


if __name__ == "__main__":
    main()
