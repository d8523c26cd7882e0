"""Keep what the teacher read and the pupil nearly reads too: pseudo-labels for the recogniser.

    python scripts/train/agree.py --teacher runs/teacher.jsonl --mined runs/mined.json \\
        --models runs/first --out runs/pseudo.jsonl

A line recogniser reads what stands in a box, be it a dealer's name or half a serial. A text is
believed where the teacher is sure of it and the half-trained recogniser, which knows plates, reads
the same but for one character at most; a text without any digit may be a word, and is not. Where
only O and 0 or I and 1 differ, a serial pattern decides if one matched, else the teacher. Held-out
scenes are passed over.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np
from detector_data import is_held_out

from alpr_edge.types import Detection, PlateCrop
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, rectify

SURE = 0.85
LENGTHS = range(4, 9)
FOLD = str.maketrans("OI", "01")


def main() -> None:
    args = _arguments()
    folder = args.photos / "train" / "scenes"
    boxes = {
        line["file"]: [plate["box"] for plate in line["plates"]]
        for index in sorted(folder.glob("*.jsonl"))
        for line in map(json.loads, index.open())
    }
    mined = json.loads(args.mined.read_text())
    reader = Recogniser(load_model("recogniser.onnx", folder=args.models))
    kept = asked = 0
    with args.out.open("w") as out:
        for row in map(json.loads, args.teacher.open()):
            if row["score"] < SURE or len(row["text"]) not in LENGTHS or is_held_out(row["file"]):
                continue
            asked += 1
            x, y, w, h = boxes[row["file"]][row["plate"]]
            upright = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
            marked = mined.get(row["file"], {}).get("corners", {})
            quad = np.array(marked.get(str(row["plate"]), upright), np.float32)
            image = cv2.imread(str(folder / row["file"]))
            crop = PlateCrop(rectify(image, quad), Detection(quad, 1.0), 0.0)
            (read,) = reader.read([crop])
            text = agreed(row["text"], read.plate, decided=not read.ambiguous) if read else None
            if text is None or text.isalpha():
                continue
            kept += 1
            region = read.region.code if read.region and read.region.confidence >= 0.8 else ""
            line = {"file": row["file"], "corners": quad.round(2).tolist(), "text": text}
            print(json.dumps({**line, "region": region}), file=out)
    print(f"{kept} of {asked} sure texts are believed")


def agreed(teacher: str, pupil: str, *, decided: bool) -> str | None:
    """The text that both nearly read; None where they differ in more than one character.

    Args:
        decided: a serial pattern tells the pupil's O from 0 and I from 1.
    """
    if len(teacher) != len(pupil):
        return None
    apart = sum(a != b for a, b in zip(teacher.translate(FOLD), pupil.translate(FOLD), strict=True))
    if apart > 1:
        return None
    if not decided:
        return teacher
    return "".join(
        b if a.translate(FOLD) == b.translate(FOLD) else a
        for a, b in zip(teacher, pupil, strict=True)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--teacher", type=Path, required=True, help="what teacher.py wrote")
    parser.add_argument("--mined", type=Path, required=True, help="what mine_corners.py wrote")
    parser.add_argument("--models", type=Path, required=True, help="folder of the exported models")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
