"""Edge: a video file (FFmpeg through OpenCV) or a folder of photos, as a `FrameSource`.

It opens regular files, by FFmpeg's `file` protocol only: a playlist cannot reach the network.
`playback` keeps the time. Rotation in a video's metadata is applied, as EXIF is in photos.
"""

from __future__ import annotations

import math
import os
from typing import Final

import cv2
import numpy as np

from alpr_edge.capture.opencv import ffmpeg_options, quiet_opencv
from alpr_edge.capture.photos import find_photos, load_photo
from alpr_edge.capture.playback import PlaybackOptions, PlaybackSource, Reel
from alpr_edge.config.files import display_name, regular_file_trouble
from alpr_edge.errors import CaptureError
from alpr_edge.types import Image

FALLBACK_FPS: Final = 25.0
"""For files that state no rate. Source: PAL, and the default of FFmpeg's raw demuxers."""
_CUT_SHARE: Final = 0.95
"""A file that gives less than this share of the frames it states is reported as cut off. Stated
counts are estimates in some containers, so a few missing frames mean nothing."""


def video_file_source(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    options: PlaybackOptions = PlaybackOptions(),  # noqa: B008, frozen
) -> PlaybackSource:
    """A video file, every frame once.

    The iterator raises `CaptureError` with `capture.video.missing`, `.unreadable`, `.not_a_file`,
    `.unplayable` or `capture.size`; a file that is cut off ends early with `capture.video.broken`
    in the counters.

    Args:
        fps: frames per second, instead of the file's own.
    """
    name = display_name(path)
    return PlaybackSource(name, lambda: _play_file(path, name, fps), options)


def folder_source(
    path: str | os.PathLike[str],
    *,
    fps: float = 10.0,
    options: PlaybackOptions = PlaybackOptions(),  # noqa: B008, frozen
) -> PlaybackSource:
    """Photos of a folder in the order of their names, as a video. Broken ones are passed over.

    Args:
        fps: frames per second that they stand for.
    """
    return PlaybackSource(display_name(path), lambda: _play_folder(path, fps), options)


def _play_folder(path: str | os.PathLike[str], fps: float) -> Reel:
    index = -1
    for index, entry in enumerate(find_photos([path])):
        picture: Image | CaptureError
        try:
            picture = entry.error or load_photo(entry.path).image
        except CaptureError as err:
            picture = err
        yield index / fps, picture
    return (index + 1) / fps


def _play_file(path: str | os.PathLike[str], name: str, fps: float | None) -> Reel:
    capture = _open(path, name)
    try:
        rate = fps or _sound(capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FPS
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        index, last_s = 0, -math.inf
        while (image := _next_image(capture)) is not None:
            position_s = index / rate
            if fps is None:
                position_s = max(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, 0.0)
                if not position_s > last_s:  # no time stamps in the file, or broken ones
                    position_s = index / rate if index == 0 else last_s + 1 / rate
            yield position_s, image
            index, last_s = index + 1, position_s
        if index == 0:
            raise _error("unplayable", f"{name} holds no picture that can be decoded")
        if _sound(stated) and index < stated * _CUT_SHARE - 1:
            what = f"{name} ends after {index} of {stated:.0f} frames"
            yield last_s, _error("broken", what)
        return last_s + 1 / rate
    finally:
        capture.release()


def _open(path: str | os.PathLike[str], name: str) -> cv2.VideoCapture:
    trouble = regular_file_trouble(path)
    if trouble is not None:
        raise CaptureError(
            f"{name} {trouble.detail}",
            code=f"capture.video.{trouble.kind.value}",
            hint=trouble.hint,
        )
    quiet_opencv()
    with ffmpeg_options(protocol_whitelist="file"):
        capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise _error("unplayable", f"{name} is not a video that can be played")
    return capture


def _next_image(capture: cv2.VideoCapture) -> Image | None:
    try:
        ok, image = capture.read()
    except cv2.error:
        return None
    return np.require(image, np.uint8, ["C", "W", "O"]) if ok and image is not None else None


def _sound(value: float) -> float | None:
    return value if math.isfinite(value) and 0 < value < 1e9 else None


def _error(kind: str, message: str) -> CaptureError:
    hint = "copy the file again, or convert it to MP4 with H.264"
    return CaptureError(message, code=f"capture.video.{kind}", hint=hint)
