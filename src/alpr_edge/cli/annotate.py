"""Annotated picture and video of the demo, drawn on masked frames only.

No text of a read that is not released is ever drawn: plates in view get a frame, and the list of
published reads stands at the bottom.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.delivery.event import Event
from alpr_edge.errors import AlprEdgeError
from alpr_edge.pipeline import StepResult
from alpr_edge.types import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MASK_BGR, _PLATE_BGR, _TEXT_BGR = (60, 60, 220), (80, 220, 80), (255, 255, 255)
_VIDEO_WIDTH_PX = 640
_SHOWN = 4


class Recorder:
    """Writes `demo.mp4` as frames come and `demo.png` from the frame with the most plates."""

    def __init__(self, folder: Path, fps: float, masks: list[list[tuple[float, float]]]) -> None:
        self._folder, self._fps = folder, fps
        self._masks = [np.array(mask, np.float32) for mask in masks]
        self._writer: cv2.VideoWriter | None = None
        self._recent: deque[str] = deque(maxlen=_SHOWN)
        self._best: tuple[int, Image] | None = None

    def __enter__(self) -> Recorder:
        return self

    def take(self, result: StepResult, events: tuple[Event, ...]) -> None:
        """Draw one frame."""
        self._recent.extend(event.released.track.read.plate for event in events)
        picture = self._draw(result)
        height, width = picture.shape[:2]
        size = (_VIDEO_WIDTH_PX, round(height * _VIDEO_WIDTH_PX / width / 2) * 2)
        if self._writer is None:
            self._writer = _open(self._folder / "demo.mp4", self._fps, size)
        self._writer.write(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        worth = 10 * len(self._recent) + len(result.sightings)
        if result.sightings and (self._best is None or worth > self._best[0]):
            self._best = (worth, picture)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if self._best is not None:
            cv2.imwrite(str(self._folder / "demo.png"), self._best[1])

    def _draw(self, result: StepResult) -> Image:
        picture: Image = result.masked.image.copy()
        height, width = picture.shape[:2]
        scale = np.array([width, height], np.float32)
        for mask in self._masks:
            points = np.round(mask * scale).astype(np.int32)
            cv2.polylines(picture, [points], True, _MASK_BGR, 2, cv2.LINE_AA)
        for sighting in result.sightings:
            points = np.round(sighting.detection.quad).astype(np.int32)
            cv2.polylines(picture, [points], True, _PLATE_BGR, 2, cv2.LINE_AA)
        bar = picture[height - 44 :]
        bar[:] = (bar * 0.35).astype(np.uint8)
        _write(picture, "published: " + "  ".join(self._recent), (12, height - 14))
        if self._masks:
            _write(picture, "masked: never seen, never read", (12, 28))
        return picture


def _write(picture: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, _FONT, 0.8, _TEXT_BGR, 1, cv2.LINE_AA)


def _open(path: Path, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    if not writer.isOpened():
        raise AlprEdgeError(
            f"{path} cannot be written", code="demo.video", hint="choose another --out"
        )
    return writer
