"""Draws masks over a picture: what is blanked, what taints, and gate lines with their direction."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import cv2
import numpy as np

from alpr_edge.exclusion.zones import rasterise
from alpr_edge.types import Image
from alpr_edge.zone_set import Taints, ZoneSet

_BAND: Final = (0, 200, 255)
_GATE: Final = (255, 80, 255)


def draw(picture: Image, zones: ZoneSet, *, least_band: float) -> Image:
    """A copy of the picture: masks black, the band tinted, gates as arrows to the tainting side."""
    height, width = picture.shape[:2]
    raster = rasterise(zones, size_px=(width, height), digest="", least_band=least_band)
    drawn = picture.copy()
    ring = (raster.band > 0) & (raster.core == 0)
    drawn[ring] = (drawn[ring] * 0.5 + np.array(_BAND) * 0.5).astype(np.uint8)
    drawn[raster.core > 0] = 0
    thick = max(1, width // 640)
    for gate in zones.gates:
        points = [(round(x * width), round(y * height)) for x, y in gate.line]
        for (ax, ay), (bx, by) in pairwise(points):
            cv2.line(drawn, (ax, ay), (bx, by), _GATE, thick)
            middle = np.array([(ax + bx) / 2, (ay + by) / 2])
            along = np.array([bx - ax, by - ay], float)
            # The picture's y runs down: this points to the right of the line.
            right = np.array([-along[1], along[0]]) / max(1e-6, float(np.hypot(*along)))
            for taints, side in ((Taints.LEFT_TO_RIGHT, 1), (Taints.RIGHT_TO_LEFT, -1)):
                if gate.taints in (taints, Taints.BOTH):
                    tip = middle + right * side * width / 40
                    start, end = (tuple(int(v) for v in p) for p in (middle, tip))
                    cv2.arrowedLine(drawn, start, end, _GATE, thick)
    return drawn
