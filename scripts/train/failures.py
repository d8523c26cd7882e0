"""What a recogniser still gets wrong on rendered plates: a table by region, a picture of failures.

    ALPR_EDGE_FONTS=~/fonts python scripts/train/failures.py --models models --each 40 \\
        --table docs/recogniser-by-region.md --sheet docs/images/recogniser-failures.jpg

The plates are rendered with a seed that no training used, so the picture may be shown anywhere: no
photo of a real plate is in it. The table says which designs are hard, not how well a camera reads
there: rendered plates are only as real as the renderer. *Folded* takes O as 0 and I as 1.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from evaluate import fold, wilson
from evaluate_crops import tile
from plate_renderer.designs import REGIONS
from plate_renderer.shards import render

from alpr_edge.types import Detection, PlateCrop
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, rectify


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """A rendered plate `(h, w, 3)` and what was read on it."""

    region: str
    image: np.ndarray
    text: str
    read: str
    confidence: float

    @property
    def right(self) -> bool:
        return fold(self.text) == fold(self.read)


def main() -> None:
    args = _arguments()
    cv2.setNumThreads(1)
    reader = Recogniser(load_model("recogniser.onnx", folder=args.models))
    seen = [
        one_plate(reader, region, args.seed, i)
        for region in args.regions or sorted(REGIONS)
        for i in range(args.each)
    ]
    text = table(seen, args.each, args.seed)
    if args.table:
        args.table.write_text(text)
    else:
        print(text, end="")
    if args.sheet:
        cv2.imwrite(str(args.sheet), sheet(seen, args.most))


def one_plate(reader: Recogniser, region: str, seed: int, index: int) -> Seen:
    """Render a plate, straighten it by its true corners and read it."""
    art, shot = render(seed, index, region)
    crop = PlateCrop(rectify(shot.image, shot.corners), Detection(shot.corners, 1.0), 0.0)
    (read,) = reader.read([crop])
    said, sure = (read.plate, read.confidence) if read else ("", 0.0)
    return Seen(region, shot.image, art.text, said, sure)


def table(seen: list[Seen], each: int, seed: int) -> str:
    """A Markdown table, hardest region first."""
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        groups.setdefault(one.region, []).append(one)
    right = sum(one.right for one in seen)
    lines = [
        "# Recogniser by region",
        "",
        f"{each} rendered plates of each region, seed {seed}, which no training used: "
        f"{right} of {len(seen)} right",
        f"({100 * right / len(seen):.1f} %; O as 0, I as 1). Rendered night, blur, bends and dirt "
        "are among them, some unreadable.",
        "It says which designs are hard, not how well a camera reads there: for that see",
        "[the card](../models/recogniser.md). Written by `scripts/train/failures.py`.",
        "",
        "![Rendered plates, misread with the most confidence](images/recogniser-failures.jpg)",
        "",
        "| region | right | 95 % interval | surest misread |",
        "| --- | --- | --- | --- |",
    ]
    for region in sorted(groups, key=lambda r: (sum(one.right for one in groups[r]), r)):
        plates = groups[region]
        good = sum(one.right for one in plates)
        low, high = wilson(good, len(plates))
        worst = max((o for o in plates if not o.right), key=lambda o: o.confidence, default=None)
        told = f"{worst.text} as {worst.read or 'nothing'}, {worst.confidence:.2f}" if worst else ""
        share = f"{100 * good / len(plates):.0f} %"
        lines.append(f"| {region} | {share} | {100 * low:.0f} to {100 * high:.0f} | {told} |")
    return "\n".join(lines) + "\n"


def sheet(seen: list[Seen], most: int) -> np.ndarray:
    """The surest misreads, at most two of a region, eight in a row."""
    counts: dict[str, int] = {}
    tiles = []
    for one in sorted((o for o in seen if not o.right), key=lambda o: -o.confidence):
        counts[one.region] = counts.get(one.region, 0) + 1
        if counts[one.region] <= 2 and len(tiles) < most:
            said = f"{one.region} {one.text} > {one.read} {one.confidence:.2f}"
            tiles.append(tile(one.image, said))
    if not tiles:
        return np.zeros((104, 1600, 3), np.uint8)
    while len(tiles) % 8:
        tiles.append(np.full_like(tiles[0], 30))
    return np.vstack([np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True, help="folder with manifest.json")
    parser.add_argument("--each", type=int, default=40, help="plates of each region")
    parser.add_argument("--seed", type=int, default=9001, help="not one of the trainings' seeds")
    parser.add_argument("--regions", nargs="*", choices=REGIONS, metavar="REGION")
    parser.add_argument("--table", type=Path, help="Markdown file; without it, to the terminal")
    parser.add_argument("--sheet", type=Path, help="picture of the surest misreads")
    parser.add_argument("--most", type=int, default=48, help="misreads in the picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
