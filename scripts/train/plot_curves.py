"""Draw a training run's curves: losses, share right, held-out scores, over the samples seen.

python scripts/train/plot_curves.py runs/reader runs/detector --out curves.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

LOSSES = ("heat", "corner", "box", "slots", "ctc", "region")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders with log.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG")
    args = parser.parse_args()
    figure, axes = pyplot.subplots(
        len(args.runs), 2, figsize=(11, 3.6 * len(args.runs)), squeeze=False
    )
    for run, (left, right) in zip(args.runs, axes, strict=True):
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        draw_losses(left, run.name, lines)
        draw_held_out(right, run.name, lines)
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


def draw_losses(axis: pyplot.Axes, name: str, lines: list[dict]) -> None:
    """Training losses, smoothed over nothing: each point is a mean of fifty or a hundred steps."""
    for key in LOSSES:
        points = [(entry["images"], entry[key]) for entry in lines if key in entry]
        if points:
            axis.plot(*zip(*points, strict=True), label=key, linewidth=1)
    axis.set(title=f"{name}: losses", xlabel="samples", ylabel="loss", yscale="log")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


def draw_held_out(axis: pyplot.Axes, name: str, lines: list[dict]) -> None:
    """Held-out scores: shares of the training photos that were never trained on."""
    series: dict[str, list[tuple[int, float]]] = {}
    images = 0
    for entry in lines:
        images = entry.get("images", images)
        for key, value in entry.get("held_out", {}).items():
            share = value[-1] if isinstance(value, list) else value
            if 0 <= share <= 1:
                series.setdefault(key, []).append((images, share))
        if "exact" in entry:
            series.setdefault("training, exact", []).append((images, entry["exact"]))
    for key, points in series.items():
        axis.plot(*zip(*points, strict=True), label=key, linewidth=1, marker=".", markersize=3)
    axis.set(title=f"{name}: held out", xlabel="samples", ylim=(0, 1.02))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


if __name__ == "__main__":
    main()
