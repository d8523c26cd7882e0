"""Edge: the picture that may leave over the console: masked, small, without moving vehicles.

The pipeline offers every frame after the mask. While somebody is logged in, a small picture of
one is kept every `EVERY_S`, as `exclusion.still` makes it: plates covered, what taints in coarse
blocks. A still is the median of the pictures, so that what moves vanishes from it. While nobody
is, nothing is made and nothing is kept.

Rules:
- Only frames under the masks that are in force now are used: older ones may show what is masked.
- Plates are never shown, to nobody: whether a read is suppressed is not known before its vehicle is
  gone, and a picture of its plate would be that read (N2, ADR 0022).
- A frame that nobody looked at (the view has changed, a self-test is due) has unfound plates: it is
  kept at `UNSEEN_PX` width, where no plate can be read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from alpr_edge.console.channel.picture import encode_jpeg
from alpr_edge.console.device import Still
from alpr_edge.errors import ConsoleError, ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.still import make_still
from alpr_edge.exclusion.zones import Zones
from alpr_edge.trust.checks import format_time
from alpr_edge.types import Image, Sighting

KEPT: Final = 3
EVERY_S: Final = 1.0
FIRST_S: Final = 4.0
"""Somebody who has just logged in asks before `KEPT` pictures are there."""
WIDEST_PX: Final = 640
UNSEEN_PX: Final = 64
"""Source: a plate is read from about 60 pixels width on (models/README.md); in a frame of 64 none
is so wide, not even where the camera was turned or zoomed in and the masks lie elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    image: Image
    digest: str
    taken_at: str
    seen: bool


class ViewKeeper:
    """Keeps what a still is made of. Offered to by one thread, asked by another.

    Args:
        zones_of: the zones that the masks in force make in frames of this width and height.
        wanted: whether somebody could ask for a still.
        wait_s: how long who asks first waits for `KEPT` pictures.
    """

    def __init__(
        self,
        zones_of: Callable[[tuple[int, int]], Zones | None],
        wanted: Callable[[], bool] = lambda: True,
        *,
        wait_s: float = FIRST_S,
    ) -> None:
        self._zones_of, self._wait_s = zones_of, wait_s
        self.wanted = wanted
        self._zones: Zones | None = None
        self._lock = threading.Condition()
        self._kept: deque[_Kept] = deque(maxlen=KEPT)
        self._last_s = -EVERY_S

    def offer(self, frame: MaskedFrame, sightings: Sequence[Sighting], *, seen: bool) -> None:
        """A frame after the mask. Cheap but once in `EVERY_S`.

        Args:
            seen: the detector has looked at it.
        """
        if not self.wanted():
            if self._kept:
                with self._lock:
                    self._kept.clear()
            return
        now_s = time.monotonic()
        if now_s - self._last_s < EVERY_S:
            return
        self._last_s = now_s
        rows, columns = frame.image.shape[:2]
        zones = self._zones
        if (
            zones is None
            or zones.digest != frame.mask_digest
            or zones.core.shape != (rows, columns)
        ):
            zones = self._zones = self._zones_of((columns, rows))
        if zones is None or zones.digest != frame.mask_digest:
            # Other masks have come since: the next frame is under them.
            return
        plates = [one.detection.quad for one in sightings]
        width = WIDEST_PX if seen else UNSEEN_PX
        image = make_still(frame, zones, plates, width_px=width)
        at = format_time(frame.captured_at.replace(microsecond=0))
        with self._lock:
            self._kept.append(_Kept(image, frame.mask_digest, at, seen))
            self._lock.notify_all()

    def still(self, width_px: int, digest: str, *, clear_plates: bool) -> Still:
        """The view as a JPEG.

        Args:
            digest: names the masks that are in force now.

        Raises:
            ConsoleError: `console.still.clear`: plates are never shown.
            ExclusionError: `exclusion.still.none`: no frame under these masks has come.
        """
        if clear_plates:
            raise ConsoleError(
                "plates are not shown: nobody knows yet which of them must be suppressed",
                code="console.still.clear",
                hint="reads that may leave: show reads",
            )

        def found_now() -> list[_Kept]:
            return [one for one in self._kept if one.digest == digest and digest]

        with self._lock:
            self._lock.wait_for(lambda: len(found_now()) >= KEPT, self._wait_s)
            found = found_now()
        if not found:
            raise ExclusionError(
                "no frame under the masks in force has come",
                code="exclusion.still.none",
                hint="show status; ask again when the camera runs",
            )
        newest = found[-1]
        alike = [one.image for one in found if one.image.shape == newest.image.shape]
        image = np.median(np.stack(alike), axis=0).astype(np.uint8)
        image = _fitted(image, max(64, min(width_px, WIDEST_PX)))
        height, width = image.shape[:2]
        jpeg = encode_jpeg(image)
        return Still(jpeg, width, height, newest.taken_at, digest, plates_blurred=True)


def _fitted(image: Image, width_px: int) -> Image:
    rows, columns = image.shape[:2]
    if columns <= width_px:
        return image
    size = (width_px, max(1, round(rows * width_px / columns)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
