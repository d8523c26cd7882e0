"""A still as a JPEG that fits the wire. Pure but for OpenCV's encoder.

At 115200 baud some 8 kB of a file pass in a second (`frames.wire_size`), so a picture of 60 kB
takes eight seconds. Quality is lowered until the picture fits, never below `LEAST_QUALITY`; then it
is made smaller.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from alpr_edge.types import Image

BUDGET_BYTES: Final = 64_000
LEAST_QUALITY: Final = 35
_QUALITIES: Final = (82, 72, 62, 52, 42, LEAST_QUALITY)


def encode_jpeg(image: Image, budget_bytes: int = BUDGET_BYTES) -> bytes:
    """The file of a picture, of at most that many bytes where it can be done at 64 pixels width."""
    while True:
        data = b""
        for quality in _QUALITIES:
            flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
            good, found = cv2.imencode(".jpg", image, flags)
            if not good:
                raise AssertionError("OpenCV could not write a JPEG")
            data = found.tobytes()
            if len(data) <= budget_bytes:
                return data
        rows, columns = image.shape[:2]
        if columns <= 64:
            return data
        size = (max(16, columns * 3 // 4), max(1, rows * 3 // 4))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
