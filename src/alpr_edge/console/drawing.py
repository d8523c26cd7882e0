"""Masks as a drawing of letters, for a terminal. Pure.

`#` blanked, `+` taints, `=` a gate line, `.` read. One letter stands for many pixels: it is `#` or
`+` if any of them is, so that the drawing never shows less than what is protected.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import ZoneSet

_ASPECT: Final = 2.0
"""A letter is about twice as high as wide. Source: 8 by 16 pixels of the VGA font."""
_FINE: Final = 8
"""Pixels of the drawing's own raster a letter, each way."""
_LEGEND: Final = "# blanked   + taints   = gate   . read"


def draw_letters(
    zones: ZoneSet | None, frame_px: tuple[int, int], columns: int, least_band: float = 0.0
) -> list[str]:
    """Lines of at most `columns` letters, frame and legend included.

    Args:
        zones: None draws a frame that is protected as a whole.
        least_band: as of `zones.rasterise`.
    """
    across = max(8, columns - 2)
    down = max(4, round(across * frame_px[1] / frame_px[0] / _ASPECT))
    letters = np.full((down, across), ".")
    if zones is None:
        letters[:] = "#"
    else:
        size = (across * _FINE, down * _FINE)
        raster = rasterise(zones, size_px=size, digest="", least_band=least_band)
        for mark, layer in (("+", raster.band), ("#", raster.core)):
            touched = (layer > 0).reshape(down, _FINE, across, _FINE).any(axis=(1, 3))
            letters[touched] = mark
        for gate in zones.gates:
            lines = np.zeros((down, across), np.uint8)
            points = [
                (min(across - 1, int(x * across)), min(down - 1, int(y * down)))
                for x, y in gate.line
            ]
            cv2.polylines(lines, [np.array(points, np.int32)], isClosed=False, color=1)
            letters[lines > 0] = "="
    edge = "+" + "-" * across + "+"
    return [edge, *(f"|{''.join(row)}|" for row in letters.tolist()), edge, _LEGEND]
