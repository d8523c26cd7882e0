"""The reader of photos: `alpr-edge read` and the bench."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from alpr_edge.config.mask_file import mask_digest
from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.sight import FindsPlates, ReadsPlates, read_still
from alpr_edge.types import Drop, Frame, Sighting
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.zone_set import ZoneSet

STILL_MIN_CONFIDENCE = 0.3
"""Weakest read that `alpr-edge read` shows by default."""

STILL_ON_SURE_PLATE = 0.1
"""The same on what the detector is sure to be a plate. Source: held-out training scenes and
pictures without plates, 2026-11: three plates more of 171, no false read more."""

_ZONES_KEPT = 2


def still_zones(masks: ZoneSet, size_px: tuple[int, int]) -> Zones:
    """The zones of masks from a file, without a band of their own."""
    return rasterise(masks, size_px=size_px, digest=mask_digest(masks))


class StillReader:
    """Reads photos of any size under one set of masks. One photo at a time."""

    def __init__(
        self,
        detector: FindsPlates,
        recogniser: ReadsPlates,
        masks: ZoneSet,
        min_confidence: float,
        on_sure_plate: float | None = None,
    ) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._masks = masks
        self._min_confidence, self._on_sure_plate = min_confidence, on_sure_plate
        self._zones: OrderedDict[tuple[int, int], Zones] = OrderedDict()

    def read(self, frame: Frame) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
        """Mask, detect, read, judge. Blanks the frame in place."""
        height, width = frame.image.shape[:2]
        return read_still(
            frame,
            self._zones_for((width, height)),
            self._detector,
            self._recogniser,
            min_confidence=self._min_confidence,
            on_sure_plate=self._on_sure_plate,
        )

    def _zones_for(self, size_px: tuple[int, int]) -> Zones:
        zones = self._zones.pop(size_px, None) or still_zones(self._masks, size_px)
        self._zones[size_px] = zones
        while len(self._zones) > _ZONES_KEPT:
            self._zones.popitem(last=False)
        return zones


def make_still_reader(
    *,
    masks: str | None = None,
    threads: int = 1,
    min_confidence: float | None = None,
    tier: Literal["accurate", "fast"] = "accurate",
) -> StillReader:
    """The reader of `alpr-edge read`.

    Args:
        min_confidence: weakest read shown; None for the defaults.

    Raises:
        ConfigError: the mask file is missing or wrong.
        InferenceError, TrustError: a model is missing, broken or not the one listed.
    """
    record = ZoneSet(nothing_protected=True)
    if masks is not None:
        from alpr_edge.config.mask_store import load_masks

        record = load_masks(masks)
    return StillReader(
        Detector(load_model("detector.onnx", threads=threads), close_look=tier == "accurate"),
        Recogniser(load_model("recogniser.onnx", threads=threads), look_again=tier == "accurate"),
        record,
        STILL_MIN_CONFIDENCE if min_confidence is None else min_confidence,
        STILL_ON_SURE_PLATE if min_confidence is None else None,
    )
