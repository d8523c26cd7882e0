"""Train the plate detector from scratch on `train/` photos and rendered plates.

    python scripts/train/train_detector.py --photos DIR --out runs/detector --minutes 45

Resumable: the newest checkpoint in `--out` is taken up again; the learning rate follows the
elapsed time, so the same command on a slower machine ends at the same minute.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from checkpoints import follow, save
from detector_data import Windows, load_negatives, load_scenes
from detector_loss import detector_loss
from detector_net import CORNER_UNIT_PX, STRIDE_PX, DetectorNet
from energy import cpu_seconds


def main() -> None:
    args = _arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    windows = Windows(
        args.photos, args.seed, _load_art(args.art), _load_art(args.signs), args.mined
    )
    loader = torch.utils.data.DataLoader(
        windows,
        batch_size=None,
        num_workers=args.workers,
        prefetch_factor=3 if args.workers else None,
    )
    net = DetectorNet().to(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    # Weight decay on convolutions only.
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}], lr=args.lr
    )
    state = {"step": 0, "spent_s": 0.0, "images": 0}
    checkpoint = args.out / "last.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        state = saved["state"]
    elif args.start:
        saved = torch.load(args.start, weights_only=True)
        net.load_state_dict(saved["average"])
        average.load_state_dict(saved["average"])
    total_s = args.minutes * 60.0
    held_out = load_scenes(args.photos, held_out=True)
    negatives = load_negatives(args.photos, held_out=True)
    log = (args.out / "log.jsonl").open("a")
    started, last_save, last_eval, sums = time.monotonic(), time.monotonic(), time.monotonic(), {}
    before = state["spent_s"]
    cpu_before = state.get("cpu_s", 0.0) - cpu_seconds()
    for images, corners, kind in loader:
        state["spent_s"] = before + time.monotonic() - started
        state["cpu_s"] = cpu_before + cpu_seconds()
        progress = state["spent_s"] / total_s
        if progress >= 1.0:
            break
        lr = (
            args.lr
            * min(1.0, (state["step"] + 1) / 100)
            * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        for group in optimiser.param_groups:
            group["lr"] = lr
        net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            raw = net(images)
        losses = detector_loss(raw.float(), corners, kind)
        loss = sum(losses.values())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        state["step"] += 1
        state["images"] += len(images)
        follow(average, net, min(0.999, 1 - 1 / (10 + state["step"] / 2)))
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        if state["step"] % 50 == 0:
            line = {
                "step": state["step"],
                "progress": round(progress, 4),
                "lr": lr,
                "images": state["images"],
                **{k: round(v / 50, 4) for k, v in sums.items()},
            }
            sums = {}
            print(json.dumps(line), flush=True)
            print(json.dumps(line), file=log, flush=True)
        if time.monotonic() - last_save > 60:
            save(checkpoint, net, average, optimiser, state)
            last_save = time.monotonic()
        if time.monotonic() - last_eval > args.eval_every_s:
            line = {"step": state["step"], "held_out": evaluate(average, held_out, negatives)}
            print(json.dumps(line), flush=True)
            print(json.dumps(line), file=log, flush=True)
            last_eval = time.monotonic()
    save(checkpoint, net, average, optimiser, state)
    line = {"step": state["step"], "end": True, "cpu_s": round(state["cpu_s"])}
    line["held_out"] = evaluate(average, held_out, negatives)
    print(json.dumps(line), flush=True)
    print(json.dumps(line), file=log, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    photos = os.environ.get("ALPR_EDGE_PHOTOS")
    parser.add_argument(
        "--photos",
        type=Path,
        default=photos and Path(photos),
        required=not photos,
        help="folder that holds train/ (ALPR_EDGE_PHOTOS)",
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--start", type=Path, help="checkpoint of an earlier run to begin from")
    parser.add_argument("--art", type=Path, help="folder of rendered plates (.npz) to paste")
    parser.add_argument("--signs", type=Path, help="folder of rendered signs (.npz) to paste")
    parser.add_argument("--mined", type=Path, help="what mine_corners.py found in the scenes")
    parser.add_argument("--eval-every-s", type=float, default=300.0)
    return parser.parse_args()


def _load_art(folder: Path | None) -> list | None:
    if folder is None:
        return None
    art = []
    for path in sorted(folder.glob("*.npz")):
        pack = np.load(path)
        art += [(pack[f"patch{i}"], pack[f"quad{i}"]) for i in range(int(pack["count"]))]
    return art or None


def decode(raw: np.ndarray, floor: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """One picture's `(9, R, C)` output → scores `(K,)`, corners `(K, 4, 2)`, after NMS."""
    score = 1 / (1 + np.exp(-raw[0]))
    peak = score == cv2.dilate(score, np.ones((3, 3), np.uint8))
    r, c = np.nonzero(peak & (score > floor))
    quads = raw[1:, r, c].T.reshape(-1, 4, 2) * CORNER_UNIT_PX
    quads = quads + (np.stack([c, r], -1)[:, None] + 0.5) * STRIDE_PX
    order = np.argsort(-score[r, c])
    kept: list[int] = []
    boxes = np.concatenate([quads.min(1), quads.max(1)], 1)
    for i in order:
        if all(iou(boxes[i], boxes[k]) < 0.4 for k in kept):
            kept.append(int(i))
    return score[r, c][kept], quads[kept]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    inter = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    both = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()
    return float(inter / max(both - inter, 1e-6))


def letterbox(image: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(
        image,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    out = np.full((height, width, 3), 114, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small[:height, :width]
    return out, scale


def evaluate(net: DetectorNet, scenes: list, negatives: list) -> dict[str, float]:
    """Average precision at IoU 0.5 on held-out scenes, for plates at least 20 px wide at 640."""
    net.eval()
    scored: list[tuple[float, bool]] = []
    plates = found = false_alarms = 0
    ious: list[float] = []
    with torch.inference_mode():
        for scene in scenes:
            image, scale = letterbox(scene.image, 640, 480)
            scores, quads = decode(net(torch.from_numpy(image)[None])[0].numpy())
            truth = np.concatenate([scene.corners.min(1), scene.corners.max(1)], 1) * scale
            wide = truth[:, 2] - truth[:, 0] >= 20
            plates += int(wide.sum())
            taken: set[int] = set()
            for s, quad in zip(scores, quads, strict=True):
                box = np.concatenate([quad.min(0), quad.max(0)])
                overlaps = [iou(box, t) for t in truth]
                best = int(np.argmax(overlaps)) if overlaps else -1
                hit = best >= 0 and overlaps[best] >= 0.5 and best not in taken
                if hit:
                    taken.add(best)
                    if wide[best]:
                        scored.append((float(s), True))
                        found += s >= 0.3
                        ious.append(overlaps[best])
                elif best < 0 or overlaps[best] < 0.3:
                    scored.append((float(s), False))
        for image in negatives:
            boxed, _ = letterbox(image, 416, 416)
            false_alarms += int(
                (decode(net(torch.from_numpy(boxed)[None])[0].numpy())[0] >= 0.3).sum()
            )
    net.train()
    scored.sort(reverse=True)
    hits = np.cumsum([h for _, h in scored]) if scored else np.zeros(1)
    precision = hits / np.arange(1, len(hits) + 1)
    recall = hits / max(plates, 1)
    ap = float(
        sum(
            precision[i:].max() * (recall[i] - (recall[i - 1] if i else 0))
            for i in range(len(hits))
            if scored and scored[i][1]
        )
    )
    return {
        "ap50": round(ap, 4),
        "recall_at_0.3": round(found / max(plates, 1), 4),
        "plates": plates,
        "mean_iou": round(float(np.mean(ious or [0])), 3),
        "false_on_negatives": false_alarms,
        "negatives": len(negatives),
    }


if __name__ == "__main__":
    main()
