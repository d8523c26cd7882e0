"""One frame's way, from masked pixels to released reads. Pure: no clock, no file, no network.

    masked → detect → crop → read → track → gate

Every port is given: tests run it with an engine that "reads" everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from alpr_edge.exclusion.gate import Gate, GateStep, judge_still
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import (
    Detection,
    Drop,
    DropReason,
    Frame,
    PlateCrop,
    Read,
    Sighting,
    TrackStep,
)
from alpr_edge.vision.recogniser import crop_plate
from alpr_edge.vision.tracker import Tracker


class FindsPlates(Protocol):
    """Port of the detector."""

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]: ...


class ReadsPlates(Protocol):
    """Port of the recogniser."""

    def read(self, crops: list[PlateCrop]) -> Sequence[Read | None]: ...


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """What one frame gave.

    Attributes:
        masked: the frame without its protected pixels, for the annotated picture of the demo.
        sightings: what was seen in it; stays on the device.
        tracks: what it did to the tracks; stays on the device.
        gate: what may leave, and what was suppressed.
    """

    masked: MaskedFrame
    sightings: tuple[Sighting, ...]
    tracks: TrackStep
    gate: GateStep


class Pipeline:
    """The way of a frame for one camera."""

    def __init__(
        self,
        *,
        masker: Masker,
        detector: FindsPlates,
        recogniser: ReadsPlates,
        tracker: Tracker,
        gate: Gate,
    ) -> None:
        self._masker = masker
        self._detector = detector
        self._recogniser = recogniser
        self._tracker = tracker
        self._gate = gate

    def step(self, frame: Frame) -> StepResult:
        """Take one frame through every station."""
        masked = self._masker.apply(frame)
        sightings = look(masked, self._detector, self._recogniser)
        tracks = self._tracker.step(
            sightings, captured_at=masked.captured_at, taken_ns=masked.taken_ns
        )
        return StepResult(masked, sightings, tracks, self._gate.step(tracks, masked.taken_ns))

    def finish(self) -> GateStep:
        """The source has ended: nothing stays open or held."""
        return self._gate.shutdown(self._tracker.finish())


def look(
    masked: MaskedFrame, detector: FindsPlates, recogniser: ReadsPlates
) -> tuple[Sighting, ...]:
    """Detect and read the plates of one masked frame."""
    crops = [crop_plate(masked, detection) for detection in detector.detect(masked)]
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
) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
    """The way of a single photo: mask, look, judge. Nothing is followed, nothing is sent.

    Returns:
        Sightings that may be shown, each with a read, and a drop for every other one.

    Raises:
        ExclusionError: the photo's size is not the zones'.
    """
    masked = Masker(zones).apply(frame)
    shown, drops = judge_still(zones, look(masked, detector, recogniser))
    good = tuple(s for s in shown if s.read is not None and s.read.confidence >= min_confidence)
    weak = (Drop(DropReason.WEAK_READ),) * (len(shown) - len(good))
    return good, drops + weak
