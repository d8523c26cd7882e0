"""The mask: the first operation on every frame, and the only source of a `MaskedFrame`.

Guarantee N1: the pixels of the core mask are overwritten in place before anything else sees the
frame, so two frames that differ only there are the same bytes from here on.

It makes no copy of the frame: the `Frame`'s own buffer is blanked and made read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import final

import cv2
import numpy as np

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Frame, Image

_SEAL = object()


@final
@dataclass(frozen=True, slots=True, eq=False)
class MaskedFrame:
    """A frame whose protected pixels are gone. Built by `Masker.apply` only.

    Attributes:
        image: `(H, W, 3)` uint8 BGR, read-only.
        mask_digest: the mask record that was applied.
    """

    image: Image
    source: str
    sequence: int
    captured_at: datetime
    taken_ns: int
    mask_digest: str
    _seal: object

    def __post_init__(self) -> None:
        if self._seal is not _SEAL:
            raise TypeError("only alpr_edge.exclusion.mask builds a MaskedFrame")

    def window(self, left: int, top: int, width: int, height: int) -> MaskedFrame:
        """A part of it, in the same pixels: what is masked stays masked.

        Raises:
            ValueError: the part is empty or not inside the frame.
        """
        rows, cols = self.image.shape[:2]
        if not (0 <= left < left + width <= cols and 0 <= top < top + height <= rows):
            raise ValueError(f"{width}x{height} at {left}, {top} is not inside {cols}x{rows}")
        return replace(self, image=self.image[top : top + height, left : left + width])


class Masker:
    """Blanks the core mask of one camera in every frame.

    The raster is prepared once; `apply` then costs one pass over the masks' bounding box.
    """

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        rows = np.flatnonzero(zones.core.any(axis=1))
        cols = np.flatnonzero(zones.core.any(axis=0))
        self._window: tuple[slice, slice] | None = None
        if len(rows):
            self._window = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
            keep = cv2.bitwise_not(zones.core[self._window])
            self._keep = np.ascontiguousarray(np.repeat(keep[..., None], 3, axis=2))

    @property
    def mask_digest(self) -> str:
        """The mask record that it applies."""
        return self._zones.digest

    def apply(self, frame: Frame) -> MaskedFrame:
        """Blank the frame in place and seal it.

        Raises:
            ExclusionError: the frame's size or type is not the one the mask was made for (N3).
        """
        image = frame.image
        expected = (self._zones.height_px, self._zones.width_px, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise ExclusionError(
                f"the frame is {image.shape} {image.dtype}, the mask was made for {expected} uint8",
                code="exclusion.frame_size",
                hint="set the camera's resolution back or commission the mask again",
            )
        if self._window is not None:
            window = image[self._window]
            np.bitwise_and(window, self._keep, out=window)
        image.setflags(write=False)
        return MaskedFrame(
            image=image,
            source=frame.source,
            sequence=frame.sequence,
            captured_at=frame.captured_at,
            taken_ns=frame.taken_ns,
            mask_digest=self._zones.digest,
            _seal=_SEAL,
        )
