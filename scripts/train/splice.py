"""New plates out of real ones: single characters change places between real crops.

    python scripts/train/splice.py --start runs/reader/last.pt --out runs/spliced --sheet sheet.png

There are few real plates and a network soon knows them by heart: a plate's picture then tells its
text. Here every real glyph, with its light, blur and dirt, may stand at a place of another real
plate. A trained recogniser's CTC head says where each character of a known text is (forced
alignment: Viterbi over its columns), the gap between two is the column with the least ink. Nothing
but `train/` crops is cut up, and no held-out plate among them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from characters import Cell, align, cells_of, put
from recogniser_data import Crop, encode, grey, load_crops, rectify
from recogniser_net import ALPHABET, PAD, WIDTH_PX, RecogniserNet
from torch import Tensor
from tqdm import tqdm

FLAT_PX = (200, 80)
"""Width and height of a straightened plate in which characters are exchanged."""

STRETCH = 1.35
"""A character is not made wider or narrower than by this factor."""

SURE = 0.35
"""Least mean probability of the known text for the alignment to be believed."""


def find_cut(net: RecogniserNet, crop: Crop) -> list[Cell] | None:
    """Cut columns before, between and after the characters; None where they are not sure."""
    flat = rectify(grey(crop.image), crop.corners)
    with torch.inference_mode():
        ctc = _ctc(net, torch.from_numpy(flat)[None])[0].log_softmax(-1).numpy()
    found = align(ctc, [ALPHABET.index(c) for c in crop.text], PAD)
    if found is None or found[1] < SURE:
        return None
    centres = (found[0] + 0.5) * WIDTH_PX / len(ctc)
    return cells_of(flat, centres)


def _ctc(net: RecogniserNet, crops: Tensor) -> Tensor:
    x = crops.unsqueeze(1).float()
    x = x - x.mean((2, 3), keepdim=True)
    x = x / ((x * x).mean((2, 3), keepdim=True).sqrt() + 4.0)
    return net.ctc(net.backbone(x).mean(2).transpose(1, 2))


@dataclass(slots=True, eq=False)
class _Glyph:
    """One real character: its straightened picture `(h, w)` grey, dark on light or not."""

    picture: np.ndarray
    letter: str
    family: str
    dark: bool


class Splicer:
    """Exchanges characters of real crops.

    Args:
        crops: those of `train/` that are not held out.
        cuts: per index of a crop where its characters are.
    """

    def __init__(self, crops: list[Crop], cuts: dict[int, list[Cell]]) -> None:
        self.plates: dict[int, tuple[np.ndarray, list[Cell], bool]] = {}
        self.glyphs: dict[tuple[str, bool, bool], list[_Glyph]] = {}
        for k, cut in cuts.items():
            crop = crops[k]
            flat = _flatten(crop)
            dark = _is_dark(flat, cut)
            self.plates[k] = (flat, cut, dark)
            for i, letter in enumerate(crop.text):
                x0, x1, y0, y1 = _place(cut, i)
                picture = flat[y0:y1, x0:x1]
                glyph = _Glyph(picture, letter, family(crop.region), dark)
                for kind in {glyph.family, "any"}:
                    self.glyphs.setdefault((kind, dark, letter.isdigit()), []).append(glyph)
        self.crops = crops
        self.order = np.array(sorted(self.plates))
        weights = np.array([crops[k].weight for k in self.order])
        self.weights = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> Crop:
        """A new plate `(80, 200)` grey out of a random real one."""
        k = min(int(np.searchsorted(self.weights, rng.random())), len(self.order) - 1)
        return self.splice(int(self.order[k]), self.crops[self.order[k]], rng)

    def splice(self, index: int, crop: Crop, rng: np.random.Generator) -> Crop:
        """The crop with about half of its characters taken from other plates."""
        flat, cut, dark = self.plates[index]
        image, text = flat.copy(), list(crop.text)
        share = rng.uniform(0.2, 1.0)
        for i in range(len(text)):
            if rng.random() > share:
                continue
            # Mostly a digit for a digit: serials keep their pattern.
            digit = text[i].isdigit() != (rng.random() < 0.15)
            kind = family(crop.region) if rng.random() < 0.75 else "any"
            pool = self.glyphs.get((kind, dark, digit)) or self.glyphs[("any", dark, digit)]
            x0, x1, y0, y1 = _place(cut, i)
            for _ in range(4):
                glyph = pool[int(rng.integers(len(pool)))]
                h, w = glyph.picture.shape[:2]
                stretch = (x1 - x0) / w / ((y1 - y0) / h)
                if 1 / STRETCH < stretch < STRETCH:
                    put(image, glyph.picture, (x0, x1, y0, y1))
                    text[i] = glyph.letter
                    break
        corners = _canonical()
        return Crop(image, corners, "".join(text), crop.region, exact=crop.exact)


def family(region: str) -> str:
    """Plates of one family have like characters: `us`, Europe, or the country."""
    head = region.split("-")[0]
    return "eu" if head in EUROPE else head


EUROPE = frozenset(
    [
        "at",
        "be",
        "bg",
        "ch",
        "cz",
        "de",
        "dk",
        "ee",
        "es",
        "eu",
        "fi",
        "fr",
        "hr",
        "hu",
        "it",
        "lt",
        "lv",
        "nl",
        "no",
        "pl",
        "pt",
        "se",
        "si",
        "sk",
    ]
)


def _canonical() -> np.ndarray:
    w, h = FLAT_PX
    box = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    return ((0.08 + 0.84 * box) * (w, h)).astype(np.float32)


def _flatten(crop: Crop) -> np.ndarray:
    matrix = cv2.getPerspectiveTransform(crop.corners.astype(np.float32), _canonical())
    image = grey(crop.image)
    return cv2.warpPerspective(image, matrix, FLAT_PX, borderMode=cv2.BORDER_REPLICATE)


def _place(cut: list[Cell], i: int) -> tuple[int, int, int, int]:
    w, h = FLAT_PX
    x0, x1, y0, y1 = cut[i]
    return (
        max(0, round(x0 * w)),
        min(w, round(x1 * w)),
        max(0, round(y0 * h) - 2),
        min(h, round(y1 * h) + 3),
    )


def _is_dark(flat: np.ndarray, cut: list[Cell]) -> bool:
    """Whether the characters are darker than the ground, which stands at the cells' sides."""
    sides, inner = [], []
    for i in range(len(cut)):
        x0, x1, y0, y1 = _place(cut, i)
        sides += [flat[y0:y1, x0].mean(), flat[y0:y1, x1 - 1].mean()]
        inner.append(flat[y0:y1, x0:x1].mean())
    return bool(np.mean(sides) > np.mean(inner))


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    saved = torch.load(args.start, weights_only=True)["average"]
    net = RecogniserNet(len(saved["regions.bias"])).eval()
    net.load_state_dict(saved)
    crops = load_crops(args.photos, held_out=False)
    cuts = {k: find_cut(net, crop) for k, crop in enumerate(crops) if crop.rows == 1}
    splicer = Splicer(crops, {k: cut for k, cut in cuts.items() if cut is not None})
    print(f"{len(splicer.plates)} of {len(crops)} crops can be cut")
    rng = np.random.default_rng(args.seed)
    made, tried = [], 0
    with tqdm(total=args.count, unit="plate", file=sys.stderr) as bar:
        while len(made) < args.count:
            plates = [splicer.draw(rng) for _ in range(64)]
            tried += len(plates)
            kept = _legible(net, plates)
            made += kept
            bar.update(len(kept))
    made = made[: args.count]
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / f"grey-{args.seed}.npy", np.stack([p.image for p in made]))
    np.save(args.out / f"corners-{args.seed}.npy", np.stack([p.corners for p in made]))
    with (args.out / f"labels-{args.seed}.jsonl").open("w") as out:
        for plate in made:
            print(json.dumps({"text": plate.text, "region": plate.region, "rows": 1}), file=out)
    print(f"{len(made)} plates of {tried} tries; the others were not legible")
    if args.sheet:
        _sheet(args.sheet, made)


def _legible(net: RecogniserNet, plates: list[Crop]) -> list[Crop]:
    """Those that the reader reads but for one character: a bad cut leaves half a letter."""
    images = torch.from_numpy(np.stack([rectify(p.image, p.corners) for p in plates]))
    with torch.inference_mode():
        slots = net(images)[0].argmax(-1).numpy()
    wrong = [int((s != encode(p.text)).sum()) for s, p in zip(slots, plates, strict=True)]
    return [plate for plate, n in zip(plates, wrong, strict=True) if n <= 1]


def _sheet(path: Path, plates: list[Crop]) -> None:
    """A picture of the first plates, to look at."""
    cells = []
    for plate in plates[:80]:
        cell = np.vstack([plate.image, np.full((20, FLAT_PX[0]), 255, np.uint8)])
        place = (8, FLAT_PX[1] + 15)
        cv2.putText(cell, plate.text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
        cells.append(cell)
    rows = [np.hstack(cells[i : i + 8]) for i in range(0, len(cells) - 7, 8)]
    cv2.imwrite(str(path), np.vstack(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--start", type=Path, required=True, help="checkpoint of a recogniser")
    parser.add_argument("--out", type=Path, required=True, help="folder of shards")
    parser.add_argument("--count", type=int, default=60_000, help="number of plates")
    parser.add_argument("--seed", type=int, default=400)
    parser.add_argument("--sheet", type=Path, help="picture of some of them, to look at")
    return parser.parse_args()


if __name__ == "__main__":
    main()
