"""The stations of a frame's way, one at a time, on a picture with plates in it.

Every station gets what the one before it really gave. A station whose models are missing is left
out and said so; nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import cv2
import numpy as np

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.pipeline import Pipeline
from alpr_edge.types import Detection, Frame, Image, Read, Sighting
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser, crop_plate
from alpr_edge.vision.tracker import Tracker
from bench import guards
from bench.measure import Timing, timed

FRAME_NS = 66_666_667
"""Fifteen frames a second: what a street camera usually gives."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READ = Read("7ABC123", 0.9, (0.98,) * 7, None)

MASK = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.4), (0.0, 0.4))
"""A mask over an eighth of the picture, at its upper left."""


class Frames:
    """Gives the same picture again and again with the clock going on, in one buffer."""

    def __init__(self, picture: Image) -> None:
        self._picture = picture
        self._sequence = 0

    def tick(self) -> int:
        """The monotonic time of the next frame."""
        self._sequence += 1
        return self._sequence * FRAME_NS

    def next(self) -> Frame:
        """A frame of its own: the mask blanks in place and seals the buffer."""
        taken_ns = self.tick()
        return Frame(
            image=self._picture.copy(),
            source="bench",
            sequence=self._sequence,
            captured_at=NOW,
            taken_ns=taken_ns,
        )


def street_of_plates() -> list[Detection]:
    """Sixteen plates of 80 px, standing: more than a street usually shows."""
    corners = np.array([[0, 0], [80, 0], [80, 40], [0, 40]], np.float32)
    places = [(200 + 400 * (n % 4), 200 + 200 * (n // 4)) for n in range(16)]
    return [Detection(corners + np.array(place, np.float32), 0.9) for place in places]


def zones_for(picture: Image) -> Zones:
    """The bench's mask, rasterised."""
    height, width = picture.shape[:2]
    return make_zones([MASK], size_px=(width, height), band_px=16, digest="bench")


def fitted(picture: Image, size_px: tuple[int, int]) -> Image:
    """The picture at exactly `size_px`, scaled to fill and cut at the centre."""
    width, height = size_px
    scale = max(width / picture.shape[1], height / picture.shape[0])
    grown = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (grown.shape[0] - height) // 2, (grown.shape[1] - width) // 2
    return np.ascontiguousarray(grown[top : top + height, left : left + width], np.uint8)


def measure(picture: Image, *, threads: int, seconds: float) -> Iterator[Timing]:
    """Every station in turn.

    Raises:
        InferenceError: a model is missing or does not load.
    """
    cv2.setNumThreads(threads)
    frames, masker = Frames(picture), Masker(zones_for(picture))
    detector = Detector(load_model("detector.onnx", threads=threads))
    recogniser = Recogniser(load_model("recogniser.onnx", threads=threads))
    waiting: list[Frame] = []

    def fetch() -> None:
        waiting[:] = [frames.next()]

    yield timed(
        "mask",
        lambda: masker.apply(waiting[0]),
        threads=threads,
        seconds=seconds / 4,
        before=fetch,
    )
    masked = masker.apply(frames.next())
    yield timed("detect", lambda: detector.detect(masked), threads=threads, seconds=seconds)
    found = detector.detect(masked)
    if found:
        crop = crop_plate(masked, found[0])
        yield timed(
            "straighten a plate",
            lambda: crop_plate(masked, found[0]),
            threads=threads,
            seconds=seconds / 4,
        )
        yield timed(
            "read a plate", lambda: recogniser.read([crop]), threads=threads, seconds=seconds
        )
    yield from guards.measure(
        masked, zones_for(picture), (detector, recogniser), threads=threads, seconds=seconds
    )
    tracker, many = Tracker(), [Sighting(one, READ, 100.0) for one in street_of_plates()]
    yield timed(
        f"track {len(many)} plates",
        lambda: tracker.step(many, captured_at=NOW, taken_ns=frames.tick()),
        threads=threads,
        seconds=seconds / 4,
    )
    pipeline = Pipeline(
        masker=masker,
        detector=detector,
        recogniser=recogniser,
        tracker=Tracker(),
        gate=Gate(zones_for(picture), GateLimits()),
    )
    yield timed(
        f"whole step, {len(found)} plates",
        lambda: pipeline.step(waiting[0]),
        threads=threads,
        seconds=seconds,
        before=fetch,
    )
