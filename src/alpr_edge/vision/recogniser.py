"""The plate recogniser: straightened crops in, texts with a confidence per character out."""

from __future__ import annotations

import json

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import InferenceError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.types import Detection, Image, PlateCrop, Quad, Read, Region
from alpr_edge.vision.models import Model

CROP_SIZE_PX = (160, 64)
MARGIN = 0.08
"""Share of the crop left round the plate on each side.

As in training, `scripts/train/recogniser_data.py`."""

_X0, _X1 = MARGIN * CROP_SIZE_PX[0], (1 - MARGIN) * CROP_SIZE_PX[0]
_Y0, _Y1 = MARGIN * CROP_SIZE_PX[1], (1 - MARGIN) * CROP_SIZE_PX[1]
_GOAL = np.array([[_X0, _Y0], [_X1, _Y0], [_X1, _Y1], [_X0, _Y1]], np.float32)


def crop_plate(frame: MaskedFrame, detection: Detection) -> PlateCrop:
    """Straighten one plate out of a masked frame."""
    image = rectify(frame.image, detection.quad)
    sharpness = float(cv2.Laplacian(image, cv2.CV_32F).var())
    image.setflags(write=False)
    return PlateCrop(image, detection, sharpness)


def rectify(image: Image, quad: Quad) -> Image:
    """Map a quad of a `(H, W, 3)` picture to a grey `(64, 160)` crop with `MARGIN` round it.

    Only the plate's surroundings are touched; a plate much larger than the crop is averaged down
    first, so that strokes do not alias.
    """
    height, width = image.shape[:2]
    low, high = quad.min(0), quad.max(0)
    reach = 0.3 * (high - low) + 2
    x0, y0 = np.clip(np.floor(low - reach), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(high + reach), (x0 + 1, y0 + 1), (width, height)).astype(int)
    window = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY)
    points = quad - np.array([x0, y0], np.float32)
    shrink = CROP_SIZE_PX[0] / max(float(high[0] - low[0]), 1.0)
    if shrink < 0.5:
        size = max(1, round(window.shape[1] * shrink)), max(1, round(window.shape[0] * shrink))
        points = points * (np.array(size, np.float32) / (window.shape[1], window.shape[0]))
        window = cv2.resize(window, size, interpolation=cv2.INTER_AREA)
    matrix = cv2.getPerspectiveTransform(points.astype(np.float32), _GOAL)
    return np.asarray(
        cv2.warpPerspective(window, matrix, CROP_SIZE_PX, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


class Recogniser:
    """Reads straightened plates.

    Args:
        model: `(N, 64, 160)` uint8 grey → characters `(N, S, 37)` and regions `(N, R)`, logits.
            Its metadata names `alphabet`, `regions` and `temperature`.

    Raises:
        InferenceError: the metadata does not fit the outputs (`vision.model.metadata`).
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        try:
            self._alphabet = model.about["alphabet"]
            self._regions = [str(r) for r in json.loads(model.about["regions"])]
            self._temperature = float(model.about["temperature"])
        except (KeyError, ValueError) as err:
            raise InferenceError(
                f"the recogniser's metadata is incomplete: {err}", code="vision.model.metadata"
            ) from err

    def read(self, crops: list[PlateCrop]) -> list[Read | None]:
        """Text of each crop, in order; None where no character was seen."""
        if not crops:
            return []
        characters, regions = self._model.run(np.stack([c.image for c in crops]))
        characters = _softmax(characters / self._temperature)
        regions = _softmax(regions)
        return [self._text(c, r) for c, r in zip(characters, regions, strict=True)]

    def _text(self, slots: NDArray[np.float32], regions: NDArray[np.float32]) -> Read | None:
        codes = slots.argmax(-1)
        sure = slots.max(-1)
        pad = len(self._alphabet)
        length = int(np.argmax(codes == pad)) if (codes == pad).any() else len(codes)
        if length == 0:
            return None
        text = "".join(self._alphabet[c] for c in codes[:length])
        # The plate is right when every character is, and the end is where it was seen.
        confidence = float(sure[: length + 1].prod())
        if not np.isfinite(confidence):
            return None
        best = int(regions.argmax())
        region = Region(self._regions[best], round(float(regions[best]), 4))
        return Read(text, confidence, tuple(float(s) for s in sure[:length]), region)


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)
