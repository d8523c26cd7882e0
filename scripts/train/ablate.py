"""What each part of the recogniser's training buys: short trainings that differ in one part.

    python scripts/train/ablate.py --photos DIR --runs runs/ablation --images 400000 [--bf16]

Each training starts from nothing, sees the same number of samples with the same seed, and is scored
on crops that no training saw: the held-out plates of `train/` (each seen from eight displaced
corners) and, to tell and never to choose by, the sets named by `--measure`. Shards that are there
are not rendered again, and a finished training is not repeated. Writes `table.md` beside them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluate import fold, wilson
from recogniser_data import Crop, grey, jitter, load_crops, rectify
from recogniser_net import RecogniserNet
from train_recogniser import decode

HERE = Path(__file__).parent
SEED, VIEWS = 77, 8


@dataclass(frozen=True)
class Variant:
    """One training: the parts that its rendered plates lack, its share of real crops, fonts."""

    name: str
    without: tuple[str, ...] = ()
    real_share: float = 0.33
    fonts: bool = True

    @property
    def shards(self) -> str:
        """The folder of its rendered plates; trainings with equal plates share one."""
        return "-".join(["plates", *self.without, *([] if self.fonts else ["own-dies"])])


VARIANTS = (
    Variant("everything"),
    Variant("without bends", ("bend",)),
    Variant("without infra-red and weather", ("infrared", "weather")),
    Variant("without blur, noise, coding, rolling shutter", ("blur", "coding", "noise", "roll")),
    Variant("own dies alone, no fonts", fonts=False),
    Variant("rendered plates alone", real_share=0.0),
    Variant("real crops alone", real_share=1.0),
)


def main() -> None:
    args = _arguments()
    held_out = _views(load_crops(args.photos, held_out=True))
    sets = {"held out": held_out}
    for name in args.measure:
        sets[name] = _measured(args.photos, name)
    rows = []
    for variant in VARIANTS:
        run = args.runs / variant.name.replace(" ", "-").replace(",", "")
        _render(variant, args)
        _train(variant, run, args)
        rows.append((variant.name, [_score(run, crops) for crops in sets.values()]))
        table = _table(list(sets), rows, args.images)
        (args.runs / "table.md").write_text(table)
        print(table, flush=True)


def _render(variant: Variant, args: argparse.Namespace) -> None:
    folder = args.runs / variant.shards
    if (folder / f"labels-{SEED}.jsonl").exists():
        return
    command = [sys.executable, "-m", "plate_renderer", "shards", "--seed", SEED]
    command += ["--count", args.plates, "--out", folder, "--without", *variant.without]
    env = dict(os.environ)
    if not variant.fonts:
        env.pop("ALPR_EDGE_FONTS", None)
    subprocess.run([str(part) for part in command], cwd=HERE, env=env, check=True)


def _train(variant: Variant, run: Path, args: argparse.Namespace) -> None:
    if _finished(run):
        return
    command = [sys.executable, "train_recogniser.py", "--photos", args.photos, "--out", run]
    command += ["--shards", args.runs / variant.shards, "--real-share", variant.real_share]
    command += ["--images", args.images, "--lr", "2e-3", "--seed", "1", "--easy-samples", "20000"]
    command += ["--bf16"] if args.bf16 else []
    subprocess.run([str(part) for part in command], cwd=HERE, check=True)


def _finished(run: Path) -> bool:
    log = run / "log.jsonl"
    return log.exists() and any(json.loads(line).get("end") for line in log.open())


def _views(crops: list[Crop]) -> list[tuple[np.ndarray, str]]:
    """Straightened crops and texts; each crop from displaced corners, as a detector errs."""
    rng = np.random.default_rng(0)
    return [
        (rectify(grey(c.image), jitter(c.corners, rng, 0.7)), c.text)
        for c in crops
        for _ in range(VIEWS)
    ]


def _measured(photos: Path, name: str) -> list[tuple[np.ndarray, str]]:
    folder = photos / "measure" / "crops"
    found = []
    for row in csv.DictReader((folder / f"{name}.csv").open()):
        if row["text"]:
            image = cv2.imread(str(folder / row["file"]))
            unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * 0.91 + 0.045
            corners = (unit * image.shape[1::-1]).astype(np.float32)
            found.append((rectify(grey(image), corners), row["text"]))
    return found


def _score(run: Path, crops: list[tuple[np.ndarray, str]]) -> tuple[int, int]:
    """Plates right, O=0 and I=1 folded, and how many there are."""
    regions = json.loads((run / "regions.json").read_text())
    net = RecogniserNet(len(regions)).eval()
    net.load_state_dict(torch.load(run / "last.pt", weights_only=True)["average"])
    right = 0
    with torch.inference_mode():
        for start in range(0, len(crops), 64):
            batch = crops[start : start + 64]
            images = torch.from_numpy(np.stack([image for image, _ in batch]))
            slots = net(images)[0].numpy()
            pairs = zip(slots, batch, strict=True)
            right += sum(fold(decode(s)) == fold(text) for s, (_, text) in pairs)
    return right, len(crops)


def _table(sets: list[str], rows: list, images: int) -> str:
    lines = [
        f"| {images:,} samples each | " + " | ".join(sets) + " |",
        "| --- |" + " --- |" * len(sets),
    ]
    for variant, scores in rows:
        cells = []
        for name, (right, total) in zip(sets, scores, strict=True):
            # Views of one plate are no independent plates.
            plates = total // VIEWS if name == "held out" else total
            low, high = wilson(right / total * plates, plates)
            cells.append(f"{right / total:.1%} ({low:.0%} to {high:.0%})")
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--runs", type=Path, required=True, help="folder of shards and trainings")
    parser.add_argument(
        "--images", type=int, default=400_000, help="samples of a training (60,000 are too few)"
    )
    parser.add_argument("--plates", type=int, default=15_000, help="rendered plates of a variant")
    parser.add_argument(
        "--measure", nargs="*", default=["us-nyc-reported", "br-traffic"], metavar="SET"
    )
    parser.add_argument("--bf16", action="store_true", help="faster where the processor has it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
