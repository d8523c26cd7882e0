"""Edge: OpenCV's and FFmpeg's process-wide switches, set in one place.

OpenCV and the FFmpeg inside it print to standard error and take some options only from environment
variables. This module sets them, and wraps an open capture as a `live.Stream`; it opens nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from alpr_edge.types import Image

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_options_lock = threading.Lock()


def quiet_opencv() -> None:
    """Keeps OpenCV and FFmpeg off the console, unless the environment asks for their messages.

    FFmpeg's level is read when the first stream is opened: call this before. -8 is AV_LOG_QUIET.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@contextmanager
def ffmpeg_options(**options: str) -> Iterator[None]:
    """Options for the one FFmpeg stream that is opened inside.

    OpenCV reads them from the environment at each open, so opens take turns.
    """
    with _options_lock:
        before = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = "|".join(f"{key};{value}" for key, value in options.items())
        try:
            yield
        finally:
            if before is None:
                del os.environ[_OPTIONS]
            else:
                os.environ[_OPTIONS] = before


class OpenCvStream:
    """An open `cv2.VideoCapture` as a `live.Stream`."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture

    def grab(self) -> bool:
        """See `live.Stream`."""
        try:
            return self._capture.grab()
        except cv2.error:
            return False

    def retrieve(self) -> Image | None:
        """See `live.Stream`."""
        try:
            ok, image = self._capture.retrieve()
        except cv2.error:
            return None
        return np.require(image, np.uint8, ["C", "W", "O"]) if ok and image is not None else None

    def position_ms(self) -> float:
        """The stream's own time of the frame just taken."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC)

    def stated_fps(self) -> float:
        """Frames per second that the stream claims; often nonsense."""
        return self._capture.get(cv2.CAP_PROP_FPS)

    def release(self) -> None:
        """See `live.Stream`."""
        self._capture.release()
