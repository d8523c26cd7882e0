"""Average the weights of two rounds of one training: a little better than either, at no cost.

    python scripts/train/soup.py runs/reader-1 runs/reader-2 --out runs/reader

The second round must have begun from the first. Batch normalisation's statistics are averaged with
the rest. `calibrate.py` on the result says whether it was worth it (`right`, on held-out plates).
Source: Wortsman et al. 2022, "Model soups".
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs=2, type=Path, help="folders with last.pt, first round first")
    parser.add_argument("--share", type=float, default=0.5, help="of the second round")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    first, second = (torch.load(run / "last.pt", weights_only=True) for run in args.runs)
    second["average"] = {
        name: torch.lerp(first["average"][name], weight, args.share)
        if weight.is_floating_point()
        else weight
        for name, weight in second["average"].items()
    }
    second["state"]["images"] += first["state"]["images"]
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(second, args.out / "last.pt")
    shutil.copy(args.runs[1] / "regions.json", args.out)


if __name__ == "__main__":
    main()
