"""What one masked frame shows: found, straightened, read. Pure: no clock, no file, no network.

    masked → detect → crop → read

And the whole way of a single photo, which nothing follows: mask, look, judge. `pipeline` does the
same for a camera, with tracks, gate and guards. They are apart so that whoever reads photos loads
no more than that takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.photo import judge_still
from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Detection, Drop, DropReason, Frame, PlateCrop, Read, Sighting
from alpr_edge.vision.recogniser import crop_plate

SURE_PLATE = 0.6
"""Detector score of what is certainly a plate. Source: held-out training scenes and pictures
without plates, 2026-11: of 142 finds at 0.6 or more, 125 were labelled plates."""


class FindsPlates(Protocol):
    """Port of the detector."""

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]: ...


class ReadsPlates(Protocol):
    """Port of the recogniser."""

    def read(self, crops: list[PlateCrop]) -> Sequence[Read | None]: ...


def look(
    masked: MaskedFrame, detector: FindsPlates, recogniser: ReadsPlates
) -> tuple[Sighting, ...]:
    """Detect and read the plates of one masked frame."""
    return read_plates(masked, detector.detect(masked), recogniser)


def read_plates(
    masked: MaskedFrame, found: Sequence[Detection], recogniser: ReadsPlates
) -> tuple[Sighting, ...]:
    """Straighten and read plates that were found."""
    crops = [crop_plate(masked, detection) for detection in found]
    reads = recogniser.read(crops)
    return tuple(
        Sighting(crop.detection, read, crop.sharpness)
        for crop, read in zip(crops, reads, strict=True)
    )


def read_still(
    frame: Frame,
    zones: Zones,
    detector: FindsPlates,
    recogniser: ReadsPlates,
    *,
    min_confidence: float,
    on_sure_plate: float | None = None,
) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
    """The way of a single photo: mask, look, judge. Nothing is followed, nothing is sent.

    Args:
        min_confidence: weaker reads are dropped as `WEAK_READ`.
        on_sure_plate: the same where the detector's score is at least `SURE_PLATE`: what is
            certainly a plate is shown from a weaker read on. None for no difference.

    Returns:
        Sightings that may be shown, each with a read, and a drop for every other one.

    Raises:
        ExclusionError: the photo's size is not the zones'.
    """
    masked = Masker(zones).apply(frame)
    shown, drops = judge_still(zones, look(masked, detector, recogniser))
    weakest = min_confidence if on_sure_plate is None else on_sure_plate

    def is_shown(sighting: Sighting) -> bool:
        enough = weakest if sighting.detection.score >= SURE_PLATE else min_confidence
        return sighting.read is not None and sighting.read.confidence >= enough

    good = tuple(s for s in shown if is_shown(s))
    weak = (Drop(DropReason.WEAK_READ),) * (len(shown) - len(good))
    return good, drops + weak
