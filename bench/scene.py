"""The picture that the stages are timed on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Image


def from_file(path: Path) -> Image:
    """A picture from disk, `(H, W, 3)` uint8 BGR."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"bench: {path} is not a picture that can be read")
    return np.asarray(picture, np.uint8)


def from_street(size_px: tuple[int, int]) -> Image:
    """The frame of the simulated street that shows the most readable plates (the first such)."""
    street = Street(StreetConfig(seed=1, width_px=size_px[0], height_px=size_px[1]))
    fps = street.config.fps
    best = max(
        range(0, street.config.frame_count, 5),
        key=lambda number: sum(one.readable for one in street.truth(number / fps)),
    )
    return street.frame(best).image
