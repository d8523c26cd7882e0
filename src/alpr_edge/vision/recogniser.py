"""The plate recogniser: straightened crops in, texts with a confidence per character out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import InferenceError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.types import Detection, Image, PlateCrop, Quad, Read, Region
from alpr_edge.vision.grammar import Grammar, ambiguous_places
from alpr_edge.vision.models import Model

CROP_SIZE_PX = (160, 64)
MARGIN = 0.08
"""Share of the crop left round the plate on each side.

As in training, `scripts/train/recogniser_data.py`."""

SLOTS = 10
"""Characters at the most; as in the trained network."""

SURE = 0.8
"""A plate whose weakest slot is less sure is looked at again."""

HOPELESS = 0.05
"""A read that is less sure is not looked at again. Source: held-out training scenes, 2026-11: three
of four second looks went to it, most of them at no plate; nothing that is shown changed."""

VIEWS = ((0.96, 0.08), (1.06, -0.08), (0.94, -0.05), (1.04, 0.05))
"""Zoom and slant of the looks at a doubtful plate: about a detector's error at its corners.

Source: 516 displaced views of 86 held-out plates, 2026-11: without looks 423 right, with two 433,
four 435, six 435, twelve 432; in their scenes 63, 64, 66, 67 of 86 with none, two, four, six."""

MAX_DOUBTFUL = 8
"""Doubtful plates that are looked at again in one frame, at the most: bounds the work."""

Floats = NDArray[np.float32]

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

    A plate that the first look leaves doubtful, but not hopeless, is looked at again, a little
    closer, wider and slanted, and the looks are averaged: that costs only where it can help.

    Args:
        model: `(N, 64, 160)` uint8 grey → characters `(N, S, 37)` and regions `(N, R)`, logits.
            Its metadata names `alphabet`, `regions`, `temperature`, and, from version 2 on,
            `grammar` and `calibration`.
        use_grammar: let the regions' serial patterns decide what the pixels do not.
        look_again: look again at doubtful plates; without it, one look alone.

    Raises:
        InferenceError: the metadata does not fit the outputs (`vision.model.metadata`).
    """

    def __init__(self, model: Model, *, use_grammar: bool = True, look_again: bool = True) -> None:
        self._model = model
        self._look_again = look_again
        about = model.about
        try:
            self._alphabet = about["alphabet"]
            self._regions = [str(r) for r in json.loads(about["regions"])]
            self._temperature = float(about["temperature"])
            self._calibration = _calibration(about.get("calibration", "null"))
            patterns = json.loads(about.get("grammar", "{}")) if use_grammar else {}
            self._grammar = Grammar(
                patterns, regions=self._regions, alphabet=self._alphabet, slots=SLOTS
            )
        except (KeyError, ValueError, TypeError, AttributeError) as err:
            raise InferenceError(
                f"the recogniser's metadata is incomplete: {err}", code="vision.model.metadata"
            ) from err

    def read(self, crops: list[PlateCrop]) -> list[Read | None]:
        """Text of each crop, in order; None where no character was seen."""
        if not crops:
            return []
        characters, regions = self._look(np.stack([c.image for c in crops]))
        reads = [self._text(c, r) for c, r in zip(characters, regions, strict=True)]
        if self._look_again:
            hopeful = [i for i, r in enumerate(reads) if r is not None and r.confidence >= HOPELESS]
            doubtful = [i for i in hopeful if _is_doubtful(characters[i])]
            for i in doubtful[:MAX_DOUBTFUL]:
                more, where = self._look(np.stack([_seen(crops[i].image, v) for v in VIEWS]))
                region = (regions[i] + where.sum(0)) / (1 + len(VIEWS))
                reads[i] = self._text(_mean_log(characters[i], more), region)
        return reads

    def _look(self, images: Image) -> tuple[Floats, Floats]:
        """Log-probabilities of the characters `(N, S, 37)`, probabilities of regions `(N, R)`."""
        characters, regions = self._model.run(images)
        return _log_softmax(characters / self._temperature), np.exp(_log_softmax(regions))

    def _text(self, slots: Floats, regions: Floats) -> Read | None:
        choice = self._grammar.choose(slots, regions)
        length = len(choice.codes)
        if length == 0 or not np.isfinite(slots).all():
            return None
        sure = slots[np.arange(length), list(choice.codes)]
        # The plate is right when every character is, and the end is where it was seen.
        total = float(sure.sum()) + (float(slots[length, -1]) if length < len(slots) else 0.0)
        best = int(regions.argmax())
        return Read(
            "".join(self._alphabet[c] for c in choice.codes),
            self._calibration.confidence(total),
            tuple(float(np.exp(s)) for s in sure),
            Region(self._regions[best], round(float(regions[best]), 4)),
            ambiguous_places(choice, self._alphabet),
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a read is, from the logarithm of the product of its characters' probabilities.

    `confidence = 1 / (1 + exp(-(offset + slope * log(-total))))`, slope below 0: Platt's scaling
    on the logarithm of the surprise. Source: Platt 1999; fitted on held-out training crops by
    `scripts/train/calibrate.py`.
    """

    offset: float
    slope: float

    def confidence(self, total: float) -> float:
        """0..1; falls with the surprise `-total`."""
        x = self.offset + self.slope * math.log(max(-total, 1e-6))
        return 1.0 / (1.0 + math.exp(-min(max(x, -30.0), 30.0)))


@dataclass(frozen=True, slots=True)
class _Product:
    """Without a fitted calibration: the plain product of the characters' probabilities."""

    def confidence(self, total: float) -> float:
        return math.exp(min(total, 0.0))


def _calibration(written: str) -> Calibration | _Product:
    value = json.loads(written)
    if value is None:
        return _Product()
    offset, slope = value
    return Calibration(float(offset), float(slope))


def _is_doubtful(characters: Floats) -> bool:
    """Whether a plate has a slot that is less sure than `SURE`."""
    return bool(characters.max(-1).min() < math.log(SURE))


def _seen(image: Image, view: tuple[float, float]) -> Image:
    """The crop again, `zoom` times as large and slanted by `slant`, about its middle."""
    zoom, slant = view
    width, height = CROP_SIZE_PX
    x, y = width / 2 - 0.5, height / 2 - 0.5
    matrix = np.array(
        [[zoom, slant, x - zoom * x - slant * y], [0, zoom, y - zoom * y]], np.float32
    )
    return np.asarray(
        cv2.warpAffine(image, matrix, CROP_SIZE_PX, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _mean_log(first: Floats, more: Floats) -> Floats:
    """The mean of several looks' log-probabilities, normalised again."""
    return _log_softmax((first + more.sum(0)) / (1 + len(more)))


def _log_softmax(x: Floats) -> Floats:
    x = x - x.max(-1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(-1, keepdims=True)), np.float32)
