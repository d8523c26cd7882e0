"""The plate detector: a masked frame in, plates with four corners out.

It takes a `MaskedFrame` and nothing else: unmasked pixels cannot reach the model.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.types import Detection, Image
from alpr_edge.vision.models import Model

STRIDE_PX = 8
CORNER_UNIT_PX = 16.0
"""Both as in the trained network, `scripts/train/detector_net.py`."""

GRID_PX = 32
"""The network's deepest stride: input sides are multiples of it."""

MAX_PLATES = 64
"""More than any street scene holds; bounds the work on a hostile picture."""

OVERLAP = 0.4
"""Two boxes with a larger intersection over union are one plate."""


class Detector:
    """Finds plates.

    Args:
        model: a detector model: `(1, H, W, 3)` uint8 BGR → `(1, 9, H/8, W/8)`.
        size_px: width and height, multiples of 32, that the frame is scaled to fit into.
        min_score: detections below it are not reported.
    """

    def __init__(
        self, model: Model, *, size_px: tuple[int, int] = (640, 640), min_score: float = 0.3
    ) -> None:
        self._model = model
        self._size_px = size_px
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._canvas: Image = np.zeros((0, 0, 3), np.uint8)

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        """Plates in the frame, best first, in the frame's pixels."""
        height, width = frame.image.shape[:2]
        scale = min(self._size_px[0] / width, self._size_px[1] / height)
        canvas = self._fit(frame.image, scale)
        raw = self._model.run(canvas[None])[0][0]
        scores, quads = decode(raw, self._min_logit)
        step = np.array([width, height], np.float32) / _scaled(width, height, scale)
        return tuple(
            Detection(quad * step, float(s)) for quad, s in zip(quads, scores, strict=True)
        )

    def _fit(self, image: Image, scale: float) -> Image:
        """Scale into the reused canvas, top left; the rest stays grey."""
        width, height = _scaled(image.shape[1], image.shape[0], scale)
        rows, cols = (-(-side // GRID_PX) * GRID_PX for side in (height, width))
        if self._canvas.shape[:2] != (rows, cols):
            self._canvas = np.full((rows, cols, 3), 114, np.uint8)
        self._canvas[height:] = 114
        self._canvas[:, width:] = 114
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        self._canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=how)
        return self._canvas


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
