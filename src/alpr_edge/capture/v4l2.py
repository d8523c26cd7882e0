"""Edge: a camera of this machine, over Video4Linux 2 through OpenCV.

It opens the device and sets format, size and rate; `live` reads and reconnects. Proven here only
against what is missing or no camera; frames of a real one are proven in `hil_tests/`. Rules:

- The driver's answer counts: another size than the one asked for is refused, because masks are
  commissioned for one view (N3). Another rate or pixel format is accepted.
- Nothing is opened that is not a character device.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import cv2

from alpr_edge.capture.live import LiveOptions, LiveSource, Stream
from alpr_edge.capture.opencv import OpenCvStream, quiet_opencv
from alpr_edge.config.files import display_name
from alpr_edge.errors import CaptureError

_HINTS: Final = {
    "missing": "plug the camera in; `ls /dev/v4l/by-path` lists what is there",
    "not_a_device": "name a device such as /dev/video0",
    "unreadable": "put the service's user in the group `video`",
    "not_a_camera": "check that it gives video (`v4l2-ctl --list-devices`) and nobody else uses it",
    "format": "`v4l2-ctl --list-formats-ext` lists its sizes; set source.width and height",
    "lost": "it is tried again by itself; check the cable and the power supply",
}


def v4l2_source(
    device: str | os.PathLike[str],
    *,
    size: tuple[int, int],
    fourcc: str = "MJPG",
    fps: float = 30.0,
    options: LiveOptions = LiveOptions(),  # noqa: B008, frozen
) -> LiveSource:
    """A camera of this machine. Opens nothing yet.

    Codes in the counters: `capture.v4l2.missing`, `.not_a_device`, `.unreadable`, `.not_a_camera`,
    `.format`, `.lost`, `capture.size`.

    Args:
        size: width and height in pixels.
        fourcc: pixel format, four characters.
        fps: frames per second asked of the driver.
    """
    name = display_name(device)

    def open_stream() -> Stream:
        _check_device(device, name)
        quiet_opencv()
        capture = cv2.VideoCapture(os.fspath(device), cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise _error("not_a_camera", f"{name} gives no video")
        # Order matters: the format decides which sizes there are, the size which rates.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, fps)
        given = (
            round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if given != size:
            capture.release()
            what = f"{name} gives {given[0]} x {given[1]} pixels, not {size[0]} x {size[1]}"
            raise _error("format", what)
        return OpenCvStream(capture)

    return LiveSource(
        name,
        open_stream,
        lost=lambda: _error("lost", f"{name} gives no more frames"),
        options=options,
    )


def _check_device(device: str | os.PathLike[str], name: str) -> None:
    try:
        mode = os.stat(device).st_mode
    except (OSError, ValueError):
        raise _error("missing", f"{name} does not exist") from None
    if not stat.S_ISCHR(mode):
        raise _error("not_a_device", f"{name} is not a video device")
    if not os.access(device, os.R_OK | os.W_OK):
        raise _error("unreadable", f"{name} may not be opened by this user")


def _error(kind: str, message: str) -> CaptureError:
    return CaptureError(message, code=f"capture.v4l2.{kind}", hint=_HINTS[kind])
