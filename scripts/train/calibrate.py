"""Fit the recogniser's confidences on held-out training crops: temperature, slope, thresholds.

    python scripts/train/calibrate.py --run runs/reader --photos DIR --shards runs/held-out-shards

Each held-out crop, real or rendered, is seen several times with corners displaced as a detector
errs. Written to `calibration.json` beside the checkpoint, which `export.py` puts into the model:

- the temperature that gives the characters the smallest negative log-likelihood
  (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2);
- offset and slope that turn a text's log-probability into the chance that it is right (Platt 1999);
- for some wanted precisions, the confidence from which reads reach it.

Real crops count as much as rendered ones together. Rendered shards must have a seed of their own.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from export import grammar
from recogniser_data import Crop, Shards, degrade, encode, grey, jitter, load_crops, rectify
from recogniser_net import ALPHABET, SLOTS, RecogniserNet
from torch.nn import functional as F

from alpr_edge.vision.grammar import Grammar

TIMES = 8
PRECISIONS = (0.9, 0.95, 0.97, 0.98, 0.99)
FOLD = str.maketrans("OI", "01")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    parser.add_argument("--shards", type=Path, help="rendered shards that were not trained on")
    args = parser.parse_args()
    regions = json.loads((args.run / "regions.json").read_text())
    net = RecogniserNet(len(regions)).eval()
    net.load_state_dict(torch.load(args.run / "last.pt", weights_only=True)["average"])
    rng = np.random.default_rng(0)
    real = load_crops(args.photos, held_out=True)
    crops = [crop for crop in real for _ in range(TIMES)]
    if args.shards:
        shards = Shards(args.shards)
        crops += [shards.get(int(k)) for k in rng.permutation(len(shards))[: len(crops)]]
    scores, where = _scores(net, crops, rng)
    wanted = torch.stack([torch.from_numpy(encode(c.text)) for c in crops])
    temperature = _temperature(scores, wanted)
    reader = Grammar(grammar(), regions=regions, alphabet=ALPHABET, slots=SLOTS)
    totals, right = _judge(reader, scores / temperature, where, crops)
    offset, slope = _platt(totals, right)
    sure = 1 / (1 + np.exp(-(offset + slope * np.log(np.maximum(-totals, 1e-6)))))
    result = {
        "temperature": round(temperature, 3),
        "calibration": [round(offset, 4), round(slope, 4)],
        "thresholds": _thresholds(sure, right),
        "error": round(_error(sure, right), 4),
        "real": len(real),
        "views": len(crops),
        "right": round(float(right.mean()), 4),
    }
    (args.run / "calibration.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def _scores(
    net: RecogniserNet, crops: list[Crop], rng: np.random.Generator
) -> tuple[torch.Tensor, np.ndarray]:
    characters, regions = [], []
    for start in range(0, len(crops), 32):
        views = []
        for crop in crops[start : start + 32]:
            flat = rectify(grey(crop.image), jitter(crop.corners, rng, 0.7))
            views.append(degrade(flat, rng, 0.3))
        with torch.inference_mode():
            c, r = net(torch.from_numpy(np.stack(views)))
        characters.append(c)
        regions.append(r.softmax(-1).numpy())
    return torch.cat(characters), np.concatenate(regions)


def _temperature(scores: torch.Tensor, wanted: torch.Tensor) -> float:
    candidates = np.exp(np.linspace(np.log(0.3), np.log(2.5), 60))
    losses = [
        float(F.cross_entropy((scores / t).flatten(0, 1), wanted.flatten())) for t in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


def _judge(
    reader: Grammar, scores: torch.Tensor, where: np.ndarray, crops: list[Crop]
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of each chosen text, and whether it is right (O as 0, I as 1)."""
    logs = scores.log_softmax(-1).numpy()
    totals, right = np.zeros(len(crops)), np.zeros(len(crops), bool)
    for i, crop in enumerate(crops):
        codes = reader.choose(logs[i], where[i]).codes
        text = "".join(ALPHABET[c] for c in codes)
        totals[i] = logs[i, np.arange(len(codes)), list(codes)].sum()
        if len(codes) < SLOTS:
            totals[i] += logs[i, len(codes), -1]
        right[i] = text.translate(FOLD) == crop.text.translate(FOLD)
    return totals, right


def _platt(totals: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Offset and slope of the logistic fit, by Newton's method with a little ridge."""
    x = np.stack([np.ones(len(totals)), np.log(np.maximum(-totals, 1e-6))], 1)
    w = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        w += np.linalg.solve(hessian, x.T @ (right - p) - 1e-3 * w)
    return float(w[0]), float(w[1])


def _thresholds(sure: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Precision wanted → lowest confidence from which all reads together reach it."""
    order = np.argsort(-sure)
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    out = {}
    for wanted in PRECISIONS:
        good = np.flatnonzero(precision >= wanted)
        out[str(wanted)] = round(float(sure[order][good[-1]]), 3) if len(good) else 1.0
    return out


def _error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error in ten bins. Source: Guo et al. 2017, section 2."""
    error = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (sure > low) & (sure <= low + 0.1)
        if inside.any():
            error += inside.mean() * abs(float(sure[inside].mean()) - float(right[inside].mean()))
    return error


if __name__ == "__main__":
    main()
