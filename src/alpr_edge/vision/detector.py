"""The plate detector: a masked frame in, plates with four corners out.

It looks twice with one model. The first look sees the whole frame, scaled down, and gives
candidates. The close look sees a small window round each, cut from the frame at its own resolution
so that the plate has about the same width everywhere: it confirms or rejects the candidate and
finds its corners more exactly. The number of windows is bounded, and so is the work on a crowded
or hostile picture.

It takes a `MaskedFrame` and nothing else: unmasked pixels cannot reach the model.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.types import Detection, Image, Quad
from alpr_edge.vision.models import Model

Floats = NDArray[np.float32]

STRIDE_PX = 8
CORNER_UNIT_PX = 16.0
"""Both as in the trained network, `scripts/train/detector_net.py`."""

GRID_PX = 32
"""The network's deepest stride: input sides are multiples of it."""

MAX_PLATES = 64
"""More than any street scene holds; bounds the work on a hostile picture."""

OVERLAP = 0.4
"""Two boxes with a larger intersection over union are one plate."""

CANDIDATE_SCORE = 0.3
"""Weakest first finding that is looked at closely. Source: held-out training scenes, 2026-11: from
0.2 on, twice the windows, half as many false finds more, and not one of 163 plates more."""

CONFIRMED_SCORE = 0.2
"""From this score on the close look's corners are taken instead of the first look's."""

MAX_CLOSE_LOOKS = 8
"""Windows a frame at the most: together half of the first look's pixels at 640×384."""

WINDOW_PX = (160, 96)
"""Width and height of the window of the close look."""

WINDOW_PLATE_PX = 72.0
"""Width that a plate is brought to in it: in the middle of the widths that training saw."""

MAX_ENLARGEMENT = 3.0
"""A plate of few pixels gains nothing from being drawn larger than this."""


class Detector:
    """Finds plates.

    Args:
        model: a detector model: `(1, H, W, 3)` uint8 BGR → `(1, 9, H/8, W/8)`.
        size_px: width and height, multiples of 32, that the frame is scaled to fit into.
        min_score: detections below it are not reported.
        close_look: look closely at each candidate; without it, the first look alone.
    """

    def __init__(
        self,
        model: Model,
        *,
        size_px: tuple[int, int] = (640, 640),
        min_score: float = 0.3,
        close_look: bool = True,
    ) -> None:
        self._model = model
        self._size_px = size_px
        self._min_score = min_score
        self._close_look = close_look
        self._canvas: Image = np.zeros((0, 0, 3), np.uint8)
        self._windows: Image = np.zeros((MAX_CLOSE_LOOKS, *WINDOW_PX[::-1], 3), np.uint8)

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        """Plates in the frame, best first, in the frame's pixels."""
        floor = min(CANDIDATE_SCORE, self._min_score) if self._close_look else self._min_score
        scores, quads = self._look(frame.image, floor)
        if self._close_look:
            scores, quads = self._look_closely(frame.image, scores, quads)
            good = scores >= self._min_score
            scores, quads = scores[good], quads[good]
        return tuple(Detection(q, float(s)) for q, s in zip(quads, scores, strict=True))

    def _look(self, image: Image, floor: float) -> tuple[Floats, Floats]:
        """Scores `(K,)` and quads `(K, 4, 2)` in the picture's pixels, from the whole picture."""
        height, width = image.shape[:2]
        scale = min(self._size_px[0] / width, self._size_px[1] / height)
        raw = self._model.run(self._fit(image, scale)[None])[0][0]
        scores, quads = decode(raw, _logit(floor))
        step = np.array([width, height], np.float32) / _scaled(width, height, scale)
        return scores, np.asarray(quads * step, np.float32)

    def _look_closely(self, image: Image, scores: Floats, quads: Floats) -> tuple[Floats, Floats]:
        """The candidates as their windows show them; those beyond the bound stay as they were."""
        count = min(len(scores), MAX_CLOSE_LOOKS)
        if not count:
            return scores, quads
        places = [cut_window(image, quads[i], self._windows[i]) for i in range(count)]
        raws = self._model.run(self._windows[:count])[0]
        scores, quads = scores.copy(), quads.copy()
        for i, (raw, (origin, scale)) in enumerate(zip(raws, places, strict=True)):
            score, quad = _nearest_middle(raw)
            scores[i] = np.sqrt(scores[i] * score)
            if score >= CONFIRMED_SCORE:
                quads[i] = quad / scale + origin
        order = np.argsort(-scores, kind="stable")
        scores, quads = scores[order], quads[order]
        kept = _without_overlaps(np.concatenate([quads.min(1), quads.max(1)], 1))
        return scores[kept], quads[kept]

    def _fit(self, image: Image, scale: float) -> Image:
        """Scale into the reused canvas, top left; the rest stays grey."""
        width, height = _scaled(image.shape[1], image.shape[0], scale)
        rows, cols = (-(-side // GRID_PX) * GRID_PX for side in (height, width))
        if self._canvas.shape[:2] != (rows, cols):
            self._canvas = np.full((rows, cols, 3), 114, np.uint8)
        self._canvas[height:] = 114
        self._canvas[:, width:] = 114
        self._canvas[:height, :width] = resized(image, (width, height))
        return self._canvas


def resized(image: Image, size_px: tuple[int, int]) -> Image:
    """The picture at this width and height.

    Halved as long as it is more than twice as large, then interpolated: OpenCV averages exact
    halves fast, and other areas slowly. Source: 1024×768 to 640×480 takes 0.7 ms instead of 4.2; of
    163 held-out plates, enlarged to five widths, as many are found (within 1 in 100).
    """
    width, height = size_px
    while image.shape[1] > 2 * width and image.shape[0] > 2 * height:
        half = -(-image.shape[1] // 2), -(-image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(image, size_px, interpolation=cv2.INTER_LINEAR), np.uint8)


def decode(
    raw: NDArray[np.float32], min_logit: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Network output `(9, R, C)` → scores `(K,)` and quads `(K, 4, 2)` in input pixels.

    Peaks of the score map, best first, without overlapping boxes.
    """
    logit = raw[0]
    peak = logit >= cv2.dilate(logit, np.ones((3, 3), np.uint8))
    rows, cols = np.nonzero(peak & (logit >= min_logit))
    order = np.argsort(-logit[rows, cols], kind="stable")[: 4 * MAX_PLATES]
    rows, cols = rows[order], cols[order]
    centres = (np.stack([cols, rows], -1).astype(np.float32) + 0.5) * STRIDE_PX
    quads = raw[1:, rows, cols].T.reshape(-1, 4, 2) * CORNER_UNIT_PX + centres[:, None]
    kept = _without_overlaps(np.concatenate([quads.min(1), quads.max(1)], 1))
    scores = 1.0 / (1.0 + np.exp(-logit[rows, cols]))
    return scores[kept], quads[kept].astype(np.float32)


def cut_window(image: Image, quad: Quad, out: Image) -> tuple[NDArray[np.float32], float]:
    """Fill `out` with the surroundings of a quad, its plate `WINDOW_PLATE_PX` wide in the middle.

    Returns:
        The picture's x, y at the window's origin, and the window's pixels per picture pixel.
    """
    low, high = quad.min(0), quad.max(0)
    width = max(float(high[0] - low[0]), 1.6 * float(high[1] - low[1]), 4.0)
    scale = min(WINDOW_PLATE_PX / width, MAX_ENLARGEMENT)
    size = np.array(out.shape[1::-1], np.float32)
    origin = np.asarray((low + high) / 2 - size / (2 * scale), np.float32)
    # Two pixels more than are seen: the edge is interpolated from the picture, where there is one.
    x0, y0 = np.floor(origin).astype(int) - 2
    x1, y1 = np.ceil(origin + size / scale).astype(int) + 2
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, image.shape[1]), min(y1, image.shape[0])
    if right - left < 2 or bottom - top < 2:
        out[:] = 114
        return origin, scale
    part = image[top:bottom, left:right]
    shrink = scale if scale < 0.7 else 1.0
    if shrink < 1.0:
        part = np.asarray(
            cv2.resize(
                part, _scaled(right - left, bottom - top, shrink), interpolation=cv2.INTER_AREA
            ),
            np.uint8,
        )
    # Pixel centres: window = (picture + 0.5 - origin) * scale - 0.5, through the shrunken part.
    ratio = np.array([right - left, bottom - top], np.float32) / part.shape[1::-1]
    gain = ratio * scale
    shift = (np.array([left, top], np.float32) - origin) * scale + 0.5 * gain - 0.5
    matrix = np.array([[gain[0], 0, shift[0]], [0, gain[1], shift[1]]], np.float32)
    cv2.warpAffine(
        part,
        matrix,
        (out.shape[1], out.shape[0]),
        dst=out,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(114, 114, 114),
    )
    return origin, scale


def _nearest_middle(raw: Floats) -> tuple[float, Floats]:
    """The best plate near the middle of a window's output `(9, R, C)`: score and quad."""
    rows, cols = raw.shape[1:]
    y0, x0 = rows // 4, cols // 4
    logit = raw[0, y0 : rows - y0, x0 : cols - x0]
    row, col = np.unravel_index(int(np.argmax(logit)), logit.shape)
    y, x = int(row) + y0, int(col) + x0
    centre = (np.array([x, y], np.float32) + 0.5) * STRIDE_PX
    quad = raw[1:, y, x].reshape(4, 2) * CORNER_UNIT_PX + centre
    score = 1.0 / (1.0 + np.exp(-float(raw[0, y, x])))
    return score, np.asarray(quad, np.float32)


def _logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _without_overlaps(boxes: NDArray[np.float32]) -> list[int]:
    kept: list[int] = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for i in range(len(boxes)):
        if not np.isfinite(boxes[i]).all() or area[i] <= 0:
            continue
        others = boxes[kept]
        low = np.maximum(boxes[i, :2], others[:, :2])
        high = np.minimum(boxes[i, 2:], others[:, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        if (shared <= OVERLAP * (area[i] + area[kept] - shared)).all():
            kept.append(i)
        if len(kept) == MAX_PLATES:
            break
    return kept


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))
