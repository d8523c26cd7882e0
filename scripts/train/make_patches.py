"""Render plates, or signs that are no plates, to paste into the detector's training windows.

    python scripts/train/make_patches.py --count 1500 --seed 5 --out runs/patches
    python scripts/train/make_patches.py --kind signs --count 600 --seed 6 --out runs/signs

Signs are what a detector mistakes for plates: shop fronts, telephone numbers, badges, road names,
stickers; two words or more, or more characters than a plate has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from plate_renderer.art import draw_plate
from plate_renderer.canvas import Canvas, caption_font, one_of
from plate_renderer.photo import perspective_patch, scene_patch

WORDS = (
    "MAIN ST", "HONDA", "FOR SALE", "PHARMACY", "OPEN 24 H", "PIZZA & PASTA", "PARKING",
    "NO PARKING", "EXIT 21", "CAR WASH", "www.autohaus.example", "WE DELIVER", "SPEED LIMIT 35",
    "ONE WAY", "TAXI RANK", "POLICE DEPT", "4x4 TURBO", "DIESEL", "HYBRID", "SCHOOL BUS",
    "CAUTION WIDE LOAD", "HOW IS MY DRIVING", "BAKERY", "CAFE CENTRAL", "HOTEL", "SALIDA",
    "RUA SETE", "AUSFAHRT FREIHALTEN", "KEEP CLEAR", "FIRE LANE", "BUS STOP", "LANE ENDS",
    "TOW AWAY ZONE", "MUSEUM", "GARAGE", "ROUTE 66",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=["plates", "signs"], default="plates")
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"count": np.array(args.count)}
    for i in range(args.count):
        rng = np.random.default_rng((args.seed, i))
        width_px = float(np.exp(rng.uniform(np.log(60), np.log(260))))
        if args.kind == "plates":
            patch, quad = scene_patch(draw_plate(rng), rng, width_px)
        else:
            patch, quad = perspective_patch(draw_sign(rng), rng, width_px)
        arrays[f"patch{i}"], arrays[f"quad{i}"] = patch, quad
        if i % 100 == 99:
            print(f"{i + 1} of {args.count}", flush=True)
    np.savez(args.out / f"{args.kind}-{args.seed}.npz", **arrays)


def draw_sign(rng: np.random.Generator) -> np.ndarray:
    """A sign seen straight on, `(H, W, 3)` uint8 BGR."""
    height = int(rng.integers(60, 150))
    width = int(height * np.exp(rng.uniform(np.log(0.8), np.log(7))))
    base, ink = rng.choice(["wk", "wr", "wb", "gw", "bw", "yk", "kw", "rw", "kg", "wg"])
    canvas = Canvas(height, width, one_of(str(base), rng))
    if rng.random() < 0.5:
        inset = height * rng.uniform(0.02, 0.08)
        canvas.rectangle((inset, inset, width - inset, height - inset), one_of(str(ink), rng), 2)
    lines = 1 if width > 4 * height else int(rng.integers(1, 4))
    left = 0.05 * width + (height if rng.random() < 0.25 else 0)
    if left > height:
        canvas.disc((height * 0.5, height * 0.5), height * 0.33, one_of(str(ink) + "ryb", rng))
    for line in range(lines):
        top = height * (0.12 + 0.78 * line / lines)
        box = (left, top, 0.95 * width, top + height * 0.66 / lines)
        canvas.caption(_phrase(rng, lines), box, one_of(str(ink), rng), caption_font(rng))
    return np.asarray(canvas.image)


def _phrase(rng: np.random.Generator, lines: int) -> str:
    if rng.random() < 0.25:
        return "".join(str(d) for d in rng.integers(0, 10, int(rng.integers(9, 13))))
    words = [str(rng.choice(WORDS)) for _ in range(1 if lines > 1 else 2)]
    return " ".join(words)


if __name__ == "__main__":
    main()
