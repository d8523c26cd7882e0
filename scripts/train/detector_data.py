"""Training samples for the detector: windows out of real scenes, with rendered plates added.

Reads only the `train` folder of the photos. Most windows are chosen round a random plate at a
random size, so that every plate width from `MIN_PLATE_PX` to most of the window is seen equally
often; the others show a whole scene. Plates whose corners nobody marked are labelled by box only;
the loss knows which are which. In many windows a rendered plate takes a real one's place: its
corners are exact, its surroundings real.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset

SCENE_SETS = ("openimages", "openimages-win", "openimages416", "kaggle433", "romania")
SET_WEIGHT = {
    "openimages": 1.0,
    "openimages-win": 0.7,
    "openimages416": 0.5,
    "kaggle433": 1.0,
    "romania": 0.35,
}
MIN_PLATE_PX = 12.0
MAX_PLATE_SHARE = 0.85
"""Widest plate aimed at, as a share of the window's width."""

WINDOWS_PX = ((320, 256, 24), (256, 192, 40), (448, 352, 12), (640, 480, 6))
"""Width, height and batch of each kind of batch: about the same work for each."""

WINDOW_SHARE = (0.45, 0.2, 0.2, 0.15)


@dataclass(slots=True, eq=False)
class Scene:
    """A picture `(H, W, 3)` uint8 BGR with its plates' corners `(P, 4, 2)` in pixels.

    `exact[p]` says whether corners were marked; otherwise they are the box's.
    """

    name: str
    image: np.ndarray
    corners: np.ndarray
    exact: np.ndarray
    weight: float = 1.0
    ignored: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))
    """Corners `(I, 4, 2)` of plates that nobody labelled: no lesson where they lie."""


@dataclass(slots=True, eq=False)
class Sample:
    image: np.ndarray
    corners: np.ndarray
    exact: np.ndarray
    ignored: np.ndarray


def is_held_out(name: str) -> bool:
    """A fixed 6 % of the training pictures, chosen by name, is never trained on."""
    return zlib.crc32(name.encode()) % 100 < 6


def load_scenes(root: Path, held_out: bool, mined: Path | None = None) -> list[Scene]:
    """Scenes with plates; `mined` is what `mine_corners.py` found in them."""
    found = json.loads(mined.read_text()) if mined else {}
    scenes = []
    for source in SCENE_SETS:
        for line in (root / "train" / "scenes" / f"{source}.jsonl").read_text().splitlines():
            entry = json.loads(line)
            # Frames of one drive look alike: hold out by drive minute, not by frame.
            if is_held_out(entry["file"]) != held_out:
                continue
            image = cv2.imread(str(root / "train" / "scenes" / entry["file"]))
            corners, exact = _corners(entry["plates"])
            scene = Scene(entry["file"], image, corners, exact, SET_WEIGHT[source])
            _add_mined(scene, found.get(entry["file"], {}))
            scenes.append(scene)
    return scenes


def _add_mined(scene: Scene, found: dict) -> None:
    for index, quad in found.get("corners", {}).items():
        scene.corners[int(index)] = quad
        scene.exact[int(index)] = True
    doubtful = [int(index) for index in found.get("doubtful", [])]
    ignored = np.array(found.get("ignored", []), np.float32).reshape(-1, 4, 2)
    scene.ignored = np.concatenate([ignored, scene.corners[doubtful]])
    scene.corners = np.delete(scene.corners, doubtful, axis=0)
    scene.exact = np.delete(scene.exact, doubtful)


def _corners(plates: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    corners = np.zeros((len(plates), 4, 2), np.float32)
    exact = np.zeros(len(plates), bool)
    for i, plate in enumerate(plates):
        x, y, w, h = plate["box"]
        corners[i] = plate.get("corners") or [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
        exact[i] = plate.get("corners") is not None
    return corners, exact


def load_negatives(root: Path, held_out: bool) -> list[np.ndarray]:
    paths = sorted((root / "train" / "negatives").glob("*.jpg"))
    return [cv2.imread(str(p)) for p in paths if is_held_out(p.name) == held_out]


class Windows(IterableDataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Endless batches of random windows: images `(N, H, W, 3)` uint8, corners `(N, 16, 4, 2)`, kind
    `(N, 16)`. Size and N change from batch to batch (`WINDOWS_PX`).

    Kind: 0 none, 1 box only, 2 exact corners, 3 ignore (too small, cut, or unlabelled).
    """

    def __init__(
        self, root: Path, seed: int, art: list | None, signs: list | None, mined: Path | None
    ) -> None:
        self.scenes = load_scenes(root, held_out=False, mined=mined)
        self.negatives = load_negatives(root, held_out=False)
        weights = np.array([s.weight * (1 if len(s.corners) else 0.3) for s in self.scenes])
        self.weights = np.cumsum(weights / weights.sum())
        self.seed = seed
        self.art = art
        self.signs = signs

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        cv2.setNumThreads(0)
        while True:
            width, height, count = WINDOWS_PX[rng.choice(len(WINDOWS_PX), p=WINDOW_SHARE)]
            samples = [_pack(self.draw(rng, (width, height))) for _ in range(count)]
            images, corners, kinds = zip(*samples, strict=True)
            yield torch.stack(images), torch.stack(corners), torch.stack(kinds)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        if rng.random() < 0.12:
            sample = self._negative(rng, size)
        else:
            scene = self.scenes[int(np.searchsorted(self.weights, rng.random()))]
            behind = self.negatives[rng.integers(len(self.negatives))]
            sample = window(
                scene,
                rng,
                size,
                whole=rng.random() < 0.25,
                behind=behind if rng.random() < 0.6 else None,
            )
        if self.art and rng.random() < 0.35:
            swap(sample, self.art, rng)
        if self.art and rng.random() < 0.25:
            paste(sample, self.art, rng, labelled=True)
        if self.signs and rng.random() < 0.2:
            paste(sample, self.signs, rng, labelled=False)
        sample.image = photometric(sample.image, rng)
        return mirror(sample) if rng.random() < 0.5 else sample

    def _negative(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        image = self.negatives[rng.integers(len(self.negatives))]
        empty = Scene("", image, np.zeros((0, 4, 2), np.float32), np.zeros(0, bool))
        return window(empty, rng, size)


def window(
    scene: Scene,
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    whole: bool = False,
    behind: np.ndarray | None = None,
) -> Sample:
    """A `size` (w, h) window of the scene, scaled and turned at random round one of its plates.

    `whole`: about the whole scene instead, as the device sees it. `behind`: a picture without
    plates that shows where the scene does not reach; else one colour does.
    """
    width, height = size
    h, w = scene.image.shape[:2]
    if whole:
        scale = min(width / w, height / h) * float(np.exp(rng.uniform(-0.2, 0.5)))
        centre = np.array([w, h]) / 2.0
        place = np.array([width, height]) * rng.uniform(0.45, 0.55, 2)
    elif len(scene.corners):
        pick = scene.corners[rng.integers(len(scene.corners))]
        span = pick.max(0) - pick.min(0)
        plate_px = float(max(span[0], 1.4 * span[1], 4.0))
        most = np.log(MAX_PLATE_SHARE * width)
        wanted = float(np.exp(rng.uniform(np.log(MIN_PLATE_PX), most)))
        scale = float(np.clip(wanted / plate_px, 0.25, 2.5))
        centre = pick.mean(0)
        # Wide plates stand nearer the middle, so that few are cut by the window.
        edge = np.clip(0.5 * np.array([wanted / width, 0.6 * wanted / height]), 0.12, 0.48)
        place = rng.uniform(edge, 1 - edge) * (width, height)
    else:
        scale = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
        centre = rng.uniform(0.2, 0.8, 2) * (w, h)
        place = np.array([width, height]) / 2.0
    all_exact = bool(len(scene.exact)) and bool(scene.exact.all())
    spread = 12.0 if all_exact or not len(scene.exact) else 3.0
    angle = np.deg2rad(np.clip(rng.normal(0, spread / 2), -2 * spread, 2 * spread))
    aspect = float(np.exp(rng.normal(0, 0.08)))
    shear = rng.normal(0, 0.08) if all_exact else 0.0
    a = scale * np.array(
        [[np.cos(angle) * aspect, -np.sin(angle) + shear], [np.sin(angle), np.cos(angle) / aspect]]
    )
    b = place - a @ centre
    # Keep the window over the picture where the picture is large enough.
    for axis, extent, side in ((0, width, w), (1, height, h)):
        reach = scale * side
        if reach >= extent:
            low, high = b[axis], b[axis] + reach
            b[axis] += max(0.0, extent - high) - max(0.0, low)
    matrix = np.column_stack([a, b]).astype(np.float32)
    shrink = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    image = scene.image
    if scale < 0.6:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=shrink)
        matrix = matrix @ np.diag([w / image.shape[1], h / image.shape[0], 1.0])
    if behind is None:
        fill = rng.integers(0, 256, 3) if rng.random() < 0.3 else (114,) * 3
        ground = np.full((height, width, 3), fill, np.uint8)
    else:
        ground = cv2.resize(behind, (width, height), interpolation=cv2.INTER_AREA)
    image = cv2.warpAffine(
        image,
        matrix,
        (width, height),
        dst=ground,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    turn, shift = a.T.astype(np.float32), b.astype(np.float32)
    return Sample(
        image, scene.corners @ turn + shift, scene.exact.copy(), scene.ignored @ turn + shift
    )


def swap(sample: Sample, art: list, rng: np.random.Generator) -> None:
    """Lay rendered plates over some of the window's own: real surroundings, exact corners."""
    height, width = sample.image.shape[:2]
    for p, corners in enumerate(sample.corners):
        low, high = corners.min(0), corners.max(0)
        span = high - low
        if not 16 <= span[0] <= 0.9 * width or rng.random() < 0.4:
            continue
        patch, quad = art[rng.integers(len(art))]
        aspect = np.linalg.norm(quad[1] - quad[0]) / np.linalg.norm(quad[3] - quad[0])
        wide = max(span[0], span[1] * aspect) * rng.uniform(1.0, 1.15)
        if wide > 2.2 * span[0] or wide / aspect > 4 * span[1]:
            continue
        goal = _slanted(quad, wide, (low + high) / 2, rng)
        warp = cv2.getPerspectiveTransform(quad.astype(np.float32), goal)
        laid = cv2.warpPerspective(patch, warp, (width, height), flags=cv2.INTER_AREA)
        _blend(sample.image, laid, (0, 0), rng)
        sample.corners[p], sample.exact[p] = goal, True


def _slanted(
    quad: np.ndarray, wide: float, centre: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The quad at another width and place, turned a little, each corner moved a little."""
    flat = (quad - quad.mean(0)) * (wide / float(np.ptp(quad[:, 0])))
    turn = np.deg2rad(rng.normal(0, 5))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wild = rng.normal(0, 0.015, (4, 2)) * np.ptp(flat, axis=0)
    return np.asarray(flat @ matrix.T + wild + centre, np.float32)


def _blend(
    image: np.ndarray, laid: np.ndarray, at: tuple[int, int], rng: np.random.Generator
) -> None:
    """Lay a `(h, w, 4)` BGRA picture over the image at x, y, about as bright as what is there."""
    x, y = at
    rows, cols = np.nonzero(laid[..., 3])
    if not len(rows):
        return
    top, bottom, left, right = rows.min(), rows.max() + 1, cols.min(), cols.max() + 1
    laid = laid[top:bottom, left:right]
    under = image[y + top : y + bottom, x + left : x + right]
    gain = float(np.clip(under.mean() / 110.0, 0.35, 1.3))
    gain = 1.0 + (gain - 1.0) * rng.random()
    alpha = laid[..., 3:].astype(np.float32) / 255
    body = np.clip(laid[..., :3] * gain, 0, 255)
    under[:] = (body * alpha + under * (1 - alpha)).astype(np.uint8)


def paste(sample: Sample, art: list, rng: np.random.Generator, *, labelled: bool) -> None:
    """Put one or two rendered patches into the window, away from its own plates."""
    height, width = sample.image.shape[:2]
    corners, exact = [*sample.corners], [*sample.exact]
    for _ in range(int(rng.integers(1, 3))):
        patch, quad = art[rng.integers(len(art))]
        scale = float(np.exp(rng.uniform(np.log(0.12), np.log(1.6))))
        scale = min(scale, 0.9 * width / patch.shape[1], 0.9 * height / patch.shape[0])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        patch = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=how)
        ph, pw = patch.shape[:2]
        if ph < 4 or pw < 8:
            continue
        x, y = int(rng.integers(0, width - pw)), int(rng.integers(0, height - ph))
        if any(_overlap(c, x - 8, y - 8, pw + 16, ph + 16) for c in corners):
            continue
        _blend(sample.image, patch, (x, y), rng)
        if labelled:
            corners.append(quad * scale + np.array([x, y], np.float32))
            exact.append(True)
    sample.corners = np.array(corners, np.float32).reshape(-1, 4, 2)
    sample.exact = np.array(exact, bool)


def _overlap(corners: np.ndarray, x: int, y: int, w: int, h: int) -> bool:
    low, high = corners.min(0), corners.max(0)
    return bool(low[0] < x + w and high[0] > x and low[1] < y + h and high[1] > y)


def mirror(sample: Sample) -> Sample:
    width = sample.image.shape[1]

    def turned(quads: np.ndarray) -> np.ndarray:
        flipped = quads.copy()
        flipped[..., 0] = width - 1 - flipped[..., 0]
        return flipped[:, [1, 0, 3, 2]]

    return Sample(
        sample.image[:, ::-1], turned(sample.corners), sample.exact, turned(sample.ignored)
    )


def photometric(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, colour cast, grey, blur, noise and JPEG, as night and cheap cameras give them."""
    table = np.arange(256, dtype=np.float32) / 255
    table = np.clip(table ** np.exp(rng.normal(0, 0.35)), 0, 1) * np.exp(rng.normal(0, 0.22))
    table = table + rng.normal(0, 0.06)
    gains = np.exp(rng.normal(0, 0.09 if rng.random() < 0.8 else 0.3, 3))
    lut = np.clip(table[:, None] * gains[None] * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, lut[None])
    if rng.random() < 0.25:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    elif rng.random() < 0.1:
        kernel = np.zeros((9, 9), np.float32)
        reach = int(rng.integers(1, 5))
        kernel[4, 4 - reach : 5 + reach] = 1.0 / (2 * reach + 1)
        image = cv2.filter2D(image, -1, kernel)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape[:2]).astype(np.float32)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(25, 90))
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image


def _pack(sample: Sample) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    height, width = sample.image.shape[:2]
    corners = np.zeros((16, 4, 2), np.float32)
    kind = np.zeros(16, np.int64)
    n = 0
    kinds = [2 if exact else 1 for exact in sample.exact] + [3] * len(sample.ignored)
    for quad, what in zip([*sample.corners, *sample.ignored], kinds, strict=True):
        low, high = quad.min(0), quad.max(0)
        if n == 16 or high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
            continue
        inside = (np.minimum(high, (width, height)) - np.maximum(low, 0)).prod()
        share = inside / max((high - low).prod(), 1e-3)
        corners[n] = quad
        small = high[0] - low[0] < 9.0
        kind[n] = 3 if small or share < 0.75 else what
        n += 1
    image = torch.from_numpy(np.ascontiguousarray(sample.image))
    return image, torch.from_numpy(corners), torch.from_numpy(kind)
