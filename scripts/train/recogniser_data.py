"""Training samples for the recogniser: real crops from `train/` and rendered shards, jittered.

Every sample ends as a `(64, 160)` grey crop in which the plate's corners lie `PAD` inside, as the
device's rectification puts them, but for a random error like the detector's.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from recogniser_net import ALPHABET, HEIGHT_PX, PAD, SLOTS, WIDTH_PX
from torch.utils.data import IterableDataset

MARGIN = 0.08
"""Share of the crop's width and height left round the plate on each side."""

CROP_SETS = ("world-scenes", "romania", "openimages416")


@dataclass(slots=True, eq=False)
class Crop:
    """A picture, grey or BGR, with the plate's corners `(4, 2)` in its pixels."""

    image: np.ndarray
    corners: np.ndarray
    text: str
    region: str
    exact: bool = True
    weight: float = 1.0
    rows: int = 1


def is_held_out(text: str) -> bool:
    """A fixed 7 % of the plates, chosen by text, is never trained on."""
    return zlib.crc32(text.encode()) % 100 < 7


def load_crops(root: Path, held_out: bool) -> list[Crop]:
    """Real crops with text; frames of one car share its weight."""
    folder = root / "train" / "crops"
    marked = {}
    for line in (folder / "world-scenes.corners.jsonl").read_text().splitlines():
        entry = json.loads(line)
        marked[entry["file"]] = np.array(entry["corners"], np.float32)
    two_rows = set((folder / "tworow.txt").read_text().split())
    crops = []
    for source in CROP_SETS:
        for row in csv.DictReader((folder / f"{source}.csv").open()):
            if not row["text"] or len(row["text"]) > SLOTS or is_held_out(row["text"]) != held_out:
                continue
            image = cv2.imread(str(folder / row["file"]))
            h, w = image.shape[:2]
            box = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
            inside = (0.045 + box * 0.91) * (w, h)
            corners = marked.get(row["file"], inside.astype(np.float32))
            crops.append(
                Crop(
                    image,
                    corners,
                    row["text"],
                    row["region"],
                    exact=row["file"] in marked,
                    rows=2 if row["file"] in two_rows else 1,
                )
            )
    counts = Counter(c.text for c in crops)
    for crop in crops:
        us = crop.region.startswith("us")
        crop.weight = (2.2 if us else 1.0) / counts[crop.text]
    return crops


def load_pseudo(root: Path, path: Path) -> list[Crop]:
    """Plates of training scenes that `teacher.py` read and `agree.py` believed."""
    folder = root / "train" / "scenes"
    crops = []
    for row in map(json.loads, path.open()):
        if is_held_out(row["text"]):
            continue
        corners = np.array(row["corners"], np.float32)
        image = cv2.imread(str(folder / row["file"]))
        low = np.maximum(np.floor(corners.min(0) - 0.4 * np.ptp(corners, axis=0)), 0).astype(int)
        high = np.ceil(corners.max(0) + 0.4 * np.ptp(corners, axis=0)).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        inside = corners - low.astype(np.float32)
        crops.append(Crop(part, inside, row["text"], row["region"], exact=False, weight=0.7))
    return crops


class Shards:
    """Rendered plates: `grey-*.npy`, `corners-*.npy`, `labels-*.jsonl` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.images, self.corners, self.labels = [], [], []
        for path in sorted(folder.glob("grey-*.npy")):
            seed = path.stem.removeprefix("grey-")
            self.images.append(np.load(path, mmap_mode="r"))
            self.corners.append(np.load(folder / f"corners-{seed}.npy"))
            lines = (folder / f"labels-{seed}.jsonl").read_text().splitlines()
            self.labels.append([json.loads(line) for line in lines])
        self.index = [
            (s, i)
            for s, labels in enumerate(self.labels)
            for i, entry in enumerate(labels)
            if 0 < len(entry["text"]) <= SLOTS
        ]

    def __len__(self) -> int:
        return len(self.index)

    def get(self, k: int) -> Crop:
        shard, i = self.index[k]
        label = self.labels[shard][i]
        return Crop(
            np.asarray(self.images[shard][i]),
            self.corners[shard][i],
            label["text"],
            label["region"],
            rows=label["rows"],
        )


def rectify(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Map the corners to `MARGIN` inside a `(64, 160)` crop."""
    x0, x1 = MARGIN * WIDTH_PX, (1 - MARGIN) * WIDTH_PX
    y0, y1 = MARGIN * HEIGHT_PX, (1 - MARGIN) * HEIGHT_PX
    goal = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), goal)
    return cv2.warpPerspective(
        image,
        matrix,
        (WIDTH_PX, HEIGHT_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def grey(image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Grey as cameras see it, or by a random mix of the colours, as under other light."""
    if image.ndim == 2:
        return image
    if rng is None or rng.random() < 0.4:
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    mix = rng.dirichlet((1.5, 2.5, 2.5)).astype(np.float32)
    return np.clip(image @ mix, 0, 255).astype(np.uint8)


def jitter(corners: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Move corners as a detector errs: a common shift and scale, and a little for each."""
    span = np.ptp(corners, axis=0)
    centre = corners.mean(0)
    # A detector errs by pixels, and a plate is less high than wide.
    amount = amount * float(rng.uniform(0.4, 1.3))
    scale = 1.0 + rng.normal(0.0, (0.04, 0.06), 2) * amount
    shift = rng.normal(0, (0.02, 0.035), 2) * span * amount
    own = rng.normal(0, (0.013, 0.028), (4, 2)) * span * amount
    return ((corners - centre) * scale + centre + shift + own).astype(np.float32)


def degrade(image: np.ndarray, rng: np.random.Generator, hard: float) -> np.ndarray:
    """Exposure, blur, low resolution, noise and JPEG on the finished crop."""
    if rng.random() < 0.3 * hard:
        width = int(rng.uniform(36, 110))
        small = cv2.resize(image, (width, max(14, int(width * 0.4))), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25 * hard:
        along = rng.uniform(0.4, 2.6)
        image = cv2.GaussianBlur(image, (0, 0), along, None, along * rng.uniform(0.5, 1.2))
    elif rng.random() < 0.12 * hard:
        kernel = np.zeros((9, 9), np.float32)
        reach = int(rng.integers(1, 4))
        kernel[4, 4 - reach : 5 + reach] = 1 / (2 * reach + 1)
        image = cv2.filter2D(image, -1, kernel)
    if rng.random() < 0.2 * hard:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))])
        image = cv2.imdecode(data[1], cv2.IMREAD_GRAYSCALE)
    out = image.astype(np.float32)
    if rng.random() < 0.3:
        ramp = np.linspace(-1, 1, WIDTH_PX)[None] * rng.normal() + (
            np.linspace(-1, 1, HEIGHT_PX)[:, None] * rng.normal()
        )
        out *= 1 + 0.22 * ramp.astype(np.float32)
    contrast, offset = float(np.exp(rng.normal(0, 0.3))), float(rng.normal(0, 25))
    if rng.random() < 0.15 * hard:
        contrast *= rng.uniform(0.12, 0.5)
    out = (out - 128) * contrast + 128 + offset
    if rng.random() < 0.4:
        out += rng.normal(0, rng.uniform(1, 14), out.shape).astype(np.float32)
    if rng.random() < 0.06:
        out = 255 - out
    if rng.random() < 0.12:
        x, y = rng.integers(0, WIDTH_PX), rng.integers(0, HEIGHT_PX)
        w, h = rng.integers(4, 24), rng.integers(4, 16)
        out[y : y + h, x : x + w] = rng.uniform(0, 255)
    return np.clip(out, 0, 255).astype(np.uint8)


def encode(text: str) -> np.ndarray:
    codes = [ALPHABET.index(c) for c in text]
    return np.array(codes + [PAD] * (SLOTS - len(codes)), np.int64)


class CropStream(IterableDataset[tuple[torch.Tensor, ...]]):
    """Endless samples: crop `(64, 160)` uint8, slots `(10,)`, region index or -1, rows."""

    def __init__(
        self,
        crops: list[Crop],
        shards: Shards | None,
        regions: list[str],
        seed: int,
        real_share: float,
        easy_samples: int = 0,
        spliced: Shards | None = None,
        spliced_share: float = 0.0,
    ) -> None:
        self.crops, self.shards, self.regions = crops, shards, {r: i for i, r in enumerate(regions)}
        self.spliced, self.spliced_share = spliced, spliced_share if spliced else 0.0
        weights = np.array([c.weight for c in crops])
        self.weights = np.cumsum(weights / weights.sum())
        self.seed, self.real_share = seed, real_share
        self.easy_samples = easy_samples

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        cv2.setNumThreads(0)
        drawn = 0
        while True:
            drawn += 1
            # The first samples are hardly degraded: letters are learnt sooner from clear ones.
            hard = min(1.0, drawn / self.easy_samples) if self.easy_samples else 1.0
            draw = rng.random()
            real = self.shards is None or draw < self.real_share + self.spliced_share
            if self.spliced is not None and draw < self.spliced_share:
                crop = self.spliced.get(int(rng.integers(len(self.spliced))))
            elif real:
                crop = self.crops[int(np.searchsorted(self.weights, rng.random()))]
            else:
                crop = self.shards.get(int(rng.integers(len(self.shards))))
            corners = jitter(crop.corners, rng, hard)
            if rng.random() < (0.3 if real else 0.2) * hard:
                corners = turn(corners, rng)
            flat = rectify(grey(crop.image, rng), corners)
            image = degrade(flat, rng, hard * (1.0 if real else 0.7))
            yield (
                torch.from_numpy(image),
                torch.from_numpy(encode(crop.text)),
                torch.tensor(self.regions.get(crop.region, -1)),
                torch.tensor(crop.rows),
            )


def turn(corners: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few degrees of rotation and shear, about the plate's centre."""
    a, s = np.deg2rad(rng.normal(0, 5.0)), rng.normal(0, 0.08)
    matrix = np.array([[np.cos(a), -np.sin(a) + s], [np.sin(a), np.cos(a)]])
    centre = corners.mean(0)
    return ((corners - centre) @ matrix.T + centre).astype(np.float32)
