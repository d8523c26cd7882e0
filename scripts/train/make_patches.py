"""Render plates in perspective, to paste into the detector's training windows.

python scripts/train/make_patches.py --count 1500 --seed 5 --out runs/patches
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from plate_renderer.art import draw_plate
from plate_renderer.photo import scene_patch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"count": np.array(args.count)}
    for i in range(args.count):
        rng = np.random.default_rng((args.seed, i))
        width_px = float(np.exp(rng.uniform(np.log(60), np.log(260))))
        arrays[f"patch{i}"], arrays[f"quad{i}"] = scene_patch(draw_plate(rng), rng, width_px)
        if i % 100 == 99:
            print(f"{i + 1} of {args.count}", flush=True)
    np.savez(args.out / f"patches-{args.seed}.npz", **arrays)


if __name__ == "__main__":
    main()
