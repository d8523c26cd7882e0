"""Train the plate recogniser from scratch on `train/` crops and rendered shards.

    python scripts/train/train_recogniser.py --shards DIR --out runs/reader --minutes 60

Resumable: the newest checkpoint in `--out` is taken up again; the learning rate follows the
elapsed time, or the samples seen where `--images` is given.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from checkpoints import follow, save
from energy import cpu_seconds
from recogniser_data import CropStream, Shards, grey, load_crops, load_pseudo, rectify
from recogniser_net import ALPHABET, PAD, RecogniserNet
from torch import Tensor
from torch.nn import functional as F

FOLD = str.maketrans("OI", "01")


def main() -> None:
    args = _arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    crops, held_out = load_crops(args.photos, False), load_crops(args.photos, True)
    if args.pseudo:
        crops += load_pseudo(args.photos, args.pseudo)
    shards = Shards(args.shards) if args.shards else None
    regions = _regions(args.out / "regions.json", crops, shards)
    spliced = Shards(args.spliced) if args.spliced else None
    stream = CropStream(
        crops,
        shards,
        regions,
        args.seed,
        args.real_share,
        args.easy_samples,
        spliced,
        args.spliced_share,
    )
    loader = torch.utils.data.DataLoader(
        stream,
        batch_size=args.batch,
        num_workers=args.workers,
        prefetch_factor=4 if args.workers else None,
    )
    net = RecogniserNet(len(regions)).to(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.03}, {"params": rest, "weight_decay": 0.0}], lr=args.lr
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
    log = (args.out / "log.jsonl").open("a")

    def note(line: dict) -> None:
        print(json.dumps(line), flush=True)
        print(json.dumps(line), file=log, flush=True)

    started = last_save = last_eval = time.monotonic()
    before, sums, right, seen = state["spent_s"], {}, 0, 0
    cpu_before = state.get("cpu_s", 0.0) - cpu_seconds()
    for images, slots, region, rows in loader:
        state["spent_s"] = before + time.monotonic() - started
        state["cpu_s"] = cpu_before + cpu_seconds()
        progress = (
            state["images"] / args.images if args.images else state["spent_s"] / (args.minutes * 60)
        )
        if progress >= 1.0:
            break
        lr = (
            args.lr
            * min(1.0, (state["step"] + 1) / 200)
            * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        for group in optimiser.param_groups:
            group["lr"] = lr
        net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            characters, where, ctc = (part.float() for part in net(images))
        losses = _losses(characters, where, ctc, slots, region, rows)
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        state["step"] += 1
        state["images"] += len(images)
        right += int((characters.argmax(-1) == slots).all(1).sum())
        seen += len(images)
        follow(average, net, min(0.9985, 1 - 1 / (10 + state["step"])))
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        if state["step"] % 100 == 0:
            note(
                {
                    "step": state["step"],
                    "progress": round(progress, 4),
                    "images": state["images"],
                    "exact": round(right / seen, 4),
                    **{k: round(v / 100, 4) for k, v in sums.items()},
                }
            )
            sums, right, seen = {}, 0, 0
        if time.monotonic() - last_save > 60:
            save(checkpoint, net, average, optimiser, state)
            last_save = time.monotonic()
        if time.monotonic() - last_eval > args.eval_every_s:
            note({"step": state["step"], "held_out": evaluate(average, held_out)})
            last_eval = time.monotonic()
    save(checkpoint, net, average, optimiser, state)
    last = {"held_out": evaluate(average, held_out)}
    note({"step": state["step"], "end": True, "cpu_s": round(state["cpu_s"]), **last})


def _losses(
    characters: Tensor, where: Tensor, ctc: Tensor, slots: Tensor, region: Tensor, rows: Tensor
) -> dict[str, Tensor]:
    each = F.cross_entropy(
        characters.transpose(1, 2), slots, reduction="none", label_smoothing=0.02
    )
    weight = torch.where(slots == PAD, 0.4, 1.0)
    losses = {"slots": (each * weight).sum() / weight.sum() * 2.0}
    one = rows == 1
    if one.any():
        scores = ctc[one].log_softmax(-1).transpose(0, 1)
        steps = torch.full((scores.shape[1],), scores.shape[0])
        lengths = (slots[one] != PAD).sum(1)
        losses["ctc"] = F.ctc_loss(
            scores, slots[one], steps, lengths, blank=PAD, zero_infinity=True
        )
    known = region >= 0
    if known.any():
        losses["region"] = 0.1 * F.cross_entropy(where[known], region[known])
    return losses


def decode(characters: np.ndarray) -> str:
    """Slot scores `(10, 37)` → text up to the first empty slot."""
    text = ""
    for code in characters.argmax(-1):
        if code == PAD:
            break
        text += ALPHABET[code]
    return text


def evaluate(net: RecogniserNet, crops: list) -> dict[str, float]:
    """Exact match on held-out crops, unfolded and with O=0 and I=1 folded."""
    net.eval()
    groups: dict[str, list[tuple[bool, bool]]] = {}
    with torch.inference_mode():
        for crop in crops:
            image = torch.from_numpy(rectify(grey(crop.image), crop.corners))[None]
            text = decode(net(image)[0][0].numpy())
            group = (
                "us"
                if crop.region.startswith("us")
                else ("romania" if crop.region == "eu-ro" else "other")
            )
            groups.setdefault(group, []).append(
                (text == crop.text, text.translate(FOLD) == crop.text.translate(FOLD))
            )
    net.train()
    return {
        k: [len(v), *(round(float(np.mean(c)), 3) for c in zip(*v, strict=True))]
        for k, v in groups.items()
    }


def _regions(path: Path, crops: list, shards: Shards | None) -> list[str]:
    if not path.exists():
        names = {c.region for c in crops}
        if shards is not None:
            names |= {entry["region"] for labels in shards.labels for entry in labels}
        path.write_text(json.dumps(sorted(names - {"", "other", "us", "eu"})))
    return json.loads(path.read_text())


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
    parser.add_argument("--shards", type=Path, help="folder of rendered shards")
    parser.add_argument("--real-share", type=float, default=0.4)
    parser.add_argument("--spliced", type=Path, help="folder that splice.py wrote")
    parser.add_argument("--spliced-share", type=float, default=0.25)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--images", type=int, help="end after so many samples instead, to compare trainings"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--easy-samples",
        type=int,
        default=0,
        help="samples over which degradation grows to full strength",
    )
    parser.add_argument("--pseudo", type=Path, help="what agree.py believed of the teacher")
    parser.add_argument("--start", type=Path, help="checkpoint of an earlier run to begin from")
    parser.add_argument("--bf16", action="store_true", help="faster where the processor has it")
    parser.add_argument("--eval-every-s", type=float, default=240.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
