"""Find the recogniser's temperature on held-out training crops.

    python scripts/train/calibrate.py --run runs/reader --photos DIR

Each held-out crop is seen several times with corners displaced as a detector errs. The temperature
that gives the characters the smallest negative log-likelihood goes to `export.py --temperature`.
Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from recogniser_data import encode, jitter, load_crops, rectify
from recogniser_net import RecogniserNet
from torch.nn import functional as F

TIMES = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--photos", type=Path, default=photos and Path(photos), required=not photos)
    args = parser.parse_args()
    regions = json.loads((args.run / "regions.json").read_text())
    net = RecogniserNet(len(regions)).eval()
    net.load_state_dict(torch.load(args.run / "last.pt", weights_only=True)["average"])
    rng = np.random.default_rng(0)
    logits, slots = [], []
    for crop in load_crops(args.photos, held_out=True):
        views = [rectify(crop.image, jitter(crop.corners, rng, 0.7)) for _ in range(TIMES)]
        with torch.inference_mode():
            logits.append(net(torch.from_numpy(np.stack(views)))[0])
        slots.append(torch.from_numpy(encode(crop.text)).repeat(TIMES, 1))
    scores, wanted = torch.cat(logits), torch.cat(slots)
    candidates = np.exp(np.linspace(np.log(0.4), np.log(2.5), 60))
    losses = [
        float(F.cross_entropy((scores / t).flatten(0, 1), wanted.flatten())) for t in candidates
    ]
    best = float(candidates[int(np.argmin(losses))])
    sure = (scores / best).softmax(-1).amax(-1)
    right = (scores.argmax(-1) == wanted).float()
    error = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (sure > low) & (sure <= low + 0.1)
        if inside.any():
            share = float(inside.float().mean())
            error += share * abs(float(sure[inside].mean()) - float(right[inside].mean()))
    print(
        json.dumps(
            {
                "temperature": round(best, 3),
                "loss": round(min(losses), 4),
                "calibration_error_per_character": round(error, 4),
                "crops": len(logits),
            }
        )
    )


if __name__ == "__main__":
    main()
